"""The machine's side of `observability up`: its folder, its configuration file, its supervisor, and what is around."""
