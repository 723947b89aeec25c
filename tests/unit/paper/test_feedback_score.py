"""The genetic feedback score: its terms by hand, its bounds, and where it is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from genesis.domain.errors import InputError
from genesis.evolution.feedback import read_feedback
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.paper.feedback import Provenance, feedback_score, submit_feedback
from genesis.paper.fidelity import fidelity
from genesis.paper.numbers import PerformanceNumbers
from genesis.paper.performance import performance_of
from tests.unit.paper.paper_runs import on_paper, shadow_of, trading_strategy, trip, wild_pair


def numbers(**values: object) -> PerformanceNumbers:
    base = performance_of("strat_a", 1000.0, [trip("1")]).numbers()
    return replace(base, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("win", "success", "sharpe", "streak", "score"),
    [
        (0.5, 0.9, 1.5, 4, 0.2 + 0.27 + 0.1 + 0.06),
        (1.0, 1.0, 3.0, 0, 1.0),
        (1.0, 1.0, 7.5, 0, 1.0),  # the ratio's term is full from 3 on
        (0.0, 0.0, -2.0, 10, 0.0),
        (0.0, 0.0, -2.0, 25, 0.0),  # no term is negative
        (0.4, 0.5, None, 10, 0.16 + 0.15),
        (0.4, None, 0.3, 9, 0.16 + 0.02 + 0.01),
    ],
)
def test_the_score_is_the_weighted_sum(
    win: float, success: float | None, sharpe: float | None, streak: int, score: float
) -> None:
    made = feedback_score(
        numbers(win_rate=win, success_rate=success, sharpe=sharpe, longest_losing_streak=streak)
    )
    assert made.score == pytest.approx(score)
    assert sum(made.terms.values()) == made.score


def test_nothing_traded_is_neither_good_nor_bad() -> None:
    made = feedback_score(performance_of("strat_a", 1000.0).numbers())
    assert (made.score, made.terms, made.reason) == (None, {}, "no trade was completed")


def test_a_run_writes_its_score_beside_the_stored_strategy(tmp_path: Path) -> None:
    strategy = trading_strategy(3)
    StrategyStore(tmp_path / "strategies").put(StoredStrategy(strategy))
    shadow = shadow_of(wild_pair(), 3)
    found = fidelity(on_paper(shadow), shadow)
    source = Provenance("paper-7", "replay", "build", "test:A:1h", "d" * 64, "s" * 64, (0, 10))
    mine = numbers(strategy=strategy.id, win_rate=0.5)
    score, written = submit_feedback(tmp_path, mine, source, 1234, found)
    assert written
    row = read_feedback(tmp_path, strategy.id).latest
    assert row is not None
    assert (row.score, row.terms) == (score.score, score.terms)
    assert (row.run_id, row.state_hash, row.span_ms, row.recorded_ms) == (
        "paper-7", "s" * 64, (0, 10), 1234,
    )  # fmt: skip
    assert row.measures["win_rate"] == 0.5
    assert row.fidelity["verdict"] == "FAITHFUL"
    assert submit_feedback(tmp_path, mine, source, 9999, found)[1] is False


def test_a_strategy_that_is_not_stored_has_no_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no strategy"):
        submit_feedback(tmp_path, numbers(), Provenance("paper-7", "replay"), 0)
