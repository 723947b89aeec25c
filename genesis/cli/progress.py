"""Live progress of a study: a panel on a terminal, one line a generation elsewhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.console import Console

from genesis.cli.render import duration, number, percent

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from genesis.evolution.metrics import EvolutionMetrics

_BARS = "▁▂▃▄▅▆▇█"


class StudyProgress:
    """A study listener that shows each generation as it ends.

    Parameters
    ----------
    out : Console
        Where to print; a console without a terminal gets plain lines.
    """

    def __init__(self, out: Console) -> None:
        self._out = out
        self._live: Live | None = None
        self._best: list[float] = []

    def on_start(self, run: Any) -> None:
        """Say which run begins."""
        self._out.print(f"run {run.id}", markup=False)
        if self._out.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._out, refresh_per_second=4, transient=True)
            self._live.start()

    def on_generation(self, metrics: EvolutionMetrics) -> None:
        """Show a generation."""
        self._best.append(metrics.best)
        if self._live is None:
            self._out.print(line(metrics), markup=False)
            return
        self._live.update(self._panel(metrics))
        # The scrolled history stays readable when the panel is gone.
        self._live.console.print(line(metrics), markup=False, style="dim")

    def on_finish(self, result: Any) -> None:
        """Take the panel away."""
        del result
        self.stop()

    def stop(self) -> None:
        """End the live display; safe to call twice."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _panel(self, metrics: EvolutionMetrics) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="bold")
        grid.add_column()
        done = metrics.generation + 1
        grid.add_row("generation", f"{done} of {metrics.generations}   ETA {_eta(metrics)}")
        grid.add_row("", ProgressBar(total=metrics.generations, completed=done, width=40))
        grid.add_row(
            "fitness",
            f"best {number(metrics.best)}   median {number(metrics.median)}   "
            f"worst {number(metrics.worst)}   random arm {number(metrics.random_best)}",
        )
        grid.add_row("best so far", sparkline(self._best))
        grid.add_row(
            "diversity",
            f"genomes {percent(metrics.genome_diversity, 0)}   "
            f"behaviour {percent(metrics.behaviour_diversity, 0)}   "
            f"archive {metrics.archive_cells} cells",
        )
        grid.add_row(
            "speed",
            f"{number(metrics.evaluations_per_s, 0)} evaluations/s   "
            f"{metrics.workers} worker{'s' if metrics.workers != 1 else ''} "
            f"{percent(metrics.worker_efficiency, 0)} busy",
        )
        if metrics.failures or metrics.faults:
            grid.add_row("not valid", _counts(metrics.failures))
            grid.add_row("faults", _counts(metrics.faults))
        return grid


def line(metrics: EvolutionMetrics) -> str:
    """One generation as a plain line."""
    parts = [
        f"generation {metrics.generation + 1}/{metrics.generations}",
        f"best {number(metrics.best)}",
        f"median {number(metrics.median)}",
        f"diversity {percent(metrics.genome_diversity, 0)}",
        f"valid {percent(metrics.valid_share, 0)}",
        f"{number(metrics.evaluations_per_s, 0)} evaluations/s",
        f"{metrics.workers} worker{'s' if metrics.workers != 1 else ''}",
        f"ETA {_eta(metrics)}",
    ]
    if metrics.faults:
        parts.append(f"faults: {_counts(metrics.faults)}")
    return "  ".join(parts)


def sparkline(values: list[float], width: int = 40) -> str:
    """Unicode bars of the last finite values, scaled to their own range."""
    finite = [v for v in values if math.isfinite(v)][-width:]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    top = len(_BARS) - 1
    return "".join(_BARS[round((v - low) / span * top)] for v in finite)


def _eta(metrics: EvolutionMetrics) -> str:
    left = metrics.generations - metrics.generation - 1
    return "done" if left <= 0 else duration(metrics.eta_s)


def _counts(counts: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
