"""Time is injected: whoever needs it takes a Clock."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """A source of wall-clock and monotonic time."""

    def now_ms(self) -> int:
        """Return the current instant in milliseconds UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back."""
        ...
