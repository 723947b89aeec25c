"""A trading process on a bad day keeps its invariants, and planted bugs are found."""

from __future__ import annotations

import multiprocessing

import pytest

from tests.simulation.bugs import BUGS, planted
from tests.simulation.world import Verdict, simulate

FOUND = {
    0: "the next part of a TWAP was sent while the one before was UNKNOWN",
    47: "an entry's fill came after its position was closed: the rest was held for ever",
    99: "a person's flatten rested as a limit order that nothing filled",
    446: "a close in parts lost its parts to a flatten, which then waited for them",
    5: "an order that its last fill ended as canceled was not told to its deployment",
    280: "an order was full at a size that a repeated request had brought back",
}
"""Seeds that found a fault of the trading core once, as the worlds were then."""

SEEDS, WITHIN = 500, 500


def _one(seed: int) -> Verdict:
    return simulate(seed)


@pytest.mark.parametrize("seed", [*range(1, 5), *FOUND])
def test_a_bad_day_breaks_nothing(seed: int) -> None:
    verdict = simulate(seed)
    assert not verdict.violations, verdict.line()
    assert verdict.complete, verdict.line()


def test_a_seed_lives_the_same_life_twice() -> None:
    one, two = simulate(8), simulate(8)
    assert one.line() == two.line()
    assert (one.log_hash, one.state_hash) == (two.log_hash, two.state_hash)
    assert one.recovered, "the process was killed and came back"


def test_a_bug_is_found() -> None:
    assert _first("cancel_beats_fill", range(12)) >= 0


def _first(bug: str, seeds: range) -> int:
    with planted(bug) as make:
        return next((seed for seed in seeds if simulate(seed, make).violations), -1)


@pytest.mark.slow
def test_500_bad_days_break_nothing() -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        verdicts = pool.map(_one, range(SEEDS), chunksize=10)
    assert [v.line() for v in verdicts if v.violations] == []
    assert [v.line() for v in verdicts if not v.complete] == []


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS)
def test_every_planted_bug_is_found(bug: str) -> None:
    assert _first(bug, range(WITHIN)) >= 0
