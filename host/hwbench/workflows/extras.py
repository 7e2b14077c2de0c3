"""Packages that some workflows need beyond those that hwbench always has."""

from __future__ import annotations

from importlib.util import find_spec

from hwbench.errors import UsageError

SEARCH = ("torch", "safetensors")


def need_torch() -> None:
    """Raises UsageError naming what to install."""
    if lacking := [package for package in SEARCH if find_spec(package) is None]:
        raise UsageError(
            f"This method needs the package {lacking[0]}, which is not installed.",
            hint="Install it with: pip install 'hwbench[search]'",
        )


def one_thread() -> None:
    """Makes torch use one thread in this process, for a worker beside others."""
    import torch

    torch.set_num_threads(1)
