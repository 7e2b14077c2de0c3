"""Architectures under limits: exact where costs and scores are sums, evolution where they are not."""
