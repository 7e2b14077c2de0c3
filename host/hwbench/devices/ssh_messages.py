"""Why ssh and tar fail, told by the words that their versions have in common."""

from __future__ import annotations

import re

from hwbench.devices.phone.text import Printed, decode
from hwbench.devices.ssh_address import SshAddress
from hwbench.errors import (
    ConnectionRefused,
    DeviceError,
    DeviceFull,
    DeviceNotFound,
    DeviceOffline,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnauthorized,
)

_FULL = re.compile(r"No space left on device|Disk quota exceeded|Wrote only [0-9]+ of", re.IGNORECASE)
# In order: a text with several of them is named by the first, which is nearest to the cause.
_CAUSES: tuple[tuple[str, type[DeviceError], str, str], ...] = (
    (
        "could not resolve hostname|no address associated",
        DeviceNotFound,
        "There is no host {host}.",
        "Check the name, or use the board's IP address.",
    ),
    (
        "remote host identification has changed|host key for .{1,300} has changed",
        DeviceUnauthorized,
        "The host key of {host} is not the one that this computer knows.",
        "Another machine may be answering. If the board was set up anew: ssh-keygen -R '{known_host}', then ssh "
        "{login} and compare the fingerprint.",
    ),
    (
        "host key verification failed|host key is known for",
        DeviceUnauthorized,
        "This computer does not know the host key of {host}.",
        "Log in once with ssh {login}, and compare the fingerprint with the board's.",
    ),
    (
        "permission denied|too many authentication failures|no more authentication methods",
        DeviceUnauthorized,
        "{address} accepts none of this computer's keys.",
        "ssh-copy-id {login} puts one there; a key with a passphrase must be in ssh-agent.",
    ),
    (
        "connection refused",
        ConnectionRefused,
        "Nothing listens for SSH at {address}.",
        "Check the port, and that sshd runs on the board.",
    ),
    (
        "timed out|timeout",
        DeviceTimeout,
        "{address} did not answer in time.",
        "Check the address, and that the board is on.",
    ),
    (
        "no route to host|network is unreachable|host is down|host is unreachable",
        DeviceOffline,
        "{address} cannot be reached: {reason}.",
        "Check the cable or the network.",
    ),
    (
        "connection closed|connection reset|closed by remote|broken pipe",
        DeviceOffline,
        "{address} closed the connection before the login was through: {reason}.",
        "ssh -v {login} shows how far it comes.",
    ),
    ("", DeviceError, "ssh cannot connect to {address}: {reason}.", "ssh -v {login} shows how far it comes."),
)


def connection_error(address: SshAddress, printed: Printed) -> DeviceError:
    """The error for what ssh printed when it could not connect."""
    text = decode(printed)
    kind, sentence, hint = next(
        (kind, sentence, hint) for words, kind, sentence, hint in _CAUSES if re.search(words, text, re.IGNORECASE)
    )
    facts = {
        "address": address, "host": address.host, "login": address.login, "known_host": address.known_host,
        "reason": reason(text),
    }  # fmt: skip
    return kind(sentence.format(**facts), hint=hint.format(**facts))


def push_error(address: SshAddress, code: int, printed: Printed) -> DeviceError:
    """The error for what tar printed when it could not write."""
    text = decode(printed)
    if code == 127:
        return DeviceError(f"{address} has no tar, by which files are copied.", hint="Install tar or busybox there.")
    if _FULL.search(text):
        return DeviceFull(f"The files do not fit on {address}: {reason(text)}.", hint="Free some space there.")
    return DeviceRefused(f"{address} does not allow that: {reason(text)}.")


def reason(text: str) -> str:
    """The first line of a text that says something, without what a terminal would act on."""
    line = next((line.strip() for line in text.split("\n") if line.strip()), "it said nothing")
    return "".join(letter if letter.isprintable() else "?" for letter in line[:300]).rstrip(".")
