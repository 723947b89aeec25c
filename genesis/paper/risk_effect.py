"""Shadow backtests under a run's risk decisions, and what these decisions came to.

A run that trades what its risk manager let through is faithful if it does what the backtest does
under the same decisions. What the manager changed is no matter of execution: it is the difference
between two backtests, one without the manager and one with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.frame import day_stops
from genesis.backtest.portfolio import PortfolioBacktest, backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.domain.errors import StrategyError
from genesis.market.panel import Panel
from genesis.paper.entries import Entry, Fate
from genesis.strategy.strategy import Strategy

Floats = npt.NDArray[np.float64]
Scales = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class RiskEffect:
    """What risk made of the entries of a strategy.

    Attributes
    ----------
    asked : int
        Entries that the strategy asked for.
    refused, cut : int
        Those that risk refused, or made smaller.
    held_back : int
        Those that something else kept from being sent, see `genesis.paper.entries`.
    would_refuse, would_cut : int
        Those that profile ``enforce`` refuses or cuts: where it is in force, the same.
    impact : float or None
        Net profit without the manager less that with it, over capital; None where the backtest
        without it is impossible. Under ``observe`` it is that of what would have been done.
    impact_sd : float or None
        The same in standard deviations (ddof 1) of the daily profit without the manager; None
        without such a deviation.
    """

    asked: int = 0
    refused: int = 0
    cut: int = 0
    held_back: int = 0
    would_refuse: int = 0
    would_cut: int = 0
    impact: float | None = None
    impact_sd: float | None = None

    def sentence(self) -> str:
        """The whole of it in one line."""
        text = (
            f"{self.asked:,} entries asked for, {self.refused:,} refused and {self.cut:,} cut by "
            f"risk, {self.held_back:,} held back"
        )
        if (self.would_refuse, self.would_cut) != (self.refused, self.cut):
            text += f" (enforced: {self.would_refuse:,} refused, {self.would_cut:,} cut)"
        if self.impact is not None:
            text += f"; risk impact {self.impact:+.4%} of capital"
        if self.impact_sd is not None:
            text += f", {self.impact_sd:+.4f} daily sd"
        return text

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def tally(entries: Sequence[Entry]) -> dict[str, int]:
    """Counts of a `RiskEffect`, by their names."""
    kept = [one for one in entries if one.fate is not Fate.HELD_BACK]
    return {
        "asked": len(entries),
        "refused": sum(one.fate is Fate.REFUSED for one in kept),
        "cut": sum(0.0 < one.scale < 1.0 for one in kept),
        "held_back": len(entries) - len(kept),
        "would_refuse": sum(one.enforced == 0.0 for one in kept),
        "would_cut": sum(0.0 < one.enforced < 1.0 for one in kept),
    }


def impact_of(unmanaged: Floats, managed: Floats) -> tuple[float | None, float | None]:
    """`RiskEffect.impact` and `impact_sd`, from daily net profit over capital, shape (D,) each."""
    impact = float(np.sum(unmanaged - managed))
    if not np.isfinite(impact):
        return None, None
    spread = float(np.std(unmanaged, ddof=1)) if unmanaged.size > 1 else 0.0
    return impact, impact / spread if spread > 0.0 else None


@dataclass(frozen=True, slots=True)
class Shadows:
    """Backtests of one strategy on one panel under the risk decisions of a run.

    Attributes
    ----------
    sent : PortfolioBacktest
        With each entry as it might be sent: what the run is compared with.
    unmanaged, managed : PortfolioBacktest or None
        Without the risk manager, and with its decisions enforced; what was held back is missing
        in both. None where the strategy exceeds a budget without the manager.
    """

    sent: PortfolioBacktest
    unmanaged: PortfolioBacktest | None
    managed: PortfolioBacktest | None

    def effect(self, entries: Sequence[Entry]) -> RiskEffect:
        """What risk made of entries over the whole panel."""
        impact, in_sd = impact_of(*(_daily(one) for one in (self.unmanaged, self.managed)))
        return RiskEffect(**tally(entries), impact=impact, impact_sd=in_sd)


def shadows(
    panel: Panel,
    strategy: Strategy,
    setup: EvaluationSetup,
    entries: Sequence[Entry],
    decide_from: int = 0,
) -> Shadows:
    """Backtest a strategy under the risk decisions of a run.

    Parameters
    ----------
    panel : Panel
    strategy : Strategy
    setup : EvaluationSetup
    entries : sequence of Entry
        Of the strategy, in order; those of other symbols or bars than the panel's do not count.
    decide_from : int
        See `backtest_strategy`.

    Raises
    ------
    StrategyError
        If the strategy cannot be evaluated as it was sent.
    """
    made: list[tuple[Scales, PortfolioBacktest | None]] = []

    def backtest(scales: Scales) -> PortfolioBacktest | None:
        for known, result in made:
            if _same(known, scales):
                return result
        try:
            found = backtest_strategy(panel, strategy, setup, decide_from, scales)
        except StrategyError:
            if not made:
                raise
            found = None
        made.append((scales, found))
        return found

    sent = backtest(_scales(panel, entries, lambda one: one.scale))
    assert sent is not None
    unmanaged = backtest(_scales(panel, entries, lambda one: one.fate is not Fate.HELD_BACK))
    return Shadows(sent, unmanaged, backtest(_enforced(panel, entries)))


def _scales(panel: Panel, entries: Sequence[Entry], share: Callable[[Entry], float]) -> Scales:
    """Share of each entry at the bar of its decision, 1 elsewhere; nothing but ones is left out."""
    found = {series.symbol: np.ones(panel.bars) for series in panel.symbols}
    for symbol, place, entry in _placed(panel, entries):
        found[symbol][place] = share(entry)
    return {symbol: values for symbol, values in found.items() if np.any(values != 1.0)}


def _enforced(panel: Panel, entries: Sequence[Entry]) -> Scales:
    """Share that profile ``enforce`` leaves of each entry.

    Where it was only observed, the run held what would have been refused or cut, and asked for
    nothing meanwhile: the word on that entry holds until the run asked for the next one.
    """
    found = {series.symbol: np.ones(panel.bars) for series in panel.symbols}
    for symbol, place, entry in _placed(panel, entries):
        values = found[symbol]
        values[place:] = 1.0
        if entry.enforced != entry.scale:
            values[place:] = entry.enforced
        else:
            values[place] = entry.scale
    return {symbol: values for symbol, values in found.items() if np.any(values != 1.0)}


def _placed(panel: Panel, entries: Sequence[Entry]) -> list[tuple[str, int, Entry]]:
    known, found = {series.symbol for series in panel.symbols}, []
    for one in sorted(entries, key=lambda entry: entry.open_ms):
        place, off = divmod(one.open_ms - int(panel.ts_ms[0]), panel.interval_ms)
        if one.symbol in known and not off and 0 <= place < panel.bars:
            found.append((one.symbol, place, one))
    return found


def _same(one: Scales, other: Scales) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(v, other[k]) for k, v in one.items())


def _daily(backtest: PortfolioBacktest | None) -> Floats:
    if backtest is None:
        return np.array([np.nan])
    return np.diff(backtest.equity[day_stops(backtest.ts_ms) - 1], prepend=0.0)
