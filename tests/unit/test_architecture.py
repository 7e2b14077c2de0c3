"""The structure holds: imports go down the list of the design, and the core loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "host" / "hwbench"
# From top to bottom; a module may import its own layer and those below it.
LAYERS = [
    ["cli"],
    ["reports"],
    ["workflows"],
    ["search"],
    ["transfer"],
    ["tables"],
    ["measure"],
    ["devices", "models"],
    ["spaces"],
    ["files"],
    ["records", "errors", "__init__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(path: Path) -> set[str]:
    """Names of hwbench modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole_package = node.module == "hwbench"
            found |= {f"hwbench.{alias.name}" for alias in node.names} if whole_package else {node.module}
    return {name for name in found if name.split(".")[0] == "hwbench"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if path.parent == PACKAGE and own in ("__main__", "__init__"):
        return  # The command, and the facade whose imports are for type checkers alone.
    for imported in imports_of(path):
        layer = layer_of(imported)
        layer = layer if layer in RANK else "__init__"
        assert RANK[own] <= RANK[layer], f"{path.name} imports {imported}, which is above it"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("code", ["import hwbench", "import hwbench.cli.main"])
def test_nothing_heavy_is_loaded(code: str) -> None:
    heavy = "numpy", "scipy", "torch", "safetensors", "ai_edge_litert", "adbutils"
    program = f"import sys; {code}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
