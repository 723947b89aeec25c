"""The paper exchange in a process of its own, with its own truth file.

    python -m genesis.exchange.paper.server --truth truth.jsonl --listen unix:/tmp/paper.sock \
        --config paper.json

It outlives its clients, and goes on from the truth file when it is started again. One line of JSON
on standard output says where it listens.
"""

from __future__ import annotations

import argparse
import json
import selectors
import signal
import socket
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from genesis.domain.errors import GenesisError, InputError, StorageError
from genesis.exchange.paper.config import paper_gateway
from genesis.exchange.paper.protocol import (
    Answer,
    Call,
    Frames,
    Told,
    decode_call,
    endpoint,
    frame,
    told,
)
from genesis.exchange.paper.truth import FORMAT, TruthFile, apply_call, call_of, told_line
from genesis.trading.events import Event

RETAINED = 10_000
"""Latest events that a client which was cut off can still be told."""

_CHUNK = 1 << 16
_SEND_S = 5.0


class PaperExchange:
    """A paper gateway whose every change is in a truth file before it is answered.

    Parameters
    ----------
    truth : TruthFile
    config : mapping, optional
        From `genesis.exchange.paper.config.paper_config`; needed for a new file only.

    Raises
    ------
    InputError
        If the file is new and there are no settings, or they differ from the file's.
    StorageError
        If the file is damaged, or repeating it gives other answers than it holds.
    """

    def __init__(self, truth: TruthFile, config: Mapping[str, Any] | None = None) -> None:
        self.truth = truth
        self.number = 0
        self.retained: deque[Told] = deque(maxlen=RETAINED)
        self._events: list[Event] = []
        lines = truth.lines()
        first = next(lines, None)
        if first is None:
            if config is None:
                raise InputError(
                    "a new paper exchange needs its settings", fix="give --config FILE"
                )
            first = {"format": FORMAT, "config": json.loads(json.dumps(config))}
            truth.append(first, durable=True)
        elif config is not None and json.loads(json.dumps(config)) != first.get("config"):
            raise InputError(
                f"the settings differ from those of {truth.path}",
                fix="leave --config away, or begin another truth file",
            )
        if first.get("format") != FORMAT:
            raise StorageError(f"{truth.path} is no truth file of format {FORMAT}")
        self.gateway = paper_gateway(first["config"])
        self.gateway.connect(self._events.append)
        for place, line in enumerate(lines, 2):
            self._repeat(place, line)

    def carry_out(self, name: str, body: Any) -> list[Told]:
        """Carry out a call and put it into the truth file, with what it tells.

        Raises
        ------
        ValueError
            For a call that does not exist or arguments that are none of it.
        """
        parts = self._carry_out(name, body)
        self.truth.append({**call_of(name, body), "told": parts}, durable=bool(parts))
        return self._retain()

    def _carry_out(self, name: str, body: Any) -> list[dict[str, Any]]:
        self._events.clear()
        apply_call(self.gateway, name, body)
        return [told_line(self.number + i, event) for i, event in enumerate(self._events, 1)]

    def _retain(self) -> list[Told]:
        out = []
        for event in self._events:
            self.number += 1
            out.append(told(self.number, event))
        self.retained.extend(out)
        return out

    def _repeat(self, place: int, line: Mapping[str, Any]) -> None:
        try:
            parts = self._carry_out(line["call"], line["body"])
        except (KeyError, ValueError) as error:
            raise StorageError(
                f"line {place} of {self.truth.path} is no call", why=str(error)
            ) from None
        if json.loads(msgspec.json.encode(parts)) != line.get("told"):
            raise StorageError(
                f"line {place} of {self.truth.path} tells something else when it is repeated",
                why="the file was changed, or another version of the exchange wrote it",
            )
        self._retain()

    def answer(self, call: Call) -> Answer:
        """Answer a call of a client."""
        try:
            if call.name == "hello":
                return self._welcome(call)
            if call.name == "account_state":
                account, since_ms = call.body
                state = self.gateway.account_state(str(account), int(since_ms))
                return Answer(call.id, "", msgspec.to_builtins(state), [])
            return Answer(call.id, "", None, self.carry_out(call.name, call.body))
        except (ValueError, TypeError) as error:
            return Answer(call.id, str(error), None, [])

    def _welcome(self, call: Call) -> Answer:
        """Number of the latest event, and the events after the last that the client has seen."""
        seen = self.number if call.body is None else int(call.body)
        missed = [t for t in self.retained if t.number > seen]
        complete = seen == self.number or (bool(missed) and missed[0].number == seen + 1)
        return Answer(call.id, "", [self.number, complete], missed)


class Server:
    """Serves one exchange on a loopback socket, one call at a time.

    Parameters
    ----------
    exchange : PaperExchange
    address : str
        ``unix:/path`` or ``tcp:127.0.0.1:PORT``, port 0 for any free one.
    """

    def __init__(self, exchange: PaperExchange, address: str) -> None:
        self.exchange = exchange
        family, place = endpoint(address)
        if family == socket.AF_UNIX:
            Path(place).unlink(missing_ok=True)
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(place)
        self._listener.listen()
        self._listener.setblocking(False)
        bound = self._listener.getsockname()
        self.address = address if family == socket.AF_UNIX else f"tcp:127.0.0.1:{bound[1]}"
        self._selector = selectors.DefaultSelector()
        self._wake, self._bell = socket.socketpair()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Serve until `stop`."""
        while True:
            ready = [key for key, _ in self._selector.select()]
            if any(key.fileobj is self._wake for key in ready):
                return
            # What a client sent before it died comes before what its successor asks.
            for key in ready:
                if key.data is not None:
                    self._read(key.fileobj, key.data)  # type: ignore[arg-type]
            if any(key.data is None for key in ready):
                connection, _ = self._listener.accept()
                connection.settimeout(_SEND_S)
                self._selector.register(connection, selectors.EVENT_READ, Frames())

    def stop(self) -> None:
        """Let `serve` return; from any thread."""
        self._bell.send(b"x")

    def close(self) -> None:
        """Close every socket."""
        self._bell.close()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _read(self, connection: socket.socket, frames: Frames) -> None:
        """Carry out what has come from a client, also where it is gone and hears no answer."""
        listens = True
        try:
            data: bytes | None = connection.recv(_CHUNK)
            while data:
                for body in frames.feed(data):
                    answer = frame(self.exchange.answer(decode_call(body)))
                    listens = listens and self._send(connection, answer)
                data = self._more(connection)
            if data is None and listens:
                return
        except OSError:
            pass
        except (ValueError, msgspec.DecodeError) as error:
            print(f"a client was dropped: {error}", file=sys.stderr, flush=True)
        self._selector.unregister(connection)
        connection.close()

    @staticmethod
    def _send(connection: socket.socket, data: bytes) -> bool:
        try:
            connection.sendall(data)
        except OSError:
            return False
        return True

    @staticmethod
    def _more(connection: socket.socket) -> bytes | None:
        """Bytes that already wait; empty at the end of the stream, None where there are none."""
        try:
            return connection.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None


def _ended(_signum: int, _: FrameType | None) -> None:
    raise SystemExit(0)


def main(arguments: list[str] | None = None) -> int:
    """Serve a paper exchange until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m genesis.exchange.paper.server", description="Serve a paper exchange."
    )
    parser.add_argument("--truth", type=Path, required=True, help="truth file, new or to go on")
    parser.add_argument("--listen", required=True, help="unix:/path or tcp:127.0.0.1:PORT")
    parser.add_argument("--config", type=Path, help="settings of a new exchange, JSON")
    parser.add_argument("--no-sync", action="store_true", help="leave the disk to the system")
    given = parser.parse_args(arguments)
    server = None
    signal.signal(signal.SIGTERM, _ended)
    signal.signal(signal.SIGINT, _ended)
    try:
        config = json.loads(given.config.read_text()) if given.config else None
        exchange = PaperExchange(TruthFile(given.truth, sync=not given.no_sync), config)
        server = Server(exchange, given.listen)
        print(json.dumps({"listening": server.address, "told": exchange.number}), flush=True)
        server.serve()
    except (OSError, json.JSONDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except GenesisError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        with suppress(OSError):
            if server is not None:
                server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
