"""What the seal registry holds: sealed spans, and the looks that were taken at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from genesis.market.panel import Panel

Look = tuple[str, str, int, str]


def sealed_bases(panel: Panel) -> list[str]:
    """Names under which a panel's symbols are sealed and their trials counted."""
    return sealed_names(panel.venue, [series.instrument.base for series in panel.symbols])


def sealed_names(venue: str, bases: Sequence[str]) -> list[str]:
    """Names of a venue's base assets; synthetic ones share names, not markets, with real ones."""
    prefix = "synth:" if venue == "synth" else ""
    return [prefix + base for base in bases]


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
    def from_plain(row: Mapping[str, Any]) -> Opening:
        """Opening from its JSON form; rows of an earlier version lack the later keys.

        Raises
        ------
        msgspec.ValidationError
            If a key is missing, has another type, or the numbers lack a p value.
        """
        opening = msgspec.convert(dict(row), Opening)
        if opening.numbers is not None:
            p = opening.numbers.get("p")
            if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0.0 <= p <= 1.0:
                raise msgspec.ValidationError("the numbers of a look have no p value")
        return opening

    def completes(self, other: Opening) -> bool:
        """Whether it is the other look with the numbers that were not known there."""
        return other.numbers is None and replace(self, numbers=None) == other

    @property
    def look(self) -> Look:
        """What tells a look from every other, whether its numbers are known or not."""
        return self.strategy, self.dataset, self.ts_ms, self.purpose

    @property
    def p(self) -> float | None:
        """P value of a gate's look; None for a look by hand or one that was not finished."""
        return None if self.numbers is None else float(self.numbers["p"])
