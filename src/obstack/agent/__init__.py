"""The node agent: the only code that changes a machine.

Standard library only, Python 3.10 or newer, and no import from outside this package: it is shipped as one
reproducible zipapp and runs alone, on the local machine, over SSH or from an offline bundle.
"""
