"""One writer a run: a lock of the operating system on the run's folder."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from genesis.domain.errors import RefusedError, StorageError

FILE: Final = "writer.lock"


class WriterBusyError(RefusedError):
    """Another writer holds the folder: whoever writes for a moment only may wait for it."""


class WriterLock:
    """The right to write a run; it ends with the process that holds it, however it ends.

    Parameters
    ----------
    folder : Path
        Of the run; must be there.

    Raises
    ------
    WriterBusyError
        If another writer holds it, in this process or another; names its process id.
    StorageError
        If the lock file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / FILE
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(
                f"cannot lock {folder}",
                why=error.strerror or str(error),
                fix="check that the folder is there, and yours to write",
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = holder_of(folder) or "unknown"
            os.close(self._handle)
            if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                raise StorageError(
                    f"cannot lock {folder}",
                    why=error.strerror or str(error),
                    fix="keep the workspace on a local disk: this file system has no locks",
                ) from error
            raise WriterBusyError(
                f"another process writes to {folder}",
                why=f"its process id is {holder}; two writers would tear the log apart",
                fix=f"end it first (kill {holder}), or choose another run",
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give it up; safe to call twice."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1


def holder_of(folder: Path) -> str:
    """Process id in the lock file; empty if there is none. One that was killed leaves it there."""
    try:
        return (folder / FILE).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def is_alive(process: int) -> bool:
    """Whether a process is there, whoever it belongs to."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
