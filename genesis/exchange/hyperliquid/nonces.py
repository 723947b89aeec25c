"""Nonces: rising for ever, stored before they are used, taken by one process at a time."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

from genesis.domain.clock import Clock
from genesis.domain.errors import RefusedError, StorageError
from genesis.exchange.hyperliquid.settings import private_folder
from genesis.market.atomic_file import sync_folder

AHEAD_MS = 5_000
"""How far ahead nonces are stored at once: one write to disk serves as many requests."""


class NonceStore:
    """Nonces of one signer.

    The file holds a mark that no nonce ever exceeds; a new process begins above it, whatever its
    clock says. It also holds an epoch, raised by each process that opens it: one that finds
    another epoch than its own has been replaced, and signs nothing more.

    Parameters
    ----------
    folder : Path
    signer : str
        Address.
    clock : Clock

    Raises
    ------
    RefusedError
        If another process has it open.
    StorageError
        If the file cannot be read or written.
    """

    def __init__(self, folder: Path, signer: str, clock: Clock) -> None:
        self._clock = clock
        self._path = private_folder(folder) / f"nonce-{signer.lower()}.json"
        self._mutex = threading.Lock()
        self._lock = self._acquire(folder / f"nonce-{signer.lower()}.lock", signer)
        try:
            self._mark, epoch = self._read()
            self._last = self._mark
            self.epoch = epoch + 1
            self._write(self._mark)
        except BaseException:
            self.close()
            raise

    def next(self) -> int:
        """Nonce for one action.

        Raises
        ------
        RefusedError
            If another process has taken over.
        StorageError
            If it cannot be stored: then nothing may be sent.
        """
        with self._mutex:
            nonce = max(self._clock.now_ms(), self._last + 1)
            if nonce > self._mark:
                self._fence()
                self._write(nonce + AHEAD_MS)
            self._last = nonce
            return nonce

    def close(self) -> None:
        """Let another process have it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @staticmethod
    def _acquire(path: Path, signer: str) -> int:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise RefusedError(
                f"another process trades with the agent {signer}",
                why="two processes would use each other's nonces",
                fix="stop it, or approve an agent for each process",
            ) from None
        return handle

    def _fence(self) -> None:
        _, epoch = self._read()
        if self._lock < 0 or epoch != self.epoch:
            raise RefusedError(
                "another process has taken over this agent", why=f"epoch {epoch}, not {self.epoch}"
            )

    def _read(self) -> tuple[int, int]:
        try:
            plain = json.loads(self._path.read_text(encoding="utf-8"))
            return int(plain["mark"]), int(plain["epoch"])
        except FileNotFoundError:
            return 0, 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"{self._path} cannot be read",
                why=f"{type(error).__name__}: {error}",
                fix="move it away only if no process used this agent in the last two days",
            ) from None

    def _write(self, mark: int) -> None:
        text = json.dumps({"mark": mark, "epoch": self.epoch})
        temporary = self._path.with_suffix(".tmp")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, text.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(temporary, self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written", why=str(error)) from None
        self._mark = mark
