"""The jobs a user asks for, each one function."""
