"""The report of a paper run: the values that it shows, as JSON and as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.charts import short, thin
from genesis.costs.execution import ExecutionQuality
from genesis.paper.feedback import FeedbackScore, Provenance, feedback_score
from genesis.paper.fidelity import Fidelity
from genesis.paper.numbers import PerformanceNumbers, ranked
from genesis.paper.outcomes import RoundTrip
from genesis.paper.recommendations import Recommendation, recommendations
from genesis.paper.report_risk import RiskImpact

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHOWN_TRADES = 200
"""Round trips of a strategy that a report lists, the latest ones."""
CURVE_POINTS = 600


@dataclass(frozen=True, slots=True)
class StrategyEntry:
    """What a run knows of one strategy.

    Attributes
    ----------
    numbers : PerformanceNumbers
    sentence : str
        What it does, in words.
    symbols : tuple of str
    ts_ms : int64, shape (M,)
        Instants of the curves.
    equity : float64, shape (M,)
        Net profit so far over capital.
    shadow : float64, shape (M,), or None
        The same of the shadow backtest.
    fidelity : Fidelity or None
    trades : sequence of RoundTrip
        In order of exit; `RoundTrip` in a report are the latest `SHOWN_TRADES`.
    """

    numbers: PerformanceNumbers
    sentence: str
    symbols: tuple[str, ...]
    ts_ms: Ints
    equity: Floats
    shadow: Floats | None = None
    fidelity: Fidelity | None = None
    trades: Sequence[RoundTrip] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Opportunities that led to no order, by stage and reason."""

    stage: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class StrategyReport:
    """One strategy in a report: its entry and what follows from it."""

    entry: StrategyEntry
    rank: int
    feedback: FeedbackScore
    recommendations: tuple[Recommendation, ...]

    @property
    def id(self) -> str:
        """Id of the strategy."""
        return self.entry.numbers.strategy

    @property
    def trades(self) -> tuple[RoundTrip, ...]:
        """The latest `SHOWN_TRADES` round trips, the latest first."""
        return tuple(self.entry.trades[-SHOWN_TRADES:])[::-1]

    def curves(self) -> dict[str, tuple[Ints, Floats]]:
        """Paper and shadow equity with the shape of their curves, in few points."""
        found = {"paper": thin(self.entry.ts_ms, self.entry.equity, CURVE_POINTS)}
        if self.entry.shadow is not None:
            found["backtest"] = thin(self.entry.ts_ms, self.entry.shadow, CURVE_POINTS)
        return found

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        entry = self.entry
        return {
            "strategy": self.id,
            "rank": self.rank,
            "sentence": entry.sentence,
            "symbols": list(entry.symbols),
            "performance": entry.numbers.to_plain(),
            "feedback": self.feedback.to_plain(),
            "fidelity": entry.fidelity.to_plain() if entry.fidelity is not None else None,
            "recommendations": [one.to_plain() for one in self.recommendations],
            "equity": {
                name: {"ts_ms": ts.tolist(), "value": short(values)}
                for name, (ts, values) in self.curves().items()
            },
            "trades": [trade_plain(trade) for trade in self.trades],
            "trades_total": len(entry.trades),
        }


@dataclass(frozen=True, slots=True)
class PaperReport:
    """Everything that a report of a paper run shows.

    Attributes
    ----------
    provenance : Provenance
    strategies : tuple of StrategyReport
        Best first.
    rejected : tuple of Rejected
        Most frequent first.
    risk : RiskImpact
    settings : mapping
        What the run was started with.
    warnings : tuple of str
        Sentences that a reader must know.
    """

    provenance: Provenance
    strategies: tuple[StrategyReport, ...]
    rejected: tuple[Rejected, ...]
    risk: RiskImpact
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def quality(self) -> dict[str, int]:
        """Orders of all strategies by quality of execution, best first."""
        found = dict.fromkeys((quality.value for quality in ExecutionQuality), 0)
        for one in self.strategies:
            for name, count in one.entry.numbers.quality.items():
                found[name] = found.get(name, 0) + count
        return found

    def to_plain(self) -> dict[str, Any]:
        """JSON form: what ``--json`` prints."""
        provenance = asdict(self.provenance)
        provenance["span_ms"] = list(self.provenance.span_ms)
        return {
            "provenance": provenance,
            "strategies": [one.to_plain() for one in self.strategies],
            "quality": self.quality(),
            "rejected": [asdict(one) for one in self.rejected],
            "risk_impact": self.risk.to_plain(),
            "settings": dict(self.settings),
            "warnings": list(self.warnings),
        }


def paper_report(
    provenance: Provenance,
    entries: Sequence[StrategyEntry],
    rejected: Sequence[Rejected] = (),
    risk: RiskImpact | None = None,
    settings: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> PaperReport:
    """Report of a run: ranks, scores and recommendations follow from the entries."""
    places = ranked(entry.numbers for entry in entries)
    made = [
        StrategyReport(
            entry=entry,
            rank=places[entry.numbers.strategy],
            feedback=feedback_score(entry.numbers),
            recommendations=tuple(recommendations(entry.numbers)),
        )
        for entry in entries
    ]
    return PaperReport(
        provenance=provenance,
        strategies=tuple(sorted(made, key=lambda one: one.rank)),
        rejected=tuple(sorted(rejected, key=lambda one: (-one.count, one.stage, one.reason))),
        risk=risk or RiskImpact(),
        settings=settings or {},
        warnings=tuple(warnings),
    )


def trade_plain(trade: RoundTrip) -> dict[str, Any]:
    """JSON form of a round trip; money as text, exact."""
    plain = asdict(trade)
    for name in ("size", "entry", "exit", "pnl", "fees", "funding", "slippage"):
        plain[name] = str(plain[name])
    plain["side"] = trade.side.value
    return plain


def write_paper_report(report: PaperReport, path: Path) -> Path:
    """Write the page of a paper run.

    Parameters
    ----------
    report : PaperReport
    path : Path
        File to write, replaced atomically.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    from genesis.backtest.report_page import write_page
    from genesis.paper.report_page import paper_page

    write_page(path, paper_page(report))
    return path
