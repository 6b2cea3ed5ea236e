"""Modules as the rest of the program sees them: what was read of their folders, and what a host uses of them."""

from obstack.catalog.modules.findings import module_findings
from obstack.catalog.modules.resolve import ResolvedModule, resolve_host, resolve_hosts
from obstack.catalog.modules.shipped import ModuleSet, ShippedModule

__all__ = ["ModuleSet", "ResolvedModule", "ShippedModule", "module_findings", "resolve_host", "resolve_hosts"]
