"""A virtual phone looks to the real adb as a phone does."""

from __future__ import annotations

import pytest

from tests.phone.adb_server import BOTH_ADBS, AdbServer
from tests.phone.phone import VirtualPhone

TMP = "/data/local/tmp"
both_adbs = pytest.mark.parametrize("adb_server", BOTH_ADBS, indirect=True)


@both_adbs
def test_a_command_ends_as_it_does_on_a_phone(adb_server: AdbServer, phone: VirtualPhone) -> None:
    finished = adb_server.shell(phone, "cat; echo error >&2; exit 7", stdin=b"put in")
    assert (finished.returncode, finished.stdout, finished.stderr) == (7, b"put in", b"error\n")
    assert adb_server.shell(phone, "kill -9 $$").returncode == 137
    assert adb_server.shell(phone, "sh -c 'kill -SEGV $$'").returncode == 139
    assert adb_server.shell(phone, "/data").returncode == 126
    missing = adb_server.shell(phone, "no-such-thing")
    assert missing.returncode == 127
    assert b"inaccessible or not found" in missing.stderr
