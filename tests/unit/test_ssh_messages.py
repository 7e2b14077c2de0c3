"""Addresses of boards, and what OpenSSH and tar print when something fails."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hwbench.devices.ssh_address import SshAddress, parse_address
from hwbench.devices.ssh_messages import connection_error, push_error
from hwbench.errors import (
    ConnectionRefused,
    DeviceError,
    DeviceFull,
    DeviceNotFound,
    DeviceOffline,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnauthorized,
    UsageError,
)

PI = SshAddress("pi.local", "user", 2222)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://pi", SshAddress("pi")),
        ("ssh://user@pi.local:2222", PI),
        ("ssh://pi.local/", SshAddress("pi.local")),
        ("ssh://my_board-2@10.0.0.7", SshAddress("10.0.0.7", "my_board-2")),
        ("ssh://root@[fe80::1%eth0]:22", SshAddress("fe80::1%eth0", "root", 22)),
    ],
)
def test_addresses(text: str, address: SshAddress) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "pi", "ssh://", "ssh://-oProxyCommand=id", "ssh://-l@pi", "ssh://user@-pi", "ssh://user@", "ssh://@pi",
        "ssh://a b", "ssh://$(id)", "ssh://pi;id", "ssh://user:password@pi", "ssh://pi:0", "ssh://pi:65536", "ssh://pi:",
        "ssh://pi:22:22", "ssh://pi/folder", "ssh://pi\n", "ssh://pi\nx", "ssh://%h", "ssh://[pi]", "ssh://[::1", "SSH://pi",
        "http://pi", "ssh://pí", "ssh://user@host@pi", "ssh://" + "a" * 300,
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Expected ssh://user@host"):
        parse_address(text)


@given(st.text(max_size=30) | st.text("ssh:/@-[]%.:0123 a=$;", max_size=30))
@example("-oProxyCommand=x@y")
def test_no_part_of_an_address_is_an_option_or_for_a_shell(text: str) -> None:
    try:
        address = parse_address("ssh://" + text)
    except UsageError:
        return
    for part in filter(None, (address.host, address.user)):
        assert re.fullmatch(r"[A-Za-z0-9_:.%-]+", part)
        assert not part.startswith("-")
    assert parse_address(str(address)) == address


MESSAGES = [
    ("ssh: Could not resolve hostname pi.local: Name or service not known", DeviceNotFound, "no host pi.local"),
    ("ssh: connect to host pi.local port 2222: Connection refused", ConnectionRefused, "Nothing listens"),
    ("ssh: connect to host pi.local port 2222: Connection timed out", DeviceTimeout, "did not answer"),
    ("ssh: connect to host pi.local port 2222: Operation timed out", DeviceTimeout, "did not answer"),
    ("Connection timed out during banner exchange\r\nConnection to 1.2.3.4 port 2222 timed out", DeviceTimeout, "time"),
    ("ssh: connect to host pi.local port 2222: No route to host", DeviceOffline, "No route to host"),
    (
        "@@@@@@@@@@@@@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@@@@@@@@\r\n"
        "Host key for [pi.local]:2222 has changed and you have requested strict checking.\r\n"
        "Host key verification failed.\r\n",
        DeviceUnauthorized,
        r"ssh-keygen -R '\[pi.local\]:2222', then ssh -p 2222 user@pi.local",
    ),
    (
        "No ED25519 host key is known for [pi.local]:2222 and you have requested strict checking.\r\n"
        "Host key verification failed.\r\n",
        DeviceUnauthorized,
        "does not know the host key.*Log in once with ssh -p 2222 user@pi.local",
    ),
    ("Host key verification failed.", DeviceUnauthorized, "does not know the host key"),
    ("user@pi.local: Permission denied (publickey,password).", DeviceUnauthorized, "ssh-copy-id -p 2222 user@pi.local"),
    ("Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures", DeviceUnauthorized, "keys"),
    ("kex_exchange_identification: Connection closed by remote host", DeviceOffline, "before the login"),
    ("/home/me/.ssh/config: line 3: Bad configuration option: x", DeviceError, "line 3: Bad configuration option"),
    ("", DeviceError, "it said nothing"),
    ("\x1b[31mred\x07\u202e", DeviceError, r"red\?\?"),
]


@pytest.mark.parametrize(("text", "kind", "sentence"), MESSAGES)
def test_what_ssh_says(text: str, kind: type[DeviceError], sentence: str) -> None:
    error = connection_error(PI, text.encode())
    assert type(error) is kind
    assert re.search(sentence, str(error))
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (2, "tar: a/b: Cannot write: No space left on device\ntar: Exiting with failure status", DeviceFull),
        (2, "tar: a/b: Wrote only 4608 of 10240 bytes\n", DeviceFull),
        (1, "tar: write error: Disk quota exceeded", DeviceFull),
        (2, "tar: sys/x: Cannot open: Permission denied", DeviceRefused),
        (1, "tar: can't open 'sys/x': Read-only file system", DeviceRefused),
        (127, "sh: 1: exec: tar: not found", DeviceError),
        (2, "", DeviceRefused),
    ],
)
def test_what_tar_says(code: int, text: str, kind: type[DeviceError]) -> None:
    assert type(push_error(PI, code, text)) is kind


@given(st.binary(max_size=200))
def test_any_output_gives_one_sentence(printed: bytes) -> None:
    for error in (connection_error(PI, printed), push_error(PI, 2, printed)):
        assert isinstance(error, DeviceError)
        assert str(error).isprintable()
