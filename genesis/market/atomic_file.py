"""Files that are either the old version or the new one, whatever happens in between."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from genesis.domain.errors import StorageError

_COUNTER = itertools.count()


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part.

    The content goes to a hidden file beside the target, is forced to disk, takes the target's
    name in one step, and the folder entry is forced to disk too.

    Parameters
    ----------
    path : Path
        Target; its folder is made when missing.
    write : callable
        Receives the open binary file.

    Raises
    ------
    StorageError
        If the disk is full or the file cannot be written; the target is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_COUNTER)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(f"cannot write {path}", error) from error


def storage_error(what: str, error: OSError) -> StorageError:
    """Turn an operating system error into one that names cause and remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = "free space on that disk, or choose another folder with --home; nothing was changed"
        return StorageError(what, why="the disk is full", fix=fix)
    why = error.strerror or str(error)
    return StorageError(what, why=why, fix="check the folder's permissions and free space")


def sync_folder(folder: Path) -> None:
    """Force the entries of a folder to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file against other writers, in this process or another.

    The lock belongs to the open file, so it is gone when its holder dies.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise storage_error(f"cannot lock {lock.parent}", error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def remove_leftovers(path: Path) -> None:
    """Remove parts of a file that a killed writer left; call it with the lock held."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        part.unlink(missing_ok=True)
