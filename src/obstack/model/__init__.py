"""The typed model of all configuration. Nothing after it sees YAML."""
