"""Architectures under limits, from tables or with a supernet."""
