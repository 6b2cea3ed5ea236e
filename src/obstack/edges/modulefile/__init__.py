"""Folders of modules: data read from `modules/<name>/`, every problem with its file, line and column."""

from obstack.edges.modulefile.load import examine_module, further_folder, load_modules, module_names, shipped_folder

__all__ = ["examine_module", "further_folder", "load_modules", "module_names", "shipped_folder"]
