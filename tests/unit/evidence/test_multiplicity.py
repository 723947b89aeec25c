"""How many trials, and how many of them differ: more looks raise the number, nothing lowers it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from genesis.backtest.combine import combine
from genesis.backtest.result import METRICS, NO_TRADES, RAISED, TOO_SHORT, VALID, BlockResult
from genesis.domain.timeline import DAY_MS
from genesis.evidence import multiplicity as module
from genesis.evidence.blocks import portfolio_marks
from genesis.evidence.campaign import Campaign
from genesis.evidence.multiplicity import Multiplicity, multiplicity
from genesis.evolution.evaluation import BLOCK
from genesis.evolution.executors.worker import UnitEvaluator
from genesis.evolution.work import ExecutorStats, StudyJob, UnitResult, WorkUnit
from tests.unit.evidence.small_study import (
    campaign_of,
    small_config,
    small_study,
    started,
    write_market,
)
from tests.unit.evolution.trial_homes import Home

Rows = Mapping[str, tuple[int, Sequence[float]]]


class FakeBlocks:
    """Answers blocks with equity rows given by genome, in reverse order."""

    name = "fake"

    def __init__(self, rows: Sequence[Rows], days: int) -> None:
        self.rows = rows
        self.days = days
        self.stats = ExecutorStats(workers=1)
        self.units = 0

    def start(self, job: StudyJob) -> None:
        del job

    def close(self) -> None:
        return None

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        for unit in reversed(units):
            self.units += 1
            known = [self.rows[unit.symbol][text] for text in unit.genomes]
            n = len(known)
            block = BlockResult(
                status=np.array([status for status, _ in known], dtype=np.int8),
                reasons=("",) * n,
                metrics=np.zeros((n, len(METRICS))),
                fold_sharpe=np.zeros((n, 2)),
                fold_trades=np.zeros((n, 2)),
                marks=np.array([row for _, row in known]),
                phenotype=np.zeros(n, dtype=np.uint64),
            )
            yield UnitResult(unit.unit, block, 0.0, "fake", 0, 0)


def equity(*returns: float) -> tuple[int, list[float]]:
    return VALID, np.cumsum(returns).tolist()


def test_a_portfolio_is_the_mean_over_symbols_whatever_the_order_of_answers() -> None:
    nan = [float("nan")] * 3
    first: Rows = {
        "a": (VALID, [1.0, 2.0, 3.0]),
        "b": (VALID, [1.0, 1.0, 1.0]),
        "c": (VALID, [5.0, 5.0, 5.0]),
        "d": (NO_TRADES, nan),
    }
    second: Rows = {
        "a": (VALID, [3.0, 0.0, -3.0]),
        "b": (NO_TRADES, nan),
        "c": (RAISED, nan),
        "d": (TOO_SHORT, nan),
    }
    told: list[tuple[str, int, int]] = []
    marks = portfolio_marks(
        FakeBlocks([first, second], 3), list("abcd"), 2, lambda *row: told.append(row)
    )
    assert marks[0].tolist() == [2.0, 1.0, 0.0]
    assert marks[1].tolist() == [0.5, 0.5, 0.5]
    assert np.isnan(marks[2]).all()
    assert marks[3].tolist() == [0.0, 0.0, 0.0]
    assert told == [("trials", 1, 2), ("trials", 2, 2)]


def test_more_genomes_than_a_block_holds() -> None:
    names = [f"g{place}" for place in range(BLOCK + 3)]
    rows: Rows = {name: (VALID, [float(place)]) for place, name in enumerate(names)}
    executor = FakeBlocks([rows], 1)
    assert portfolio_marks(executor, names, 1).ravel().tolist() == list(range(BLOCK + 3))
    assert executor.units == 2
    assert portfolio_marks(executor, [], 1).shape == (0, 0)


def test_daily_equity_is_the_searchs_own(read_campaign: Campaign) -> None:
    texts = read_campaign.phenotypes[:20]
    evaluator = UnitEvaluator(read_campaign.job, "x")
    blocks = [evaluator.run(WorkUnit(0, k, tuple(texts))).block for k in range(2)]
    expected = combine(blocks).marks
    found = portfolio_marks(started(read_campaign), texts, 2)
    assert np.array_equal(found, expected)


@pytest.fixture(autouse=True)
def _groups_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign made by hand says itself what was tried; a real one's ledgers say it."""
    real = module._tried
    monkeypatch.setattr(
        module, "_tried", lambda c: c.groups if isinstance(c, SimpleNamespace) else real(c)
    )


def hand_made(
    home: Path, names: Sequence[str], rows: Rows, others: int = 0
) -> tuple[Any, FakeBlocks]:
    """A campaign of one symbol with given behaviours, and other studies beside it."""
    study = Home(home)
    study.study("own", list(names))
    if others:
        study.study("other", [f"x{i}" for i in range(others)])
    days = len(next(iter(rows.values()))[1])
    campaign = SimpleNamespace(
        home=home,
        bases=["BTC"],
        material=SimpleNamespace(searched_span=(0, 1_000)),
        phenotypes=list(names),
        groups=[list(names)],
        search=SimpleNamespace(symbols=("one",), interval_ms=DAY_MS),
    )
    return campaign, FakeBlocks([rows], days)


A = (1.0, -1.0, 1.0, -1.0)
B = (1.0, 1.0, -1.0, -1.0)
C = (1.0, -1.0, -1.0, 1.0)


def times(factor: float, values: Sequence[float]) -> list[float]:
    return [factor * v for v in values]


def test_copies_of_two_behaviours_are_two_trials(tmp_path: Path) -> None:
    rows = {
        "a": equity(*A),
        "b": equity(*B),
        "c": equity(*times(2.0, A)),
        "d": equity(*times(-3.0, B)),
    }
    campaign, executor = hand_made(tmp_path, "abcd", rows)
    found = multiplicity(campaign, executor)
    assert (found.own, found.components, found.count.unique) == (4, 2, 4)
    assert found.effective == pytest.approx(2.0)


def test_different_behaviours_are_as_many_trials(tmp_path: Path) -> None:
    rows = {"a": equity(*A), "b": equity(*B), "c": equity(*C)}
    campaign, executor = hand_made(tmp_path, "abc", rows)
    assert multiplicity(campaign, executor).effective == pytest.approx(3.0)


def test_trials_that_cannot_be_computed_again_count_as_alike(tmp_path: Path) -> None:
    rows = {"a": equity(*A), "b": equity(*B), "c": equity(*A), "d": equity(*A)}
    campaign, executor = hand_made(tmp_path, "abcd", rows, others=6)
    found = multiplicity(campaign, executor)
    assert found.count.unique == 10
    assert found.effective == pytest.approx(2 * 10 / 4)


def test_a_narrow_study_after_a_broad_one_makes_no_trial_alike(tmp_path: Path) -> None:
    """Together 95 % of the variance would lie in one component: the copies drown the others."""
    broad = {"a": equity(*A), "b": equity(*B), "c": equity(*C)}
    copies = {f"copy{i:02d}": equity(*times(1.0 + 0.01 * i, A)) for i in range(60)}
    campaign, executor = hand_made(tmp_path, "abc", broad | copies, others=60)
    alone = multiplicity(campaign, executor).components
    campaign.groups = [list("abc"), list(copies)]
    both = multiplicity(campaign, executor)
    assert alone == both.components == 3
    campaign.groups = [[*"abc", *copies]]
    assert multiplicity(campaign, executor).components == 1
    assert both.effective >= 3.0


def test_what_others_tried_is_computed_again_here(home: Path) -> None:
    symbols = write_market(home)
    small_study(small_config(symbols, seed=2), home, "second")
    own, other = module._tried(campaign_of("base", home))
    assert set(own) <= set(campaign_of("base", home).phenotypes)
    assert other
    assert not set(own) & set(other)
    assert set(other) <= set(campaign_of("second", home).phenotypes)


def test_the_variance_is_that_of_the_daily_ratios(tmp_path: Path) -> None:
    series = {name: np.random.default_rng(i).normal(0.1, 1.0, 50) for i, name in enumerate("abcd")}
    rows = {name: equity(*values) for name, values in series.items()}
    rows["e"] = equity(*([0.0] * 50))  # never trades: it has no ratio
    campaign, executor = hand_made(tmp_path, "abcde", rows)
    ratios = [values.mean() / values.std(ddof=1) for values in series.values()]
    assert multiplicity(campaign, executor).variance == pytest.approx(np.var(ratios, ddof=1))


def test_one_trial_and_none(tmp_path: Path) -> None:
    campaign, executor = hand_made(tmp_path / "one", "a", {"a": equity(*A)})
    found = multiplicity(campaign, executor)
    assert (found.effective, found.variance) == (1.0, 0.0)
    campaign.phenotypes, campaign.groups = [], []
    found = multiplicity(campaign, executor)
    assert found.effective >= 1.0


def test_of_many_behaviours_an_even_sample_stands_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"g{i:02d}" for i in range(10)]
    rows = {name: equity(*(A if i % 2 else B)) for i, name in enumerate(names)}
    campaign, executor = hand_made(tmp_path, names, rows)
    monkeypatch.setattr(module, "MOST_EVALUATED", 4)
    found = multiplicity(campaign, executor)
    assert found.own == 10
    assert found.effective == pytest.approx(found.components * 10 / 4)


def effective(home: Path) -> Multiplicity:
    campaign = campaign_of("base", home)
    return multiplicity(campaign, started(campaign))


@pytest.mark.usefixtures("settled_code")
def test_another_study_on_overlapping_data_raises_it_and_nothing_lowers_it(home: Path) -> None:
    alone = effective(home)
    assert alone.effective == pytest.approx(alone.components * alone.count.unique / alone.own)
    assert alone.count.unique >= alone.own == len(set(campaign_of("base", home).phenotypes))
    symbols = write_market(home)
    small_study(small_config(symbols, seed=2), home, "second")
    both = effective(home)
    assert both.effective > alone.effective
    assert both.count.total > alone.count.total
    small_study(small_config(symbols, seed=2), home, "third")  # the same search again
    third = effective(home)
    assert third.effective >= both.effective
    shutil.rmtree(home / "runs" / "second")
    assert effective(home).effective >= third.effective
    shutil.rmtree(home / "runs" / "third")
    assert effective(home).effective >= third.effective


@pytest.mark.usefixtures("settled_code")
def test_what_is_told_of_it_is_plain(home: Path) -> None:
    found = effective(home).to_plain()
    assert json.loads(json.dumps(found)) == found
    assert found["studies"][0]["run_id"] == "base"
