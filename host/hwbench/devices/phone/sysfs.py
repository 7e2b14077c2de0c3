"""Files of /sys printed one after another, as `head` prints several: `==> path <==` and the content."""

from __future__ import annotations

import re
from itertools import zip_longest

import msgspec

from hwbench.devices.phone.text import Printed, decode, shown
from hwbench.errors import DataError

_HEADING = re.compile(r"^==> (\S{1,300}) <==$", re.MULTILINE)
_REFUSAL = re.compile(
    r"^(?:[A-Za-z.]{1,60}: )?(?:[Cc]an't open |[Cc]annot open )?'?(/[^:'\n]{1,300})'?: "
    r"(?:open failed: \w+ \()?(Permission denied|No such file or directory|Input/output error|Invalid argument)",
    re.MULTILINE,
)  # fmt: skip
# With other reasons, and by some of them without the path: the heading says which file it was.
_SAID = re.compile(r"cat: (?:[^\n]{1,400}: )?([A-Z][^:\n]{1,60})")
_LINK = re.compile(r"\(symlink to (\S{1,300})\)")


class SysfsFiles(msgspec.Struct, frozen=True):
    """Contents by path, with links resolved, and the reason by path for what the phone refused to show."""

    contents: dict[str, str]
    unreadable: dict[str, str]


def refusals(printed: Printed) -> dict[str, str]:
    """The kernel's reason by path, for each `path: Permission denied` in what `cat` or `head` printed."""
    return {match[1]: match[2] for match in _REFUSAL.finditer(decode(printed))}


def sysfs_files(printed: Printed) -> SysfsFiles:
    """The files in the text. Raises DataError if it has neither a file nor a refusal."""
    text = decode(printed)
    headings = list(_HEADING.finditer(text))
    contents: dict[str, str] = {}
    links: dict[str, str] = {}
    unreadable = refusals(text)
    for heading, following in zip_longest(headings, headings[1:]):
        body = text[heading.end() : following.start() if following else len(text)].strip()
        if link := _LINK.fullmatch(body):
            links[heading[1]] = _resolved(heading[1], link[1])
        elif said := _SAID.fullmatch(body):
            unreadable.setdefault(heading[1], said[1])
        elif not _REFUSAL.match(body):
            contents[heading[1]] = _REFUSAL.sub("", body).strip()
    for path, target in links.items():
        inside = {name.removeprefix(target): body for name, body in contents.items() if name.startswith(target + "/")}
        contents |= {path + name: body for name, body in inside.items()}
    if not contents and not unreadable:
        raise DataError(f"no file of /sys in the text: {shown(text)}.")
    return SysfsFiles(contents, unreadable)


def _resolved(path: str, target: str) -> str:
    """Where a relative link leads, `..` taken away by name alone."""
    parts = path.split("/")[:-1]
    for step in target.split("/"):
        parts = parts[:-1] if step == ".." else [*parts, step]
    return "/".join(parts)
