"""Observability Stack: plain Debian and Ubuntu servers made into an observability stack, one transaction at a time."""

__version__ = "0.1.0"
