"""The wire between a paper exchange and its client: framed msgpack over a loopback socket.

A frame is its length, four bytes big-endian, and a msgpack array: `Call` from the client, `Answer`
from the server, one for each call and in order. What the exchange tells because of a call rides on
its answer, numbered without gaps, so that a client that was cut off can ask for the rest.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.errors import ConfigError
from genesis.trading.events import Event, EventType
from genesis.trading.payloads import decode, encode

_LENGTH = struct.Struct(">I")
LONGEST = 64 * 1024 * 1024
"""Bytes that a frame may have."""


class Call(msgspec.Struct, array_like=True):
    """A request: its number on the connection, its name, its arguments."""

    id: int
    name: str
    body: Any


class Told(msgspec.Struct, array_like=True, gc=False):
    """An event of the exchange, with its number since the exchange began."""

    number: int
    type: str
    data: bytes
    ts_ms: int
    aggregate: str

    def event(self) -> Event:
        """The event as its sink takes it."""
        return Event(decode(EventType(self.type), self.data), self.ts_ms, self.aggregate)


class Answer(msgspec.Struct, array_like=True):
    """Answer to the call with this id; ``error`` is empty where it was carried out."""

    id: int
    error: str
    value: Any
    told: list[Told]


_ENCODE = msgspec.msgpack.Encoder().encode
decode_call = msgspec.msgpack.Decoder(Call).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def told(number: int, event: Event) -> Told:
    """An event on the wire."""
    return Told(number, event.type.value, encode(event.data), event.ts_ms, event.aggregate)


def frame(message: Call | Answer) -> bytes:
    """Bytes of a message, its length first."""
    body = _ENCODE(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes in, give the frames that are complete.

        Raises
        ------
        ValueError
            If a length cannot be: the stream is no such protocol.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > LONGEST:
                raise ValueError(f"a frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield body


def endpoint(address: str) -> tuple[socket.AddressFamily, Any]:
    """Family and address of ``unix:/path`` or ``tcp:127.0.0.1:PORT``.

    Raises
    ------
    ConfigError
        If it is neither, or not on this machine.
    """
    kind, _, rest = address.partition(":")
    if kind == "unix" and rest:
        return socket.AF_UNIX, str(Path(rest))
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host in ("127.0.0.1", "localhost") and port.isdigit():
        return socket.AF_INET, ("127.0.0.1", int(port))
    raise ConfigError(
        f"'{address}' is no address of a paper exchange",
        why="it speaks on this machine only",
        fix="write unix:/path/to/socket or tcp:127.0.0.1:PORT",
    )
