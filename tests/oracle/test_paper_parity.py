"""Parity: a run by independent Decimal code is equal, four classic faults are not, and the
situations that decide are counted as that code meets them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from genesis.backtest.portfolio import PortfolioBacktest, backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.domain.errors import GenesisError
from genesis.market.panel import Panel
from genesis.paper.matching import PaperFill, PaperSymbol, positions_of
from genesis.paper.parity import ParityReport, compare_fills
from genesis.paper.situations import (
    ENTRY_AND_STOP,
    FUNDING_ACROSS_OPEN,
    GAP_THROUGH_STOP,
    REVERSAL,
    SITUATIONS,
    TARGET_AND_STOP,
    TIME_STOP,
    TREE_FILTER,
    count_situations,
)
from genesis.strategy.strategy import Strategy
from tests.oracle import test_decimal_oracle as decimal_oracle
from tests.oracle.decimal_backtest import Backtest, Bar, Book
from tests.oracle.wild_market import wild_panel, wild_strategy

SETUP = EvaluationSetup(orders_per_bar=3.0)
SEEDS = range(40)
# The range is wide, so that stops and targets meet in one bar; nothing is liquidated.
MARKET = {"scale": 0.04, "funding": 2e-3, "missing": 0.03}


class Watched(Backtest):
    """Notes the situations as the rules meet them."""

    def __init__(self, plan: object, terms: object) -> None:
        super().__init__(plan, terms)  # type: ignore[arg-type]
        self.met: Counter[str] = Counter()
        self.charged = -1
        WATCHED.append(self)

    def pay_funding(self, previous: Decimal | None, rate: Decimal) -> None:
        super().pay_funding(previous, rate)
        if rate:
            self.charged = len(self.book.equity)

    def resting_at_open(self, t: int, bar: Bar) -> bool:
        done = super().resting_at_open(t, bar)
        if done:
            why = self.book.executions[-1].why
            self.met[GAP_THROUGH_STOP] += why == "stop"
            self.met[FUNDING_ACROSS_OPEN] += self.charged == t
        return done

    def one_bar(self, t: int, bar: Bar, previous: Decimal | None, rate: Decimal) -> None:
        wish, held = self.wish, self.position
        before = len(self.book.executions)
        super().one_bar(t, bar, previous, rate)
        whys = [x.why for x in self.book.executions[before:]]
        self.met[REVERSAL] += whys[:2] == ["reversal", "entry"]
        self.met[TIME_STOP] += "time stop" in whys
        if "entry" in whys:
            self.met[ENTRY_AND_STOP] += whys[whys.index("entry") :][:2] == ["entry", "stop"]
        if held and wish.close_why and whys[:1] == [wish.close_why]:
            self.met[FUNDING_ACROSS_OPEN] += self.charged == t

    def resting_in_range(self, t: int, bar: Bar) -> None:
        p = self.position
        assert p is not None
        super().resting_in_range(t, bar)
        if self.position is None and self.book.executions[-1].why == "stop" and p.target:
            self.met[TARGET_AND_STOP] += bar.high >= p.target if p.is_long else bar.low <= p.target


WATCHED: list[Watched] = []


class StopAtClose(Watched):
    """Fault: a stop that is reached fills at the close of the bar."""

    def resting_in_range(self, t: int, bar: Bar) -> None:
        p = self.position
        assert p is not None
        if p.stop is not None and (bar.low <= p.stop if p.is_long else bar.high >= p.stop):
            self.fill(t, -p.quantity, bar.close, "stop")
        else:
            super().resting_in_range(t, bar)


class FeeOnOneSide(Watched):
    """Fault: sales pay no fee."""

    def fill(self, t: int, quantity: Decimal, price: Decimal, why: str) -> Decimal:
        paid = super().fill(t, quantity, price, why)
        if quantity < 0:
            self.cash += self.book.executions[-1].fee
        return paid


class StopOffByABar(Watched):
    """Fault: levels are not looked at in the bar of the entry."""

    def resting_in_range(self, t: int, bar: Bar) -> None:
        assert self.position is not None
        if self.position.bar != t:
            super().resting_in_range(t, bar)


class FundingAfterTheOpen(Watched):
    """Fault: funding is charged on the position after the orders of the open."""

    def one_bar(self, t: int, bar: Bar, previous: Decimal | None, rate: Decimal) -> None:
        super().one_bar(t, bar, previous, Decimal(0))
        if self.position and previous is not None:
            self.pay_funding(previous, rate)


def run_of(panel: Panel, strategy: Strategy, kind: type[Watched]) -> tuple[Book, Watched]:
    """Run one of the Decimal backtests on a panel."""
    before = decimal_oracle.Backtest
    decimal_oracle.Backtest = kind  # type: ignore[misc]
    try:
        book = decimal_oracle.oracle(panel, strategy, SETUP)
    finally:
        decimal_oracle.Backtest = before  # type: ignore[misc]
    return book, WATCHED.pop()


def as_paper(panel: Panel, book: Book) -> list[PaperSymbol]:
    """What a Decimal book says, as a paper run."""
    fills = tuple(
        PaperFill(x.bar, float(x.quantity), float(x.price), float(x.fee), int(panel.ts_ms[x.bar]))
        for x in book.executions
    )
    equity = np.array([float(e) for e in book.equity])
    return [PaperSymbol("WILD", fills, positions_of(fills, panel.bars), equity)]


def cases() -> Iterator[tuple[Panel, Strategy, PortfolioBacktest]]:
    for seed in SEEDS:
        panel = wild_panel(seed, **MARKET)
        strategy = wild_strategy(np.random.default_rng(seed))
        if seed % 2:  # levels so near that one bar often reaches both
            near = replace(strategy.policy, stop_atr=0.3, target_atr=0.3)
            strategy = replace(strategy, policy=near)
        try:
            shadow = backtest_strategy(panel, strategy, SETUP)
        except GenesisError:
            continue
        if shadow.symbols[0].orders and not shadow.symbols[0].liquidated:
            yield panel, strategy, shadow


@pytest.fixture(scope="module")
def shadows() -> list[tuple[Panel, Strategy, PortfolioBacktest]]:
    found = list(cases())
    assert len(found) > 15
    return found


def parity(
    shadows: list[tuple[Panel, Strategy, PortfolioBacktest]], kind: type[Watched]
) -> tuple[ParityReport, Counter[str]]:
    total, met = ParityReport(), Counter[str]()
    for panel, strategy, shadow in shadows:
        book, watched = run_of(panel, strategy, kind)
        total += compare_fills(as_paper(panel, book), shadow, panel=panel)
        met += watched.met
    return total, met


def test_an_independent_run_is_equal_and_every_situation_is_counted(
    shadows: list[tuple[Panel, Strategy, PortfolioBacktest]],
) -> None:
    total, met = parity(shadows, Watched)
    assert total.equal, total.first
    assert total.fills == sum(len(shadow.symbols[0].orders) for _, _, shadow in shadows) > 500
    assert total.marks == sum(panel.bars for panel, _, _ in shadows)
    assert max(total.price_error, total.size_error) < 1e-9
    assert total.pnl_error < 1e-6
    counted = {name: n for name, n in total.situations.items() if name != TREE_FILTER}
    assert counted == {name: met[name] for name in SITUATIONS if name != TREE_FILTER}
    assert min(counted.values()) > 3, counted


@pytest.mark.parametrize("kind", [StopAtClose, FeeOnOneSide, StopOffByABar, FundingAfterTheOpen])
def test_a_classic_fault_is_not_equal(
    shadows: list[tuple[Panel, Strategy, PortfolioBacktest]], kind: type[Watched]
) -> None:
    total, _ = parity(shadows, kind)
    assert not total.equal
    if kind in (FeeOnOneSide, FundingAfterTheOpen):
        assert total.equal_marks < total.marks
        assert total.pnl_error > 1e-6
    else:
        assert total.equal_fills < total.fills
        assert total.first


def test_an_evolved_filter_is_seen_in_the_genome(
    shadows: list[tuple[Panel, Strategy, PortfolioBacktest]],
) -> None:
    _, _, shadow = shadows[0]
    entries = sum(o.reason == "entry" for o in shadow.symbols[0].orders)
    assert count_situations(shadow)[TREE_FILTER] == 0
    assert count_situations(shadow, tree_filter=True)[TREE_FILTER] == entries > 0
    genome = {"filter": "gt(close,open)"}
    bred = replace(shadow, strategy=replace(shadow.strategy, genome=genome))
    assert count_situations(bred)[TREE_FILTER] == entries
    plain = replace(shadow, strategy=replace(shadow.strategy, genome={"filter": None}))
    assert count_situations(plain)[TREE_FILTER] == 0


def test_reports_add_up_and_keep_the_worst() -> None:
    a = ParityReport(10, 9, 5, 5, 1.0, 0.1, 3.0, causes={"price": 1})
    b = ParityReport(4, 4, 6, 5, 0.5, 0.2, 9.0, causes={"price": 2, "size": 1})
    both = a + b
    assert (both.fills, both.equal_fills, both.marks, both.equal_marks) == (14, 13, 11, 10)
    assert (both.price_error, both.size_error, both.pnl_error) == (1.0, 0.2, 9.0)
    assert both.causes == {"price": 3, "size": 1}
    assert not both.equal
