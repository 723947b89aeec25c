"""A report for tests: one strategy that diverged, one faithful, one that did nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from genesis.paper.feedback import Provenance
from genesis.paper.fidelity import fidelity
from genesis.paper.matching import PaperFill
from genesis.paper.outcomes import OrderOutcome
from genesis.paper.performance import performance_of
from genesis.paper.report import PaperReport, Rejected, StrategyEntry, paper_report
from genesis.paper.report_risk import BreakerRow, LevelChange, Multiplier, RiskImpact
from genesis.strategy.explain import sentence
from tests.unit.paper.paper_runs import (
    HOUR,
    on_paper,
    order,
    round_trips,
    shadow_of,
    wild_pair,
)

EVIL = "</script><script>window.broken=1</script>"
CAPITAL = 100_000.0
BARS = 3000
STAMP = 1_600_000_000_000


def _orders(rng: np.random.Generator, count: int) -> list[OrderOutcome]:
    words = ("excellent", "excellent", "good", "fair", "poor")
    filled = [
        order(
            latency_ms=int(rng.integers(80, 400)),
            slippage_bp=float(rng.normal(2, 1)),
            notional=30_000.0,
            maker_share=float(rng.random() < 0.2),
            quality=str(rng.choice(words)),
        )
        for _ in range(count)
    ]
    return [*filled, *[order("rejected", quality="failed")] * 9, *[order("withdrawn")] * 50]


def _entry(seed: int, *, faulty: bool, shadowed: bool = True) -> StrategyEntry:
    rng = np.random.default_rng(seed)
    panel = wild_pair(7, BARS)
    shadow = shadow_of(panel, seed)

    def change(symbol: str, fills: list[PaperFill]) -> Sequence[PaperFill]:
        if not faulty:
            return fills
        moved = [replace(f, price=f.price * (1 + rng.normal(0, 3e-4))) for f in fills]
        return [*moved[:40], *moved[41:]]

    paper = on_paper(shadow, change)
    trips = round_trips(shadow)
    closes = (panel.ts_ms + HOUR).tolist()
    marks = list(zip(closes, (shadow.equity * CAPITAL).tolist(), strict=True))
    orders = _orders(rng, 2 * len(trips)) if trips else []
    done = performance_of(shadow.strategy.id, CAPITAL, trips, orders, marks)
    drift = np.cumsum(rng.normal(0, 2e-4, panel.bars)) if faulty else 0.0
    return StrategyEntry(
        numbers=done.numbers(),
        sentence=f"{sentence(shadow.strategy)} {EVIL}",
        symbols=tuple(s.symbol for s in shadow.symbols),
        ts_ms=panel.ts_ms + HOUR,
        equity=shadow.equity + drift,
        shadow=shadow.equity if shadowed else None,
        fidelity=fidelity(paper, shadow),
        trades=trips,
    )


@cache
def sample_report() -> PaperReport:
    """The report; its values are those of real backtests on a made-up market."""
    return paper_report(
        Provenance(
            "paper-1", "backtest-validation", "genesis 0.1.0", "test:AAAUSDT,BBBUSDT:1h",
            "d" * 64, "s" * 64, (0, BARS * HOUR),
        ),
        [_entry(3, faulty=True), _entry(1, faulty=False), _entry(5, faulty=False, shadowed=False)],
        [Rejected("risk", f"max_position {EVIL}", 12), Rejected("size", "below_min_notional", 33)],
        RiskImpact(
            500,
            {"rate": 2, "daily_loss": 11, "max_gross": 30},
            genome="risk_0123456789ab",
            would_refuse={"daily_loss": 11, "max_gross": 30, "rate": 2, "regime": 7},
            would_cut={"size": 40, "max_position": 3},
            kept=0.8125,
            multipliers={"bear": Multiplier(40, 0.7)},
            breakers=(
                BreakerRow(f"paper/{EVIL}", "rapid_loss", 3, STAMP, STAMP + 5_000, 0.031, 0.01),
            ),
            levels=(
                LevelChange(STAMP, "paper/a", "LOW", "CRITICAL", f"rapid loss {EVIL}"),
            ),
            level_changes=120,
            highest="CRITICAL",
        ),
        {"capital": CAPITAL, "note": EVIL},
        [f"No funding series for BBBUSDT {EVIL}"],
    )  # fmt: skip
