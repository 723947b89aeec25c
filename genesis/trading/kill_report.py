"""What became of a kill in one run: written by whoever carried it out, read by whoever asked."""

from __future__ import annotations

from pathlib import Path

import msgspec

from genesis.market.atomic_file import write_atomic
from genesis.trading.struct_file import read_struct

FILE = "killed.json"
SCHEMA = 1


class KillReport(msgspec.Struct, frozen=True):
    """How far a kill has come.

    Attributes
    ----------
    latched_ms, told_ms : int
        When the latch was set, and when this was written.
    orders : int
        That still rest at the exchange, as far as is known.
    positions : tuple of str
        That are still held there.
    verified : bool
        Whether the exchange itself was asked, this is what it said, and nothing of ours can be
        on its way to it.
    trouble : str
        What could not be learnt, cancelled or closed the last time, and why.
    flatten : bool
        Whether positions were to be closed.
    schema : int
    had : str
        What the run had when it heard of the kill; empty where nobody could tell.
    """

    latched_ms: int
    told_ms: int
    orders: int
    positions: tuple[str, ...]
    verified: bool
    trouble: str = ""
    flatten: bool = True
    schema: int = SCHEMA
    had: str = ""

    @property
    def done(self) -> bool:
        """Whether nothing is left that was to go."""
        return self.verified and not self.orders and not (self.flatten and self.positions)

    @property
    def text(self) -> str:
        """Readable, in one line."""
        if not self.verified:
            return f"the exchange could not be asked: {self.trouble or 'no answer yet'}"
        held = f"positions {', '.join(self.positions)}" if self.positions else "no position"
        left = f"{self.orders or 'no'} orders rest at the exchange, {held}"
        return left if self.done or not self.trouble else f"{left}: {self.trouble}"


def write_kill_report(folder: Path, report: KillReport) -> None:
    """Replace the report of a run.

    Raises
    ------
    StorageError
    """
    write_atomic(folder / FILE, lambda file: file.write(msgspec.json.encode(report)))


def read_kill_report(folder: Path) -> KillReport | None:
    """Report of a run, None if it was never killed.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    return read_struct(folder / FILE, KillReport, fix="remove it and kill again")
