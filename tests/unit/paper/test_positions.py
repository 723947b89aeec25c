"""Positions that an act from outside closed are set aside until both agree, but not for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from genesis.backtest.portfolio import PortfolioBacktest
from genesis.paper.fidelity import DIVERGED, FAITHFUL, UNTESTED, fidelity
from genesis.paper.matching import PaperFill, PaperSymbol, paired
from genesis.paper.positions import OUTSIDE, Compared, compared, set_aside, too_many_aside
from tests.unit.paper.paper_runs import on_paper, shadow_of, wild_pair

FIRST = "AAAUSDT"


@pytest.fixture(scope="module")
def shadow() -> PortfolioBacktest:
    return shadow_of(wild_pair(), 3)


@pytest.mark.parametrize(
    ("equal", "shadow", "acts", "aside"),
    [
        ("1111", "++++", (1,), "0000"),
        ("1001", "++++", (1,), "0110"),
        ("0001", "++++", (1,), "0110"),
        ("1000", "++++", (1,), "0111"),
        ("1001001", "+++++++", (1, 4), "0110110"),
        ("1001001", "+++++++", (1,), "0110000"),
        ("1000", "++++", (1, 2), "0111"),
        ("0011", "++++", (-1,), "1100"),
        ("1011", "++++", (), "0000"),
        ("1000", "++++", (4,), "0000"),
        # to the end of the trade after the one that was closed
        ("10000000", "+++-----", (1,), "01111111"),
        ("10000000", "+++--+++", (1,), "01111000"),
        ("10000000", "++ ++ ++", (1,), "01111000"),
        ("10000000", "++ ++++-", (1,), "01111110"),
        ("10010000", "++ ++ ++", (1,), "01100000"),
        ("10000000", "+  ++-++", (1,), "01111000"),
        ("10000000", "+-++-+++", (1, 6), "01110011"),
    ],
)
def test_what_is_set_aside(equal: str, shadow: str, acts: tuple[int, ...], aside: str) -> None:
    position = np.array([{"+": 2.0, "-": -2.0, " ": 0.0}[one] for one in shadow])
    found = set_aside(np.array([one == "1" for one in equal]), position, acts)
    assert "".join("1" if one else "0" for one in found) == aside


def closed_early(shadow: PortfolioBacktest, place: int) -> tuple[list[PaperSymbol], int, int]:
    """A run one of whose positions was closed bars earlier; the bar, and how many bars earlier."""
    (first,) = (one for one in shadow.symbols if one.symbol == FIRST)
    held = np.flatnonzero(np.diff(np.concatenate(([0.0], first.position))))
    enters, leaves = next(
        (int(a), int(b))
        for a, b in zip(held[place:], held[place + 1 :], strict=False)
        if first.position[a] and not first.position[b] and b - a > 3
    )

    def change(symbol: str, fills: list[PaperFill]) -> Sequence[PaperFill]:
        if symbol != FIRST:
            return fills
        return [replace(f, bar=enters + 1) if f.bar == leaves else f for f in fills]

    return on_paper(shadow, change), enters + 1, leaves - enters - 1


def told(made: list[PaperSymbol], *acts: int) -> list[PaperSymbol]:
    return [replace(one, outside=acts) if one.symbol == FIRST else one for one in made]


def test_bars_after_a_close_from_outside_are_in_no_share(shadow: PortfolioBacktest) -> None:
    made, bar, bars = closed_early(shadow, 4)
    plain = compared(paired(made, shadow))
    assert plain.bars - plain.same == plain.held - plain.same_held == bars > 2
    assert plain.outside == 0
    seen = compared(paired(told(made, bar), shadow))
    assert seen == Compared(plain.bars - bars, plain.same, plain.held - bars, plain.same_held, bars)
    found = fidelity(told(made, bar), shadow)
    assert (found.position_match, found.held_match, found.outside) == (1.0, 1.0, bars)
    assert found.to_plain()["outside"] == bars
    assert compared(paired(told(made, bar), shadow), bar + bars).outside == 0, "it is before"


def test_what_differs_before_and_after_counts(shadow: PortfolioBacktest) -> None:
    made, bar, bars = closed_early(shadow, 4)
    other, later, more = closed_early(shadow, 30)
    assert later > bar + bars
    both = [
        replace(
            a, position=np.where(np.arange(a.position.size) < later - 1, a.position, b.position)
        )
        for a, b in zip(made, other, strict=True)
    ]
    seen = compared(paired(told(both, bar), shadow))
    assert (seen.bars - seen.same, seen.outside) == (more, bars)


def test_a_run_that_never_follows_again_after_one_act_is_broken(
    shadow: PortfolioBacktest,
) -> None:
    """One flatten must not take all that comes after it out of the comparison."""
    made, bar, bars = closed_early(shadow, 4)
    stuck = [
        replace(
            one, position=np.where(np.arange(one.position.size) < bar, one.position, 1e9)
        ) if one.symbol == FIRST else one
        for one in made
    ]  # fmt: skip
    seen = compared(paired(told(stuck, bar), shadow))
    assert bars < seen.outside < 0.1 * seen.bars
    assert seen.same / seen.bars < 0.95
    assert fidelity(told(stuck, bar), shadow).verdict == DIVERGED


@pytest.mark.parametrize(
    ("bars", "outside", "many"),
    [(0, 0, False), (3, 1, False), (300, 101, True), (0, 1, True), (1, 0, False)],
)
def test_of_a_run_at_most_a_quarter_may_be_set_aside(
    bars: int, outside: int, *, many: bool
) -> None:
    assert too_many_aside(bars, outside) is many


def test_a_run_of_which_nothing_is_left_to_compare_is_untested(shadow: PortfolioBacktest) -> None:
    flat = [
        replace(one, position=one.position * 0.0 + 1e9, outside=tuple(range(one.position.size)))
        for one in on_paper(shadow)
    ]
    found = fidelity(flat, shadow)
    assert found.verdict == UNTESTED != FAITHFUL
    assert found.outside > 0
    assert found.held_match is None


def test_failures_of_execution_are_no_acts_from_outside() -> None:
    assert not OUTSIDE & {"unprotected", "liquidation", "external", "stop", "target", "signal"}
