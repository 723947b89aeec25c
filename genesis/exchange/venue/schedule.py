"""What is due when."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class Schedule:
    """Due times in order.

    What is due at the same instant runs by kind, then key: prices move first, and the order does
    not depend on when it was planned, so that a restored venue continues as it would have.
    """

    _RANK = ("step", "funding", "twap", "cancel", "margin")

    def __init__(self) -> None:
        self._due: list[tuple[int, int, str]] = []

    def add(self, at_ms: int, kind: str, key: str = "") -> None:
        """Plan something."""
        heappush(self._due, (at_ms, self._RANK.index(kind), key))

    def next(self, until_ms: int) -> tuple[int, str, str] | None:
        """Return and forget the next thing due until an instant."""
        if not self._due or self._due[0][0] > until_ms:
            return None
        at_ms, rank, key = heappop(self._due)
        return at_ms, self._RANK[rank], key

    def plain(self) -> list[tuple[int, int, str]]:
        """Return what is planned, in order."""
        return sorted(self._due)

    def restore(self, due: list[tuple[int, int, str]]) -> None:
        """Take over what was planned."""
        self._due = [(int(at), int(rank), str(key)) for at, rank, key in due]
        heapify(self._due)
