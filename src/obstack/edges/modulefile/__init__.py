"""Folders of modules: data read from `modules/<name>/`, every problem with its file, line and column."""

from obstack.edges.module_places import module_names, shipped_folder
from obstack.edges.modulefile.load import examine_module, further_folder, load_modules

__all__ = ["examine_module", "further_folder", "load_modules", "module_names", "shipped_folder"]
