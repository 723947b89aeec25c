"""What was asked and cannot be asked again: nonces and budgets, in memory and in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.errors import StorageError
from genesis.exchange.venue.limits import AddressBudget, LimitProfile
from genesis.exchange.venue.nonces import NonceBook


class RequestLedger:
    """Nonces of every signer and requests of every account.

    Each accepted action is a line in the file before it is carried out, so that a killed exchange
    never takes a nonce twice; one killed between the two has used a nonce for an action that never
    was, and has answered neither. Opening the file writes it anew, one line for all that is past.

    Parameters
    ----------
    limits : LimitProfile
    path : Path, optional
        Nothing survives the process without it.

    Raises
    ------
    StorageError
        If the file is damaged elsewhere than in its last line.
    """

    def __init__(self, limits: LimitProfile, path: Path | None = None) -> None:
        self.nonces = NonceBook(limits.nonces_kept)
        self.budget = AddressBudget(limits)
        self._path = path
        self._file: int | None = None
        if path is not None:
            self._read(path)
            self._rewrite(path)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND)

    def spend(self, signer: str, nonce: int | None, account: str, cost: int) -> None:
        """Use a nonce, where one is used, and count requests."""
        self._write([signer, nonce, account, cost])
        self._apply(signer, nonce, account, cost)

    def forget(self, signer: str) -> None:
        """Drop the nonces of a signer that was pruned."""
        self._write([signer])
        self.nonces.forget(signer)

    def state(self) -> dict[str, Any]:
        """Everything that is remembered, for the file and for a hash."""
        return {"nonces": self.nonces.state(), "used": self.budget.state()}

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _apply(self, signer: str, nonce: int | None, account: str, cost: int) -> None:
        if nonce is not None:
            self.nonces.use(signer, nonce)
        self.budget.spend(account, cost)

    def _write(self, line: list[Any]) -> None:
        if self._file is not None:
            os.write(self._file, msgspec.json.encode(line) + b"\n")

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
        elif len(line) == 1:
            self.nonces.forget(line[0])
        else:
            self._apply(*line)

    def _rewrite(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self.state()) + b"\n")
        fresh.chmod(0o600)
        fresh.replace(path)
