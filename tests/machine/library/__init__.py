"""Real Debian machines for tests: images, machines, and what to do with them.

It knows nothing of the program under test. `docs/how-to/test-machines.md` shows how it is used.
"""
