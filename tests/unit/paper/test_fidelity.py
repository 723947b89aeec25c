"""Fidelity: each fault that is made is found, counted, and named; the measures equal numpy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from genesis.backtest.portfolio import PortfolioBacktest
from genesis.domain.errors import InputError
from genesis.paper.fidelity import (
    CLOSE,
    DIVERGED,
    FAITHFUL,
    UNTESTED,
    Fidelity,
    fidelity,
)
from genesis.paper.matching import (
    EXTRA,
    MISSING,
    PRICE,
    SIZE,
    TIME,
    PaperFill,
    PaperSymbol,
    agree,
)
from tests.unit.paper.paper_runs import on_paper, shadow_of, wild_pair

FIRST = "AAAUSDT"


@pytest.fixture(scope="module")
def shadow() -> PortfolioBacktest:
    found = shadow_of(wild_pair(), 3)
    assert min(len(s.orders) for s in found.symbols) > 40
    return found


def changed(shadow: PortfolioBacktest, place: int, **values: object) -> list[PaperSymbol]:
    """The run with one fill of the first symbol changed."""

    def change(symbol: str, fills: list[PaperFill]) -> Sequence[PaperFill]:
        if symbol == FIRST:
            fills[place] = replace(fills[place], **values)  # type: ignore[arg-type]
        return fills

    return on_paper(shadow, change)


def test_a_faithful_run_is_faithful(shadow: PortfolioBacktest) -> None:
    found = fidelity(on_paper(shadow), shadow)
    orders = sum(len(s.orders) for s in shadow.symbols)
    assert found == Fidelity(FAITHFUL, 1.0, 1.0, 0.0, 0.0, 0.0, orders, orders, orders)
    json.dumps(found.to_plain(), allow_nan=False)


def test_a_missing_fill(shadow: PortfolioBacktest) -> None:
    def change(symbol: str, fills: list[PaperFill]) -> Sequence[PaperFill]:
        return fills[:-1] if symbol == FIRST else fills

    found = fidelity(on_paper(shadow, change), shadow)
    last = shadow.symbols[0].orders[-1]
    assert found.causes == {MISSING: 1}
    assert found.first[0].backtest is not None
    assert (found.first[0].bar, found.first[0].backtest["reason"]) == (last.bar, last.reason)
    assert found.first[0].paper is None
    assert found.fills_paper == found.fills_backtest - 1
    # From that fill on every bar differs; counted bar by bar.
    active = [s.last - s.first + 1 for s in shadow.symbols]
    wrong = shadow.symbols[0].last - last.bar + 1
    assert found.position_match == pytest.approx(1 - wrong / sum(active))


def test_an_extra_fill(shadow: PortfolioBacktest) -> None:
    quiet = next(
        bar
        for bar in range(200, 1000)
        if all(abs(o.bar - bar) > 3 for o in shadow.symbols[0].orders)
    )

    def change(symbol: str, fills: list[PaperFill]) -> Sequence[PaperFill]:
        if symbol != FIRST:
            return fills
        return [*fills, PaperFill(quiet, 1.5, 100.0, fill="FIL_X")]

    found = fidelity(on_paper(shadow, change), shadow)
    assert found.causes == {EXTRA: 1}
    assert found.first[0].paper == {
        "bar": quiet, "size": 1.5, "price": 100.0, "fee": 0.0, "fill": "FIL_X",
    }  # fmt: skip


def test_a_late_fill_is_the_same_fill_at_another_time(shadow: PortfolioBacktest) -> None:
    orders = shadow.symbols[0].orders
    place = next(
        k for k in range(10, len(orders) - 1)
        if orders[k + 1].bar > orders[k].bar + 2 and orders[k].bar > orders[k - 1].bar
    )  # fmt: skip
    found = fidelity(changed(shadow, place, bar=orders[place].bar + 1), shadow)
    assert found.causes == {TIME: 1}
    assert found.fills_matched == found.fills_backtest - 1
    assert found.first[0].paper is not None
    assert found.first[0].paper["bar"] == found.first[0].bar + 1
    far = fidelity(changed(shadow, place, bar=orders[place].bar + 2), shadow)
    assert far.causes == {MISSING: 1, EXTRA: 1}


def test_another_price_and_another_size(shadow: PortfolioBacktest) -> None:
    order = shadow.symbols[0].orders[4]
    price = fidelity(changed(shadow, 4, price=order.price * 1.001), shadow)
    assert price.causes == {PRICE: 1}
    assert price.position_match == 1.0
    size = fidelity(changed(shadow, 4, size=order.size * 0.9), shadow)
    assert size.causes == {SIZE: 1}
    assert size.position_match < 1.0
    tiny = fidelity(changed(shadow, 4, price=order.price * (1 + 1e-15)), shadow)
    assert tiny.causes == {}


def test_partial_fills_of_one_order_are_one_execution(shadow: PortfolioBacktest) -> None:
    def split(symbol: str, fills: list[PaperFill]) -> Sequence[PaperFill]:
        out: list[PaperFill] = []
        for fill in fills:
            out.append(replace(fill, size=0.25 * fill.size, price=fill.price * 1.003, fee=0.0))
            out.append(replace(fill, size=0.75 * fill.size, price=fill.price * 0.999))
        return out

    found = fidelity(on_paper(shadow, split), shadow)
    assert found.fills_paper == found.fills_backtest == found.fills_matched
    assert found.causes == {}


def test_a_reversal_is_two_fills_of_one_side(shadow: PortfolioBacktest) -> None:
    assert any(o.reason == "reversal" for s in shadow.symbols for o in s.orders)

    def swap_prices(symbol: str, fills: list[PaperFill]) -> Sequence[PaperFill]:
        return [replace(f, order="", fill="") for f in fills]  # without ids they stay apart

    assert fidelity(on_paper(shadow, swap_prices), shadow).causes == {}


def test_slippage_error_is_the_median_and_its_sign_is_adverse(shadow: PortfolioBacktest) -> None:
    rng = np.random.default_rng(2)
    errors: list[float] = []

    def change(symbol: str, fills: list[PaperFill]) -> Sequence[PaperFill]:
        out = []
        for fill in fills:
            bp = float(rng.normal(3.0, 2.0))
            errors.append(bp)
            out.append(replace(fill, price=fill.price * (1 + np.sign(fill.size) * bp / 1e4)))
        return out

    found = fidelity(on_paper(shadow, change), shadow)
    assert found.slippage_error_bp == pytest.approx(float(np.median(np.abs(errors))))
    assert found.slippage_bias_bp == pytest.approx(float(np.mean(errors)))
    assert found.verdict == CLOSE


def test_daily_difference_equals_numpy(shadow: PortfolioBacktest) -> None:
    rng = np.random.default_rng(3)
    paper = [
        replace(one, equity=one.equity + np.cumsum(rng.normal(0, 20.0, one.equity.size)))
        for one in on_paper(shadow)
    ]
    ours = sum(one.equity for one in paper)
    theirs = shadow.equity * sum(s.capital for s in shadow.symbols)
    ends = slice(23, None, 24)  # the timeline starts at midnight and ends with a day
    a, b = (np.diff(np.asarray(x)[ends], prepend=0.0) for x in (ours, theirs))
    want = np.mean(np.abs(a - b)) / np.std(b, ddof=1)
    found = fidelity(paper, shadow)
    assert found.daily_pnl_difference == pytest.approx(want)
    assert found.verdict == DIVERGED if want > 0.5 else CLOSE


def test_marks_that_are_missing_are_carried(shadow: PortfolioBacktest) -> None:
    paper = []
    for one in on_paper(shadow):
        gaps = one.equity.copy()
        gaps[np.arange(gaps.size) % 24 != 23] = np.nan  # one mark a day
        paper.append(replace(one, equity=gaps))
    assert fidelity(paper, shadow).daily_pnl_difference == pytest.approx(0.0, abs=1e-12)


def test_no_spread_and_no_fills() -> None:
    """0 over 0 is 0; a difference over no spread is the cap; nothing filled proves nothing."""
    panel = wild_pair(bars=600)
    flat = shadow_of(panel, 5)
    assert not any(s.orders for s in flat.symbols)
    same = fidelity(on_paper(flat), flat)
    assert (same.daily_pnl_difference, same.held_match, same.verdict) == (0.0, None, UNTESTED)
    paper = [replace(one, equity=one.equity + 1.0) for one in on_paper(flat)]
    assert fidelity(paper, flat).daily_pnl_difference == 1000.0


def test_a_common_difference_hides_no_rare_one(shadow: PortfolioBacktest) -> None:
    def change(symbol: str, fills: list[PaperFill]) -> Sequence[PaperFill]:
        moved = [replace(f, price=f.price * 1.01) for f in fills]
        return moved[:-1] if symbol == FIRST else moved

    found = fidelity(on_paper(shadow, change), shadow)
    assert len(found.first) == 20
    assert [one.cause for one in found.first].count(MISSING) == 1
    assert [one.bar for one in found.first] == sorted(one.bar for one in found.first)


def test_other_symbols_or_bars_are_refused(shadow: PortfolioBacktest) -> None:
    paper = on_paper(shadow)
    with pytest.raises(InputError, match="not of the same symbols"):
        fidelity(paper[:1], shadow)
    short = [replace(paper[0], equity=paper[0].equity[1:]), paper[1]]
    with pytest.raises(InputError, match="not of the same bars on AAAUSDT"):
        fidelity(short, shadow)


@pytest.mark.parametrize(
    ("mine", "other", "equal"),
    [
        (60_000.0, 60_000.0 + 0.9e-9, True),
        (60_000.0, 60_000.0 + 1.0e-6, False),
        (2.0, 2.0 + 0.9e-9, True),
        (2.0, 2.0 + 1.1e-9, False),
        (1e-5, 1e-5 * (1 + 0.9e-9), True),
        (1e-5, 1e-5 * (1 + 1.1e-9), False),
        (1.0e12, 1.0e12 + 2e-4, True),  # two roundings of a float of this size
        (0.0, 0.0, True),
        (-3.0, 3.0, False),
    ],
)
def test_agreement_is_absolute_from_one_on_and_relative_below(
    mine: float, other: float, equal: bool
) -> None:
    assert agree(mine, other, 1e-9) is equal
