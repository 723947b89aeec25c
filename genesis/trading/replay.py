"""Replay: a core run over its log without acting, every emission compared with the stored one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genesis.domain.errors import InfrastructureError
from genesis.trading.core import TradingCore
from genesis.trading.events import Event, Lane
from genesis.trading.loop import halted_on
from genesis.trading.payloads import encode
from genesis.trading.tables import Row


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a replay did something else than the log says.

    Attributes
    ----------
    seq : int
        Event of the log, 0 for an emission that the log lacks.
    what : str
    """

    seq: int
    what: str


def same(made: Event, logged: Event) -> bool:
    """Whether an emission is the one that the log holds, to the byte."""
    return (
        made.type is logged.type
        and made.ts_ms == logged.ts_ms
        and made.aggregate == logged.aggregate
        and made.correlation == logged.correlation
        and encode(made.data) == encode(logged.data)
    )


class Refold:
    """Runs a core over a log without acting, and compares what it emits with what is stored.

    Parameters
    ----------
    core : TradingCore
        At the state that belongs to the event before the first one.
    quarantined : collection of int
        Numbers of events that a person took out; their emissions are taken from the log.

    Attributes
    ----------
    events : int
        Events handled.
    divergences : list of Divergence
        At most `MOST_DIVERGENCES`.
    """

    MOST_DIVERGENCES = 100

    def __init__(self, core: TradingCore, quarantined: Sequence[int] = ()) -> None:
        self.core = core
        self.events = 0
        self.divergences: list[Divergence] = []
        self._quarantined = frozenset(quarantined)
        self._expected: dict[tuple[int, int], Event] = {}
        self._stored: dict[Lane, tuple[int, int]] = {}

    def handle(self, event: Event) -> list[Row]:
        """Handle one event of the log, in its order; returns the rows that it leads to.

        Raises
        ------
        HaltedOnEvent
            If the handler fails.
        """
        if event.caused_by:
            self._compare(event)
        if event.seq in self._quarantined:
            return []
        core = self.core
        try:
            core.handle(event)
        except Exception as error:
            raise halted_on(core.desk.run, event, f"{type(error).__name__}: {error}") from error
        for made in core.emitted:
            self._expected[made.caused_by, made.ordinal] = made
        self.events += 1
        return core.rows

    def pending(self) -> list[Event]:
        """Emissions that the log does not hold yet: the run stopped before they were stored.

        A lane is first in, first out. One that is older than an emission of its lane that the log
        does hold was never made by the run: it is noted as a divergence, not to be acted on.
        """
        waiting = []
        for key in sorted(self._expected):
            made = self._expected[key]
            if key < self._stored.get(made.lane, key):
                self._note(key[0], f"{made.type} was emitted and is not in the log")
            else:
                waiting.append(made)
        return waiting

    def _compare(self, event: Event) -> None:
        if event.caused_by in self._quarantined:
            return
        key = (event.caused_by, event.ordinal)
        self._stored[event.lane] = max(key, self._stored.get(event.lane, key))
        made = self._expected.pop(key, None)
        if made is None:
            self._note(event.seq, f"{event.type} is in the log and was not emitted")
        elif not same(made, event):
            self._note(event.seq, f"{event.type} differs from the {made.type} that was emitted")

    def _note(self, seq: int, what: str) -> None:
        if len(self.divergences) < self.MOST_DIVERGENCES:
            self.divergences.append(Divergence(seq, what))


def require_equal(refold: Refold, run: str) -> None:
    """Refuse to go on with a run whose log this build does not reproduce.

    Raises
    ------
    InfrastructureError
        Naming the first difference.
    """
    if refold.divergences:
        first = refold.divergences[0]
        raise InfrastructureError(
            f"run {run} cannot be continued: its log is not what this build makes of it",
            why=f"event {first.seq}: {first.what}",
            fix=f"use the build that began it: genesis events query {run} --type run_started",
        )
