"""The controller's input and output: files, artifacts, secrets, channels. Siblings do not import each other."""
