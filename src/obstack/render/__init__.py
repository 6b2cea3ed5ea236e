"""Pure rendering: (site, layout, materials) to files, units and gates. No clock, no randomness, no input or output."""
