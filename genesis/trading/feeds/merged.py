"""Bars and the other origins in one sequence of phases."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from genesis.trading.events import Event
from genesis.trading.feed import DataFeed, Phase
from genesis.trading.feeds.origins import OriginProvider


class MergedFeed:
    """Bars with schedules and news between them.

    The origins of one instant are one phase, provider by provider, before every phase that the
    bars have at that instant. What lies before the first bar or after the last is left out.

    Parameters
    ----------
    bars : DataFeed
    providers : sequence of OriginProvider
    """

    def __init__(self, bars: DataFeed, providers: Sequence[OriginProvider]) -> None:
        self._bars = bars
        self._providers = tuple(providers)
        self._total: int | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the bars."""
        return self._bars.symbols

    @property
    def interval_ms(self) -> int:
        """Length of the bars in milliseconds."""
        return self._bars.interval_ms

    @property
    def anchor_ms(self) -> int:
        """Open time of the first bar."""
        return self._bars.anchor_ms

    @property
    def end_ms(self) -> int | None:
        """Instant of the last phase, None for endless bars."""
        return self._bars.end_ms

    @property
    def total(self) -> int | None:
        """Number of phases, None for endless bars."""
        if self._total is None and self.end_ms is not None:
            self._total = self.count_before(self.end_ms + 1)
        return self._total

    def phases(self, start_ms: int | None = None) -> Iterator[Phase]:
        """Phases in order, those at or after ``start_ms`` where it is given."""
        origins = self._origins(self.anchor_ms if start_ms is None else start_ms)
        waiting = next(origins, None)
        for phase in self._bars.phases(start_ms):
            while waiting is not None and waiting.ts_ms <= phase.ts_ms:
                yield waiting
                waiting = next(origins, None)
            yield phase

    def count_before(self, ts_ms: int) -> int:
        """Number of phases before an instant."""
        end = self.end_ms
        limit = ts_ms if end is None else min(ts_ms, end + 1)
        count = self._bars.count_before(ts_ms)
        for phase in self._origins(self.anchor_ms):
            if phase.ts_ms >= limit:
                break
            count += 1
        return count

    def _origins(self, start_ms: int) -> Iterator[Phase]:
        first = max(start_ms, self.anchor_ms)
        when = attrgetter("ts_ms")
        streams: list[Iterator[Event]] = [p.events(first) for p in self._providers]
        for ts_ms, events in groupby(heapq.merge(*streams, key=when), key=when):
            yield Phase(ts_ms, tuple(events))
