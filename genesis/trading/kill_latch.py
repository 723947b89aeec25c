"""The kill latch: a file; while it is there, nothing that adds risk leaves any process.

``touch WORKSPACE/kill`` is enough to set it. `set` writes it with who and why, forced to disk
before anything else is done. A writer looks at it before each submission, so that it needs nobody's
vote and nobody's process, and it survives restarts. Lifting it is a step of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from genesis.market.atomic_file import storage_error, sync_folder, write_atomic

FILE: Final = "kill"
SCHEMA: Final = 1
_MOST_BYTES = 4_096


class KillOrder(msgspec.Struct, frozen=True):
    """What a latch says of itself.

    Attributes
    ----------
    reason, who : str
        Empty where the file is one that somebody touched.
    at_ms : int
        When it was set; the file's own time where it does not say.
    flatten : bool
        Whether positions are to be closed; true where the file does not say.
    schema : int
    """

    reason: str = ""
    who: str = ""
    at_ms: int = 0
    flatten: bool = True
    schema: int = SCHEMA

    @property
    def text(self) -> str:
        """Readable, in one line."""
        by = f" by {self.who}" if self.who else ""
        return f"killed{by}: {self.reason}" if self.reason else f"killed{by}"


class KillLatch:
    """The latch of a workspace.

    Parameters
    ----------
    home : Path
        Of the workspace.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        self._name = os.fspath(self.path)

    def closed(self) -> str:
        """Why nothing that adds risk may leave, empty if it may.

        A latch that cannot be looked at is a closed one.
        """
        order = self.read()
        return order.text if order is not None else ""

    def read(self) -> KillOrder | None:
        """What the latch says, None if it is not set; an unreadable one says nothing and holds."""
        try:
            at_ms = os.lstat(self._name).st_mtime_ns // 1_000_000
        except FileNotFoundError:
            return None
        except OSError as error:
            return KillOrder(f"the kill latch cannot be looked at: {error.strerror}")
        try:
            with self.path.open("rb") as file:
                content = file.read(_MOST_BYTES)
        except OSError:
            return KillOrder(at_ms=at_ms)
        try:
            return msgspec.json.decode(content, type=KillOrder)
        except msgspec.DecodeError:
            return KillOrder(at_ms=at_ms)

    def set(self, order: KillOrder) -> KillOrder:
        """Set the latch durably; one that is set stays as it is.

        A second order that asks for more (to close positions too) takes the place of the first.

        Returns
        -------
        KillOrder
            The one that holds now.

        Raises
        ------
        StorageError
            If the file cannot be written. Then end the trader's process instead.
        """
        held = self.read()
        if held is not None and (held.flatten or not order.flatten):
            return held
        write_atomic(self.path, lambda file: file.write(msgspec.json.encode(order)))
        return order

    def lift(self) -> KillOrder | None:
        """Take the latch away; returns what it said, None if it was not set.

        Raises
        ------
        StorageError
        """
        held = self.read()
        if held is None:
            return None
        try:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
        except OSError as error:
            raise storage_error(f"cannot remove {self.path}", error) from error
        return held


class SeenLatch(KillLatch):
    """The latch as one process sees it: what was seen once holds until the process ends.

    So lifting the file lets nobody go on who began under it, with checks left out or a kill begun.
    A look that failed counts as one that saw it: what was left out because of it is left out.

    Parameters
    ----------
    home : Path
        Of the workspace.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._seen: KillOrder | None = None

    def read(self) -> KillOrder | None:
        """What the latch says, or said when it was seen last; None if it never was."""
        found = super().read()
        if found is not None:
            self._seen = found
        return self._seen
