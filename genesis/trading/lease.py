"""The lease on an account: one process at a time may send orders for it.

It is a lock of the operating system, so it ends with the process that holds it, however it ends.
Each holder raises the epoch in the file; one that finds another epoch than its own was replaced.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from genesis.domain.errors import RefusedError, StorageError
from genesis.market.atomic_file import storage_error
from genesis.trading.store.lock import is_alive

_MOST_BYTES = 4_096


class AccountLease:
    """The right to trade one account.

    Parameters
    ----------
    folder : Path
        Where leases lie; made when missing, readable by its owner alone.
    account : str
        Address of the account.
    run : str
        Who holds it, for others to read.

    Attributes
    ----------
    epoch : int
        Number of this holder.

    Raises
    ------
    RefusedError
        If another process holds it; names run and process id.
    StorageError
        If the file cannot be read or written.
    """

    def __init__(self, folder: Path, account: str, run: str) -> None:
        self._path = folder / f"{account.lower()}.lease"
        self.epoch = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._handle = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise storage_error(f"cannot make the lease {self._path}", error) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.epoch = int(_content(self._handle).get("epoch", 0)) + 1
            self._write(run)
        except OSError as error:
            held = _content(self._handle)
            self.release()
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                raise _taken(account, held) from None
            raise storage_error(f"cannot take the lease {self._path}", error) from error
        except BaseException:
            self.release()
            raise

    def _write(self, run: str) -> None:
        self._note({"epoch": self.epoch, "run": run, "process": os.getpid()})

    def _note(self, note: dict[str, Any]) -> None:
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, msgspec.json.encode(note), 0)
        os.fsync(self._handle)

    def held(self) -> bool:
        """Whether it is still this process's: the file is there with its own epoch."""
        try:
            here, there = os.fstat(self._handle), self._path.lstat()
        except OSError:
            return False
        same = (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
        return same and _content(self._handle).get("epoch") == self.epoch

    def closed(self) -> str:
        """Why nothing may be sent, empty if it may: a latch, see `genesis.trading.outlet`."""
        return "" if self.held() else f"the lease {self._path.name} was taken away"

    def release(self) -> None:
        """Give it up; safe to call twice."""
        if self._handle >= 0:
            if self.epoch and self.held():
                self._note({"epoch": self.epoch, "run": "", "process": 0})
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> AccountLease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Holder(NamedTuple):
    """Who took a lease and did not give it back; one that is not alive left it behind."""

    run: str
    process: int
    alive: bool


def last_holder(folder: Path, account: str) -> Holder | None:
    """Who took a lease last and did not give it back, alive or not; None if nobody.

    Raises
    ------
    StorageError
    """
    path = folder / f"{account.lower()}.lease"
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error(f"cannot read the lease {path}", error) from error
    try:
        held = _content(handle)
    finally:
        os.close(handle)
    process = int(held.get("process", 0))
    return Holder(str(held.get("run", "")), process, is_alive(process)) if process else None


def _content(handle: int) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(os.pread(handle, _MOST_BYTES, 0) or b"{}")
    except msgspec.DecodeError as error:
        raise StorageError(
            "a lease cannot be read",
            why=str(error),
            fix="end every trader of this workspace, then remove its *.lease files",
        ) from None
    return value if isinstance(value, dict) else {}


def _taken(account: str, held: dict[str, Any]) -> RefusedError:
    run, process = held.get("run", "?"), held.get("process", "?")
    return RefusedError(
        f"account {account} is being traded already",
        why=f"run {run}, process {process}, holds its lease; two would undo each other",
        fix=f"stop that one first: genesis live list, genesis paper list; or end process {process}",
    )
