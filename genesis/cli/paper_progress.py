"""Live progress of a paper run, and Ctrl-C that saves."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console

from genesis.cli.closed_pipe import NobodyReads
from genesis.cli.render import duration

if TYPE_CHECKING:
    from rich.progress import Progress

    from genesis.trading.feed import DataFeed

_EVERY_S = 5.0


class PaperProgress:
    """Shows how far a run is; the first Ctrl-C or SIGTERM asks it to stop where it can go on.

    Parameters
    ----------
    out : Console
    total : int, optional
        Phases of the market.
    """

    stopping = "stopping at the next step of the market; everything is saved"

    def __init__(self, out: Console, total: int | None = None) -> None:
        self._out = out
        self._total = total
        self._bar: Progress | None = None
        self._task: Any = None
        self._asked = False
        self._before: dict[int, Any] = {}
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        if self._out.is_terminal:
            from rich.progress import Progress

            self._bar = Progress(console=self._out, transient=True)
            self._bar.start()
            self._task = self._bar.add_task("trading", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._bar is not None:
            self._bar.stop()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._say(self.stopping)

    def _say(self, text: str) -> None:
        """Print a line; where nobody reads it the run stops, as if it had been asked to."""
        try:
            self._out.print(text, markup=False)
        except NobodyReads:
            self._asked = True

    def begin(self, run_id: str, strategies: int, feed: DataFeed) -> None:
        """Say which run begins."""
        few = "strategy" if strategies == 1 else "strategies"
        many = "symbol" if len(feed.symbols) == 1 else "symbols"
        self._say(f"run {run_id}: {strategies} {few} on {len(feed.symbols)} {many}")

    def stopped(self) -> bool:
        """Whether the user asked to stop."""
        return self._asked

    def told(self, phases: int) -> None:
        """Show the number of phases taken."""
        if self._bar is not None:
            if phases % 64 == 0:
                self._bar.update(self._task, completed=phases)
            return
        now = time.monotonic()
        if now - self._told >= _EVERY_S:
            self._told = now
            speed = phases / (now - self._begun)
            left = duration((self._total - phases) / speed) if self._total else "-"
            of = f" of {self._total:,}" if self._total else ""
            self._say(f"{phases:,}{of} steps of the market  {speed:,.0f}/s  ETA {left}")
