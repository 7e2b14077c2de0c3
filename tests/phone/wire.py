"""Messages of the ADB wire protocol, as in AOSP's packages/modules/adb/protocol.txt."""

from __future__ import annotations

import asyncio
import struct
from enum import IntEnum
from typing import NamedTuple

VERSION = 0x01000001
"""The protocol version from which on a message's checksum is not looked at."""
MOST_PAYLOAD_BYTES = 1 << 20

_HEADER = struct.Struct("<6I")
_COMPLEMENT = 0xFFFFFFFF


class Command(IntEnum):
    """The first word of a message: its name in ASCII, little-endian."""

    CNXN = int.from_bytes(b"CNXN", "little")
    AUTH = int.from_bytes(b"AUTH", "little")
    OPEN = int.from_bytes(b"OPEN", "little")
    OKAY = int.from_bytes(b"OKAY", "little")
    CLSE = int.from_bytes(b"CLSE", "little")
    WRTE = int.from_bytes(b"WRTE", "little")


class Auth(IntEnum):
    """What an AUTH message carries."""

    TOKEN = 1
    SIGNATURE = 2
    PUBLIC_KEY = 3


class Message(NamedTuple):
    """One message; for a stream's messages `first` is the sender's number of the stream and `second` the receiver's."""

    command: Command
    first: int
    second: int
    payload: bytes = b""


def packed(message: Message) -> bytes:
    """The bytes of a message; before both sides have agreed on VERSION it needs its checksum."""
    agreed = message.command not in (Command.CNXN, Command.AUTH)
    header = _HEADER.pack(
        message.command,
        message.first,
        message.second,
        len(message.payload),
        0 if agreed else sum(message.payload) & _COMPLEMENT,
        message.command ^ _COMPLEMENT,
    )
    return header + message.payload


async def read_message(reader: asyncio.StreamReader) -> Message:
    """The next message. Raises ConnectionError if it is none, asyncio.IncompleteReadError at the end."""
    command, first, second, size, _checksum, magic = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    if magic != command ^ _COMPLEMENT or size > MOST_PAYLOAD_BYTES or command not in set(Command):
        raise ConnectionError(f"not a message: {command:#x} with {size} bytes")
    return Message(Command(command), first, second, await reader.readexactly(size))


def banner(properties: dict[str, str], features: tuple[str, ...]) -> bytes:
    """What a device says of itself when a connection begins."""
    told = ("ro.product.name", "ro.product.model", "ro.product.device")
    words = [f"{name}={properties.get(name, '')}" for name in told]
    return f"device::{';'.join(words)};features={','.join(features)}".encode()
