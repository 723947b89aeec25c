"""Fear and greed in a live run: its source is asked beside the loop, and what it says is an event.

A source that is silent or answers nonsense is told as such, once, and asked again; it keeps no run
from starting and stops none. What a decision makes of a value is in `genesis.risk.regime`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Protocol

from genesis.domain.clock import Clock
from genesis.domain.errors import GenesisError
from genesis.market.sources.fear_greed import FearGreed
from genesis.trading.events import Event
from genesis.trading.payloads import SentimentUpdated

EVERY_S = 30.0
"""How often it is looked whether there is something new; the source itself is asked less often."""
_ENDING_S = 1.0


class SentimentSource(Protocol):
    """Where the index comes from."""

    def latest(self) -> FearGreed:
        """Newest value; asks for it now and then, and says why where there is none."""
        ...


class SentimentFeed:
    """Publishes what a source says, whenever that is something else than before.

    Parameters
    ----------
    source : SentimentSource
    name : str
        Its address, for the record.
    publish : callable
        Takes the events; may block while the bus is full.
    clock : Clock
        Stamps them.
    """

    def __init__(
        self,
        source: SentimentSource,
        name: str,
        publish: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        self._source = source
        self._name = name
        self._publish = publish
        self._clock = clock
        self._told: tuple[int, str] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sentiment", daemon=True)

    def start(self) -> None:
        """Begin to ask, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; an answer that is waited for is not waited for any longer than a second."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(_ENDING_S)

    def look(self) -> SentimentUpdated | None:
        """Ask, and publish what is new; None where nothing is."""
        found = self._source.latest()
        told = (found.ts_ms, _kind(found))
        if told == self._told:
            return None
        self._told = told
        index = math.nan if found.neutral else found.index
        data = SentimentUpdated(index, found.ts_ms, self._name, found.note)
        if not self._ended.is_set():
            self._publish(Event(data, self._clock.now_ms(), "sentiment"))
        return data

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.look()
            except GenesisError:
                return  # the bus is closed: the run is over
            self._ended.wait(EVERY_S)


def _kind(found: FearGreed) -> str:
    """What a reading says, apart from numbers that count the time: its value, or its trouble."""
    if not found.neutral:
        return repr(found.index)
    return "".join(letter for letter in found.note if not letter.isdigit())
