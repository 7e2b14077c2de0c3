"""What Android phones print, as typed facts: pure functions of text, one kind of output a module.

Each parser takes text or raw bytes, and returns a frozen struct or raises a DataError that names what it could not
read.
"""
