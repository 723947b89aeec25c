"""The clock of a step down in a workspace whose time was scripted: the later of what is known.

A step down is possible at any time, also without the local exchange that lets time pass. Dated by
the machine alone it would lie before what was traded, and those bars would count as from after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genesis.decision.rehearsal_time import CLOCK_SLACK_MS, require_rehearsal
from genesis.domain.errors import GenesisError, RefusedError
from genesis.domain.timeline import format_ts
from genesis.system.clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from genesis.decision.deployments import DeploymentBook
    from genesis.domain.clock import Clock
    from genesis.system.workspace import Workspace


@dataclass(frozen=True, slots=True)
class LaterClock:
    """The machine's clock, but never before an instant."""

    floor_ms: int

    def now_ms(self) -> int:
        """The later of both."""
        return max(SystemClock().now_ms(), self.floor_ms)

    def monotonic(self) -> float:
        """Seconds, as the machine counts them."""
        return SystemClock().monotonic()


def clock_of_step_down(workspace: Workspace, book: DeploymentBook) -> tuple[LaterClock, str]:
    """Clock that dates a step down, and a note where it is not the machine's.

    Where something is or was deployed off this machine no time was scripted, and none is looked
    for.

    Parameters
    ----------
    workspace : Workspace
    book : DeploymentBook
    """
    try:
        require_rehearsal(book)
    except RefusedError:
        return LaterClock(0), ""
    known = [step.ts_ms for one in book.deployments.values() for step in one.history]
    latest = max([*known, *_last_events(workspace)], default=0)
    if latest - SystemClock().now_ms() <= CLOCK_SLACK_MS:
        return LaterClock(0), ""
    note = (
        f"time was scripted here: the step is dated {format_ts(latest)}, the last instant of a log"
        " or run, and not by this machine's clock; --scripted URL takes the exchange's own time"
    )
    return LaterClock(latest), note


def clock_of_retirements(workspace: Workspace, book: DeploymentBook, chosen: Clock | None) -> Clock:
    """Clock that dates retirements which were decided before and a command now carries out.

    They are steps down, whatever the command itself is for; and scripted time dates nothing where
    something is or was deployed off this machine.

    Parameters
    ----------
    workspace : Workspace
    book : DeploymentBook
    chosen : Clock, optional
        That of the command; None for the machine's.
    """
    if chosen is None:
        return clock_of_step_down(workspace, book)[0]
    try:
        require_rehearsal(book)
    except RefusedError:
        return LaterClock(0)
    return chosen


def _last_events(workspace: Workspace) -> list[int]:
    """When the live runs on local exchanges wrote last; a log that cannot be read says nothing."""
    from genesis.trading.run_folders import list_runs

    found = []
    for folder in list_runs(workspace.home):
        try:
            found.append(_last_event(folder))
        except GenesisError:
            continue
    return found


def _last_event(folder: Path) -> int:
    from genesis.paper.logged import market_of
    from genesis.trading.payloads import RunStarted
    from genesis.trading.store import EventReader

    with EventReader(folder) as reader:
        first, last = reader.event(1), reader.event(reader.head.seq)
        if first is None or last is None or not isinstance(first.data, RunStarted):
            return 0
        local = first.data.mode == "live" and market_of(first.data).get("network") == "local"
        return last.recorded_ms if local else 0
