"""The truth file of a paper exchange: every call that changed it and what it told, one line each.

A line is on disk before the call is answered. The exchange is a pure function of its calls, so the
file is also its whole state: reading it back repeats them, and every repeated answer must equal
the stored one. A last line that was cut off belongs to a call that nobody got an answer to; it is
taken away.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.errors import StorageError
from genesis.exchange.paper.gateway import PaperGateway
from genesis.market.atomic_file import sync_folder
from genesis.trading.events import Event, EventType, Payload
from genesis.trading.gateway import OrderRequest
from genesis.trading.payloads import PAYLOADS

FORMAT = 1


def call_of(name: str, body: Any) -> dict[str, Any]:
    """Line of a call: market events and requests as plain JSON."""
    return {"call": name, "body": msgspec.to_builtins(body)}


def told_line(number: int, event: Event) -> dict[str, Any]:
    """Part of a line that holds one event of the exchange."""
    return {
        "number": number,
        "type": event.type.value,
        "ts_ms": event.ts_ms,
        "aggregate": event.aggregate,
        "data": msgspec.to_builtins(event.data),
    }


def payload_of(kind: str, data: Mapping[str, Any]) -> Payload:
    """Payload from its plain form, in which a float that is no number is null."""
    cls = PAYLOADS[EventType(kind)]
    floats = {f.name for f in msgspec.structs.fields(cls) if f.type is float}
    plain = {k: math.nan if v is None and k in floats else v for k, v in data.items()}
    return msgspec.convert(plain, cls)


def apply_call(gateway: PaperGateway, name: str, body: Any) -> None:
    """Carry out a call that may change the exchange.

    Raises
    ------
    ValueError
        For a call that does not exist or arguments that are none of it.
    """
    try:
        if name == "market":
            kind, ts_ms, data = body
            gateway.on_market(Event(payload_of(kind, data), ts_ms))
        elif name in ("submit", "modify"):
            getattr(gateway, name)(msgspec.convert(body, OrderRequest))
        elif name in ("cancel", "query"):
            account, symbol, client_id = body
            getattr(gateway, name)(str(account), str(symbol), str(client_id))
        else:
            raise ValueError(f"there is no call '{name}'")
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise ValueError(f"arguments of {name}: {error}") from None


class TruthFile:
    """Append-only file of one paper exchange.

    Parameters
    ----------
    path : Path
    sync : bool
        Bring every line that tells something to the disk before the answer. Without it a kill of
        the process loses nothing either, a crash of the machine may.

    Raises
    ------
    StorageError
        If it cannot be opened, or another process writes it.
    """

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        self.path = path
        self._sync = sync
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise StorageError(f"the truth file {path} cannot be opened", why=str(error)) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise StorageError(
                f"another exchange writes the truth file {path}",
                fix="end it first, or give another file",
            ) from None
        if sync:  # the name of a new file is on disk before anything in it counts
            sync_folder(path.parent)

    def append(self, line: Mapping[str, Any], *, durable: bool) -> None:
        """Write one line whole."""
        data = msgspec.json.encode(line) + b"\n"
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(f"{written} of {len(data)} bytes were written")
            if durable and self._sync:
                os.fsync(self._file)
        except OSError as error:
            raise StorageError(
                f"the truth file {self.path} could not be written", why=str(error)
            ) from error

    def lines(self) -> Iterator[dict[str, Any]]:
        """Complete lines so far; a torn last one is taken away.

        Raises
        ------
        StorageError
            If a line before the last is no JSON object.
        """
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            os.ftruncate(self._file, whole)
        for number, line in enumerate(data[:whole].splitlines(), 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise StorageError(
                    f"line {number} of the truth file {self.path} is damaged", why=str(error)
                ) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
