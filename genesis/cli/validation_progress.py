"""Live progress of a validation: a panel on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from genesis.cli.render import duration, number

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from genesis.domain.clock import Clock

WORDS = {
    "trials": "blocks of the study's trials",
    "noise": "jittered markets",
    "candidates": "strategies measured",
    "sample": "fixed sample of random strategies",
    "sign": "reruns on sign-randomised markets",
    "shuffle": "reruns on bar-shuffled markets",
}
"""What is counted in each step."""

STOPPING = "stopping"
"""Step in which nothing is counted: the user wants it to end, and workers have to."""

_LINES = 5
"""Most lines of a step that is still going on, where there is no terminal."""
_QUIET_S = 10.0
"""Steps without reruns are told of only where they take longer than this."""


class ValidationProgress:
    """Told (step, done, total) by a validation, shows it.

    Parameters
    ----------
    out : Console
        Where to print; a console without a terminal gets plain lines.
    clock : Clock
    reruns : sequence of str
        Steps in which the search is run again, in order: by far the longest.
    """

    def __init__(self, out: Console, clock: Clock, reruns: Sequence[str]) -> None:
        self._out = out
        self._clock = clock
        self._reruns = tuple(reruns)
        self._live: Live | None = None
        self._step: _Step | None = None

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take note of how far a step is."""
        if step == STOPPING:
            self.stop()
            self._out.print("stopping; what is finished is kept…", markup=False)
            return
        if self._step is None or self._step.name != step:
            self._end()
            self._step = _Step(step, done, total, self._clock)
            self._begin()
        now = self._step
        now.done = done
        if self._live is None and now.due(step in self._reruns):
            self._out.print(f"{now.text()}  ETA {duration(self._eta())}", markup=False)
        if done >= total:
            self._end()

    def finish(self) -> None:
        """End the last step, which may have been decided early."""
        self._end()

    def stop(self) -> None:
        """Take the live display away, wherever the validation is; safe to call twice."""
        self._step = None
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _begin(self) -> None:
        if self._out.is_terminal and self._live is None:
            from rich.live import Live

            self._live = Live(
                console=self._out,
                get_renderable=self._panel,
                refresh_per_second=4,
                transient=True,
            )
            self._live.start()

    def _end(self) -> None:
        step = self._step
        if step is None or step.told:
            return
        step.told = True
        self._out.print(
            f"{step.text(ended=True)}  {duration(step.seconds)}",
            markup=False,
            style="dim" if self._live is not None else None,
        )

    def _eta(self) -> float | None:
        """Seconds left of this step, and of reruns that come after it if it is one itself."""
        step = self._step
        if step is None or step.pace is None:
            return None
        left = step.total - step.done
        if step.name in self._reruns:
            later = len(self._reruns) - self._reruns.index(step.name) - 1
            left += later * step.total
        return left * step.pace

    def _panel(self) -> Table | str:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        step = self._step
        if step is None:
            return ""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="bold")
        grid.add_column()
        grid.add_row(step.name, f"{step.count()} {WORDS.get(step.name, '')}")
        grid.add_row("", ProgressBar(total=max(step.total, 1), completed=step.done, width=40))
        most = "at most " if step.name in self._reruns else ""
        eta = self._eta()
        shown = "not known yet" if eta is None else f"{most}{duration(eta)}"
        grid.add_row("time", f"{duration(step.seconds)} so far   ETA {shown}")
        return grid


class _Step:
    """One step: what is done of it, and how fast."""

    def __init__(self, name: str, done: int, total: int, clock: Clock) -> None:
        self.name = name
        self.total = total
        self.done = done
        self.told = False
        self._earlier = done
        self._clock = clock
        self._began = clock.monotonic()
        self._lines = 0
        self._said = self._began

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock.monotonic() - self._began

    @property
    def pace(self) -> float | None:
        """Seconds a piece, not counting what an earlier sitting had finished."""
        fresh = self.done - self._earlier
        return self.seconds / fresh if fresh > 0 else None

    def due(self, rerun: bool) -> bool:
        """Whether a line about it is due; at its end another one is printed."""
        part = self.done * _LINES // max(self.total, 1)
        waited = self._clock.monotonic() - self._said
        if part <= self._lines or self.done >= self.total or not (rerun or waited >= _QUIET_S):
            return False
        self._lines, self._said = part, self._clock.monotonic()
        return True

    def count(self) -> str:
        """``3 of 19``."""
        return f"{number(self.done)} of {number(self.total)}"

    def text(self, *, ended: bool = False) -> str:
        """Line about it."""
        early = "  decided early" if ended and self.done < self.total else ""
        return f"{self.name:11} {self.count()} {WORDS.get(self.name, '')}{early}".rstrip()
