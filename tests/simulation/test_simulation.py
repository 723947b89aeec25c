"""A trading process on a bad day keeps its invariants, and planted bugs are found."""

from __future__ import annotations

import multiprocessing

import pytest

from tests.simulation.bugs import BUGS, planted
from tests.simulation.world import Verdict, simulate

FOUND = {
    0: "a close was filled while a fill of its entry was still to be told: the rest was held",
    4: "the next part of a TWAP was sent while the one before was UNKNOWN",
    5: "a close that its last fill ended as canceled was thought to be under way for ever",
    11: "a person's flatten, and a stop that the loop watched, went out in parts or as a limit",
    280: "an order was full at a size that a repeated request had brought back",
}
"""Seeds that break without the repair of what they found; the repairs have tests of their own."""

SEEDS, WITHIN = 500, 500


def _one(seed: int) -> Verdict:
    return simulate(seed)


@pytest.mark.parametrize("seed", sorted({1, 2, 3, *FOUND}))
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
