"""What the venue tells its websockets, in the order in which it happened."""

from __future__ import annotations

from typing import Any

import msgspec


class VenueEvent(msgspec.Struct, frozen=True):
    """One thing that happened.

    Attributes
    ----------
    kind : str
        ``orderUpdate``, ``fill``, ``funding``, ``liquidation``, ``nonUserCancel``, ``ledger``,
        ``twapHistory``, ``twapFill`` for a user; ``trade``, ``book`` and ``context`` for a coin;
        ``notification`` with text for a user. ``book`` and ``context`` carry no data: ask the
        reader of the market for the state after them.
    ts_ms : int
    user : str
        Lower-case address, or empty.
    coin : str
        Or empty.
    data : Any
        The element as the websocket sends it: an order update, a fill, a trade.
    """

    kind: str
    ts_ms: int
    user: str = ""
    coin: str = ""
    data: Any = None


class EventLog:
    """Events since the last look; changes of books and contexts are told once per look.

    Nothing is built for users nobody could watch: the venue's own traders are muted.
    """

    def __init__(self) -> None:
        self.now_ms = 0
        self.muted: set[str] = set()
        self._events: list[VenueEvent] = []
        self._dirty: set[tuple[str, str]] = set()
        # Replays and matching benchmarks have no listener at all.
        self.silent = False

    def user(self, kind: str, user: str, data: Any, coin: str = "") -> None:
        """Add what happened to a user."""
        if self.silent or user in self.muted:
            return
        self._events.append(VenueEvent(kind, self.now_ms, user, coin, data))

    def market(self, kind: str, coin: str, data: Any) -> None:
        """Add what happened on a market."""
        if not self.silent:
            self._events.append(VenueEvent(kind, self.now_ms, "", coin, data))

    def changed(self, kind: str, coin: str) -> None:
        """Note that a book or a context changed; told once however often it did."""
        if self.silent or (kind, coin) in self._dirty:
            return
        self._dirty.add((kind, coin))
        self._events.append(VenueEvent(kind, self.now_ms, "", coin))

    def watched(self, user: str) -> bool:
        """Whether it is worth building an event for a user."""
        return not self.silent and user not in self.muted

    def drain(self) -> list[VenueEvent]:
        """Return and forget what happened since the last call."""
        events, self._events = self._events, []
        self._dirty.clear()
        return events
