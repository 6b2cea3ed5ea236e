"""Pure decisions over values: the generation a node should have, how it differs, what that means for each unit."""
