"""Which worker gets which unit, and what happens to a unit whose worker failed."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from genesis.evolution.work import WorkUnit

MAX_FAILURES = 2


class UnitBoard:
    """Units of one `Executor.run` call that still wait for a worker.

    A worker stays with a symbol while units of it remain, so that a series is computed once and
    can be dropped when its symbol is done. A worker without a symbol takes one that nobody holds,
    best one of its own from the last generation (symbols are dealt round the workers), else
    helps with the one that has the most units left.

    Parameters
    ----------
    units : iterable of WorkUnit
    workers : sequence of str
        Labels of the workers.
    """

    def __init__(self, units: Iterable[WorkUnit], workers: Sequence[str] = ()) -> None:
        self._place = {label: place for place, label in enumerate(workers)}
        self._waiting: dict[int, deque[WorkUnit]] = defaultdict(deque)
        self._held: dict[str, int] = {}
        self._failures: dict[int, list[str]] = defaultdict(list)
        self._avoid: dict[int, str] = {}
        self.exhausted: list[WorkUnit] = []
        for unit in units:
            self._waiting[unit.symbol].append(unit)

    def __bool__(self) -> bool:
        """Whether a unit waits for a worker."""
        return any(self._waiting.values())

    def take(self, worker: str, *, alone: bool = False) -> WorkUnit | None:
        """Next unit for a worker, or None.

        Parameters
        ----------
        worker : str
            Label of the worker's place; a replacement keeps the label.
        alone : bool
            Whether there is no other worker, so that a unit may return to where it failed.
        """
        for symbol in self._preference(worker):
            waiting = self._waiting[symbol]
            for place, unit in enumerate(waiting):
                if alone or self._avoid.get(unit.unit) != worker:
                    del waiting[place]
                    self._held[worker] = symbol
                    return unit
        self._held.pop(worker, None)
        return None

    def _preference(self, worker: str) -> list[int]:
        """Symbols with waiting units, best first for this worker."""
        own = self._held.get(worker)
        others = {symbol for holder, symbol in self._held.items() if holder != worker}
        place, count = self._place.get(worker, 0), max(len(self._place), 1)

        def rank(symbol: int) -> tuple[bool, bool, bool, int, int]:
            left = len(self._waiting[symbol])
            return symbol != own, symbol in others, symbol % count != place, -left, symbol

        return sorted((s for s, waiting in self._waiting.items() if waiting), key=rank)

    def put_back(self, unit: WorkUnit) -> None:
        """Return a unit that its worker never began, first in its symbol's line."""
        self._waiting[unit.symbol].appendleft(unit)

    def failed(self, unit: WorkUnit, worker: str, cause: str) -> bool:
        """Note that a unit's worker died or hung while running it.

        Returns
        -------
        bool
            Whether the unit goes to a worker again; otherwise it is in ``exhausted``.
        """
        causes = self._failures[unit.unit]
        causes.append(f"{worker}: {cause}")
        if len(causes) >= MAX_FAILURES:
            self.exhausted.append(unit)
            return False
        self._avoid[unit.unit] = worker
        self._waiting[unit.symbol].appendleft(unit)
        return True

    def causes(self, unit: WorkUnit) -> tuple[str, ...]:
        """Why a unit failed so far, oldest first."""
        return tuple(self._failures[unit.unit])
