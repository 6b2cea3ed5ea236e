"""Alerts and recording rules, defined once as typed data and rendered for the engine in use."""
