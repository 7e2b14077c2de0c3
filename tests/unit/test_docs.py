"""The documentation covers every command and option, and its examples run."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from hwbench import spaces
from hwbench.cli.main import app
from hwbench.errors import HwbenchError
from tests.conftest import ROOT

DOCS = sorted((ROOT / "docs").glob("*.md"))
TEXT = "\n".join(path.read_text() for path in [*DOCS, ROOT / "README.md"])


def commands() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []

    def walk(command: Any, words: tuple[str, ...]) -> None:
        children = getattr(command, "commands", None)
        if children:
            for name, child in children.items():
                walk(child, (*words, name))
        else:
            found.append((" ".join(words), command))

    walk(typer.main.get_command(app), ("hwbench",))
    return found


@pytest.mark.parametrize(("name", "command"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_is_documented(name: str, command: Any) -> None:
    assert command.help
    assert name in TEXT
    assert any(param.name == "json" for param in command.params)
    for parameter in command.params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}`" in TEXT, f"{name} {option} is not in docs/"


def test_every_error_is_in_the_tree() -> None:
    tree = importlib.import_module("hwbench.errors").__doc__ or ""

    def subclasses(cls: type) -> list[type]:
        return [cls, *(found for child in cls.__subclasses__() for found in subclasses(child))]

    for error in subclasses(HwbenchError):
        if error.__module__ == "hwbench.errors":
            assert error.__name__ in tree


def test_docstring_examples_run() -> None:
    assert doctest.testmod(spaces).attempted >= 1
    assert doctest.testmod(spaces).failed == 0


@pytest.mark.parametrize("path", [*DOCS, ROOT / "README.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_python_examples_compile() -> None:
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "docs", "exec")
