"""The verbs, each readable top to bottom. They are given ports and do no input or output of their own."""
