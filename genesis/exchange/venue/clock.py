"""The exchange's clock: real time, or time that a test sets; either may be wrong on purpose."""

from __future__ import annotations

from genesis.domain.clock import Clock


class VenueClock:
    """Time as the exchange tells it; it never goes back.

    Parameters
    ----------
    source : Clock
        Real time.
    scripted_ms : int, optional
        Instant at which scripted time starts; without it real time runs.
    """

    def __init__(self, source: Clock, scripted_ms: int | None = None) -> None:
        self._source = source
        self._at = scripted_ms
        self.ahead_ms = 0
        self._latest = 0

    @property
    def scripted(self) -> bool:
        """Whether time moves only when it is told to."""
        return self._at is not None

    def now_ms(self) -> int:
        """Return the exchange's time in milliseconds UTC."""
        real = self._source.now_ms() + self.ahead_ms if self._at is None else self._at
        self._latest = max(self._latest, real)
        return self._latest

    def monotonic(self) -> float:
        """Return seconds of real time; sockets know no other."""
        return self._source.monotonic()

    def set_ms(self, now_ms: int) -> None:
        """Put time at an instant; real time goes on from there.

        Raises
        ------
        ValueError
            If it lies in the past: orders and funding are stamped already.
        """
        if now_ms < self.now_ms():
            raise ValueError(f"{now_ms} is before {self.now_ms()}: time does not go back")
        if self._at is None:
            self.ahead_ms += now_ms - self.now_ms()
        else:
            self._at = now_ms
