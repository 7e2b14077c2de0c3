"""Messages of the ADB protocol."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.phone.wire import Command, Message, packed, read_message

WORD = st.integers(0, 2**32 - 1)


def read(data: bytes) -> Message:
    async def one() -> Message:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_message(reader)

    return asyncio.run(one())


@given(st.builds(Message, st.sampled_from(Command), WORD, WORD, st.binary(max_size=300)))
def test_a_message_is_read_as_it_was_packed(message: Message) -> None:
    assert read(packed(message)) == message


@given(st.binary(max_size=100))
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        read(data)
