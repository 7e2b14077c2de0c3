"""Latency of neural networks on real devices, and architecture search that respects it."""

from __future__ import annotations

__version__ = "0.1.0"
