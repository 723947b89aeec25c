"""The port to market data: a feed is a sequence of phases, each a handful of events.

Inside a bar everybody must have seen the open before anybody sees the range, and so on: events
that belong to one step of the market come as one phase. Who drives a feed handles a phase to its
end, with all that follows from it, before it takes the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from genesis.domain.errors import DataError
from genesis.domain.timeline import format_ts
from genesis.trading.events import Event
from genesis.trading.payloads import encode


class Phase(msgspec.Struct, frozen=True, gc=False):
    """One step of the market.

    Attributes
    ----------
    ts_ms : int
        Instant of the step; those of later phases are never smaller.
    events : tuple of Event
        Not numbered, in the order in which they are to be published; never empty.
    """

    ts_ms: int
    events: tuple[Event, ...]


class DataFeed(Protocol):
    """Market data in phases, the same every time it is read."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that it has bars of, in a fixed order."""
        ...

    @property
    def interval_ms(self) -> int:
        """Length of its bars in milliseconds."""
        ...

    @property
    def anchor_ms(self) -> int:
        """Open time of the first bar of its grid: where kernels begin."""
        ...

    @property
    def end_ms(self) -> int | None:
        """Instant of its last phase, None for an endless feed."""
        ...

    @property
    def total(self) -> int | None:
        """Number of phases, None for an endless feed."""
        ...

    def phases(self, start_ms: int | None = None) -> Iterator[Phase]:
        """Phases in order, those at or after ``start_ms`` where it is given."""
        ...

    def count_before(self, ts_ms: int) -> int:
        """Number of phases before an instant, to show progress after a resume."""
        ...


def resume_after(feed: DataFeed, last: Event | None) -> Iterator[Phase]:
    """Phases of a feed that are left after an event of it, which may lie inside a phase.

    Parameters
    ----------
    feed : DataFeed
    last : Event or None
        The last event of this feed that is in the log; None for a start from the beginning.

    Raises
    ------
    DataError
        If the feed does not have that event: it is not the feed that the log was made from.
    """
    if last is None:
        yield from feed.phases()
        return
    wanted = (last.type, last.aggregate, encode(last.data))
    phases = feed.phases(last.ts_ms)
    for phase in phases:
        if phase.ts_ms > last.ts_ms:
            break
        for place, event in enumerate(phase.events):
            if (event.type, event.aggregate) == wanted[:2] and encode(event.data) == wanted[2]:
                rest = phase.events[place + 1 :]
                if rest:
                    yield Phase(phase.ts_ms, rest)
                yield from phases
                return
    raise DataError(
        f"the feed has no {last.type} of {last.aggregate or 'the market'} "
        f"at {format_ts(last.ts_ms)}",
        why="the data are not those that the run was started with",
        fix="resume it with the dataset that it was started with",
    )
