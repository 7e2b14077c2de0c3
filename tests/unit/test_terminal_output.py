"""What is printed cannot steer a terminal, whatever a device or a file says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from hwbench.cli.output import plain, print_view, say, show

HOSTILE = "a\x1b[2J\x1b]0;title\x07b\x9b31mc\r\x00\u202ed\ud800e"


@given(st.text(st.characters(codec=None)))
def test_nothing_but_lines_and_tabs_is_left(text: str) -> None:
    found = plain(text)
    assert all(character.isprintable() or character in "\n\t" for character in found)
    assert len(found) == len(text)
    assert plain(found) == found
    found.encode()


def test_remarks_answers_and_views_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(Text(HOSTILE, style="red"))
    say(HOSTILE)
    show(f"{HOSTILE}\n{HOSTILE}")
    print_view(table)
    print_view(HOSTILE)
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert "[2J" in text
        assert not set(text) & set("\x1b\x07\x9b\r\x00\u202e\ud800")
