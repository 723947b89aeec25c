"""The real clock, injected where time is needed."""

from __future__ import annotations

import time


class SystemClock:
    """Wall-clock and monotonic time of this machine (a `genesis.domain.clock.Clock`)."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back."""
        return time.monotonic()
