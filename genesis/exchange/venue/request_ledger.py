"""What was asked and cannot be asked again: nonces and budgets, in memory and on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from genesis.domain.errors import StorageError
from genesis.exchange.venue.limits import AddressBudget, LimitProfile
from genesis.exchange.venue.nonces import NonceBook
from genesis.market.atomic_file import write_atomic


class RequestLog(Protocol):
    """The log of a venue, as this sees it; `genesis.exchange.venue.durable.DurableCore` is one."""

    @property
    def log_end(self) -> int:
        """Length of the log."""
        ...

    def note_request(self, line: list[Any]) -> None:
        """Write a line; it is on the disk before anything that follows from it is told."""
        ...

    def requests_since(self, offset: int) -> Iterator[list[Any]]:
        """Lines behind a place in the log."""
        ...

    def sync(self) -> None:
        """Put the log on the disk."""
        ...


class RequestLedger:
    """Nonces of every signer and requests of every account.

    Each accepted action is a line of the log before it is carried out, so that neither a killed
    exchange nor a loss of power lets a nonce be used twice; one that ends between the two has used
    a nonce for an action that never was, and has answered neither. Opening it puts all that is
    past into the file.

    Parameters
    ----------
    limits : LimitProfile
    path : Path, optional
        Nothing survives the process without file and log.
    log : RequestLog, optional

    Raises
    ------
    StorageError
        If the file is damaged elsewhere than in its last line, or cannot be written.
    """

    def __init__(
        self, limits: LimitProfile, path: Path | None = None, log: RequestLog | None = None
    ) -> None:
        self.nonces = NonceBook(limits.nonces_kept)
        self.budget = AddressBudget(limits)
        self._log = log
        self._offset = 0
        if path is not None and log is not None:
            self._read(path)
            for line in log.requests_since(self._offset):
                self._take(line)
            self._rewrite(path, log)

    def spend(self, signer: str, nonce: int | None, account: str, cost: int) -> None:
        """Use a nonce, where one is used, and count requests."""
        self._note([signer, nonce, account, cost])
        self._apply(signer, nonce, account, cost)

    def forget(self, signer: str) -> None:
        """Drop the nonces of a signer that was pruned."""
        self._note([signer])
        self.nonces.forget(signer)

    def state(self) -> dict[str, Any]:
        """Everything that is remembered, for the file and for a hash."""
        return {"nonces": self.nonces.state(), "used": self.budget.state()}

    def _apply(self, signer: str, nonce: int | None, account: str, cost: int) -> None:
        if nonce is not None:
            self.nonces.use(signer, nonce)
        self.budget.spend(account, cost)

    def _note(self, line: list[Any]) -> None:
        if self._log is not None:
            self._log.note_request(line)

    def _read(self, path: Path) -> None:
        lines = path.read_bytes().split(b"\n") if path.exists() else []
        for place, raw in enumerate(lines):
            if not raw:
                continue
            try:
                self._take(msgspec.json.decode(raw))
            except (msgspec.DecodeError, TypeError, ValueError, KeyError) as error:
                # Only a last line without its end can be the mark of a kill.
                if place == len(lines) - 1:
                    return
                raise StorageError(
                    f"line {place + 1} of {path} cannot be read",
                    why=str(error),
                    fix="restore the folder, or start with an empty one",
                ) from None

    def _take(self, line: Any) -> None:
        if isinstance(line, dict):
            self.nonces.restore(line["nonces"])
            self.budget.restore(line["used"])
            self._offset = int(line.get("offset", 0))
        elif len(line) == 1:
            self.nonces.forget(line[0])
        else:
            self._apply(*line)

    def _rewrite(self, path: Path, log: RequestLog) -> None:
        log.sync()  # the file never speaks of lines that the log may lose
        state = {**self.state(), "offset": log.log_end}
        write_atomic(path, lambda file: file.write(msgspec.json.encode(state) + b"\n"))
        path.chmod(0o600)
