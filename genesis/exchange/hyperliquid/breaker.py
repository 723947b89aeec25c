"""Circuit breaker: after some failures nothing that adds risk is sent until a probe succeeds."""

from __future__ import annotations

from collections.abc import Callable


class Breaker:
    """Counts failures of requests.

    Parameters
    ----------
    failures : int
        In a row, that open it.
    first_s, longest_s : float
        Wait before the first probe, doubled after each one that fails.
    changed : callable
        ``changed(open, why)`` whenever it opens or closes.
    """

    def __init__(
        self,
        failures: int,
        first_s: float,
        longest_s: float,
        changed: Callable[[bool, str], None],
    ) -> None:
        self._limit = failures
        self._first_s, self._longest_s = first_s, longest_s
        self._changed = changed
        self._failed = 0
        self._wait_s = first_s
        self.why = ""
        self.opened = 0

    @property
    def open(self) -> bool:
        """Whether nothing that adds risk may be sent."""
        return bool(self.why)

    @property
    def probe_wait_s(self) -> float:
        """How long to wait before the next probe."""
        return self._wait_s

    def failure(self, why: str, *, probe: bool = False) -> None:
        """A request got no usable answer; ``probe`` if it was sent to see whether one comes."""
        self._failed += 1
        if self.open and not probe:
            return
        if self.open:
            self._wait_s = min(2.0 * self._wait_s, self._longest_s)
        elif self._failed >= self._limit:
            self.why = f"{self._failed} requests in a row failed, the last one: {why}"
            self._wait_s = self._first_s
            self.opened += 1
            self._changed(True, self.why)

    def success(self) -> None:
        """A request was answered."""
        self._failed = 0
        if self.open:
            self.why = ""
            self._wait_s = self._first_s
            self._changed(False, "the exchange answers again")
