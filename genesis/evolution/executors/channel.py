"""Messages between the driver and a process of its own: length, then msgpack, never pickle."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from genesis.backtest.result import BlockResult
from genesis.evolution.work import UnitResult, WorkUnit

_HEADER = struct.Struct("<Q")
_CHUNK = 1 << 18
_ARRAYS = ("status", "metrics", "fold_sharpe", "fold_trades", "marks", "phenotype")


def pack(message: Mapping[str, Any]) -> bytes:
    """Frame of a message: plain values only."""
    body = msgspec.msgpack.encode(message)
    return _HEADER.pack(len(body)) + body


class FrameReader:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yield the messages that ``data`` completes."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield msgspec.msgpack.decode(body)


def receive(stream: socket.socket, reader: FrameReader) -> Iterator[dict[str, Any]]:
    """Yield messages of a blocking socket until the other side closes it."""
    while data := stream.recv(_CHUNK):
        yield from reader.feed(data)


def unit_message(unit: WorkUnit) -> dict[str, Any]:
    """Plain form of a unit."""
    return {
        "kind": "unit",
        "unit": unit.unit,
        "symbol": unit.symbol,
        "genomes": list(unit.genomes),
    }


def unit_of(message: Mapping[str, Any]) -> WorkUnit:
    """Unit of its plain form."""
    return WorkUnit(message["unit"], message["symbol"], tuple(message["genomes"]))


def result_message(result: UnitResult) -> dict[str, Any]:
    """Plain form of a result; arrays as dtype, shape and bytes."""
    block = result.block
    return {
        "kind": "result",
        "unit": result.unit,
        "seconds": result.seconds,
        "worker": result.worker,
        "cache_hits": result.cache_hits,
        "cache_misses": result.cache_misses,
        "payload": result.payload,
        "reasons": list(block.reasons),
        "arrays": {name: _plain_array(getattr(block, name)) for name in _ARRAYS},
    }


def result_of(message: Mapping[str, Any]) -> UnitResult:
    """Result of its plain form, equal bit for bit."""
    arrays = {name: _array_of(plain) for name, plain in message["arrays"].items()}
    return UnitResult(
        unit=message["unit"],
        block=BlockResult(reasons=tuple(message["reasons"]), **arrays),
        seconds=message["seconds"],
        worker=message["worker"],
        cache_hits=message["cache_hits"],
        cache_misses=message["cache_misses"],
        payload=message["payload"],
    )


def _plain_array(array: np.ndarray[Any, Any]) -> list[Any]:
    return [array.dtype.str, list(array.shape), array.tobytes()]


def _array_of(plain: list[Any]) -> np.ndarray[Any, Any]:
    dtype, shape, data = plain
    return np.frombuffer(bytearray(data), dtype=np.dtype(dtype)).reshape(shape)
