"""Debian packages as artifacts: from the machine's own mirror, without root and without touching the host."""
