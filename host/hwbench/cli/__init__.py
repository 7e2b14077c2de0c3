"""The command line: parsing and printing; every command is one call of the Python API."""
