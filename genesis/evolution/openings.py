"""What the seal registry holds: sealed spans, and the looks that were taken at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Seal:
    """Span ``[start_ms, end_ms)`` of a base asset, sealed by a study."""

    base: str
    start_ms: int
    end_ms: int
    study: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Opening:
    """A look at sealed bars.

    Attributes
    ----------
    strategy, dataset : str
        Which strategy, on which dataset.
    ts_ms : int
        When.
    studies : tuple of str
        Whose seals.
    purpose : {"backtest", "gate"}
        By hand, or by the gate that may be passed once.
    bases : tuple of str
    start_ms, end_ms : int
        Span that was looked at; of a look by hand, from the first of the seals on.
    numbers : mapping or None
        What a gate's look gave, ``p`` among it; None until it is known.
    """

    strategy: str
    dataset: str
    ts_ms: int
    studies: tuple[str, ...]
    purpose: str = "backtest"
    bases: tuple[str, ...] = ()
    start_ms: int = 0
    end_ms: int = 0
    numbers: dict[str, Any] | None = None

    @staticmethod
    def from_plain(row: dict[str, Any]) -> Opening:
        """Opening from its JSON form; rows of an earlier version lack the later keys."""
        lists = {name: tuple(row.get(name, ())) for name in ("studies", "bases")}
        return Opening(**{**row, **lists})

    @property
    def look(self) -> tuple[str, str, int, str]:
        """What tells a look from every other, whether its numbers are known or not."""
        return self.strategy, self.dataset, self.ts_ms, self.purpose

    @property
    def p(self) -> float | None:
        """P value of a gate's look; None for a look by hand or one that was not finished."""
        return None if self.numbers is None else float(self.numbers["p"])
