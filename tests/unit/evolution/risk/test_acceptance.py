"""The sealed test and the ablation on tables whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from genesis.evolution.risk.ablation import eliminate
from genesis.evolution.risk.acceptance import compare, p_values, weighted_tail
from genesis.evolution.risk.config import AcceptanceConfig
from genesis.evolution.risk.measures import CDAR, COLUMNS, GROWTH, LOSS, Outcome
from genesis.evolution.risk.run import verdict_of
from genesis.evolution.risk.score import Weights
from genesis.risk.genome import GENES, NAMES, RiskGenome

RULES = AcceptanceConfig()


def table(growth: float, cdar: float, seed: int = 1, noise: int = 9) -> np.ndarray:
    """Measures of 200 paths with two books each; the noise is the same for every manager."""
    common = np.random.default_rng(seed).normal(size=(400, 3))
    own = np.random.default_rng(noise).normal(size=(400, 3))
    rows = np.zeros((400, COLUMNS))
    rows[:, GROWTH] = growth + 0.02 * common[:, 0] + 0.001 * own[:, 0]
    rows[:, CDAR] = cdar + 0.01 * common[:, 1] + 0.001 * own[:, 1]
    rows[:, LOSS] = -growth + 0.05 * common[:, 2] + 0.001 * own[:, 2]
    return rows


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_clear_gain_is_accepted() -> None:
    found = compare("defaults", table(0.0199, 0.04, noise=8), table(0.02, 0.05), 2, RULES, rng())
    assert found.better
    assert found.cdar_gain == pytest.approx(0.2, abs=0.01)
    assert max(found.adjusted) < 0.05
    assert verdict_of((found, found)) == "accepted"


def test_each_bar_refuses_on_its_own() -> None:
    base = table(0.02, 0.05)
    small = compare("b", table(0.02, 0.0475, noise=8), base, 2, RULES, rng())
    assert [r for r in small.reasons if "CDaR improves" in r]
    costly = compare("b", table(0.0185, 0.04, noise=8), base, 2, RULES, rng())
    assert [r for r in costly.reasons if "growth falls" in r]
    assert verdict_of((small, costly)) == "lost"


def test_a_gain_that_could_be_luck_is_refused() -> None:
    lucky = np.random.default_rng(3).normal(size=400)
    base = table(0.02, 0.05)
    rows = base.copy()
    rows[:, CDAR] += 0.2 * (lucky - lucky.mean()) - 0.006
    found = compare("b", rows, base, 2, RULES, rng())
    assert found.cdar_gain > 0.1
    assert [r for r in found.reasons if r.startswith("cdar could be luck")]


def test_a_losing_book_proves_nothing() -> None:
    base = table(-0.02, 0.05)
    nothing = np.zeros((400, COLUMNS))
    found = compare("defaults", nothing, base, 2, RULES, rng())
    assert found.cdar_gain == 1.0
    assert not found.better
    assert "doing less would win" in found.reasons[0]
    assert verdict_of((found,)) == "undecided"


def test_what_turns_a_loss_into_a_gain_is_evidence() -> None:
    found = compare("defaults", table(0.01, 0.03, noise=8), table(-0.01, 0.05), 2, RULES, rng())
    assert found.better


def test_nothing_is_undecided_where_one_baseline_can_be_judged() -> None:
    losing = compare("a", table(-0.01, 0.05, noise=8), table(-0.02, 0.05), 2, RULES, rng())
    judged = compare("b", table(-0.01, 0.05, noise=8), table(0.02, 0.05), 2, RULES, rng())
    won = compare("b", table(0.02, 0.03, noise=8), table(0.02, 0.05), 2, RULES, rng())
    assert verdict_of((losing, judged)) == "lost"
    assert verdict_of((losing, won)) == "undecided"


def test_p_values_are_those_of_a_paired_test() -> None:
    # With one book a path, the bootstrap of means is close to the paired t test.
    base, rows = table(0.02, 0.05), table(0.02, 0.05, noise=8)
    rows[:, CDAR] = base[:, CDAR] + np.random.default_rng(2).normal(-0.0008, 0.01, 400)
    rules = AcceptanceConfig(draws=20_000)
    found = p_values(rows, base, 1, rules, rng())[1]
    theirs = stats.ttest_rel(rows[:, CDAR], base[:, CDAR], alternative="less").pvalue
    assert 0.01 < theirs < 0.2
    assert found == pytest.approx(theirs, rel=0.15)


def test_paths_are_resampled_not_scenarios() -> None:
    # The two books of a path are one observation: doubling them must not halve the p-value.
    single_base, single = table(0.02, 0.05)[:100], table(0.02, 0.05, noise=8)[:100]
    single[:, CDAR] = single_base[:, CDAR] + np.random.default_rng(2).normal(-0.001, 0.01, 100)
    doubled = [np.repeat(rows, 2, axis=0) for rows in (single, single_base)]
    rules = AcceptanceConfig(draws=20_000)
    once = p_values(single, single_base, 1, rules, rng())[1]
    twice = p_values(doubled[0], doubled[1], 2, rules, rng())[1]
    assert twice == pytest.approx(once, rel=0.1)
    assert once > 0.05


def test_tail_of_a_resample_is_that_of_its_scenarios() -> None:
    draw = np.random.default_rng(4)
    losses = draw.normal(size=60)
    places = draw.integers(0, 60, size=(50, 60))
    weights = np.stack([np.bincount(row, minlength=60) for row in places]).astype(float)
    expected = [np.sort(losses[row])[-3:].mean() for row in places]
    np.testing.assert_allclose(weighted_tail(losses, weights), expected)


# ---- ablation -----------------------------------------------------------------------------------

BASE = Outcome(0.10, 0.08, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def outcomes(genomes: Sequence[RiskGenome]) -> list[Outcome]:
    """CDaR falls with the stop's way from its default; the trail helps less than it costs."""
    found = []
    for genome in genomes:
        moved = np.abs(genome.unit() - RiskGenome().unit())
        stop, trail = (float(moved[NAMES.index(n)]) for n in ("stop_atr", "trail_atr"))
        cdar = 0.08 * (1.0 - 0.5 * stop - 0.01 * trail)
        found.append(Outcome(0.10, cdar, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    return found


def test_genes_that_do_not_pay_are_set_back_and_reported() -> None:
    bred = RiskGenome().replace(stop_atr=1.0, trail_atr=20.0, min_sharpe=2.0)
    genome, rows = eliminate(bred, [BASE], outcomes, Weights())
    assert genome == RiskGenome().replace(stop_atr=1.0)
    verdicts = {row.gene: row.verdict for row in rows}
    assert [row.gene for row in rows] == [gene.name for gene in GENES]
    assert verdicts.pop("stop_atr") == "pays"
    assert verdicts.pop("trail_atr") == "frozen"
    assert verdicts.pop("min_sharpe") == "inert"
    assert set(verdicts.values()) == {"default"}
    stop = next(row for row in rows if row.gene == "stop_atr")
    way = float(RiskGenome().unit()[NAMES.index("stop_atr")])
    assert stop.cdar == pytest.approx(0.5 * way)
    assert stop.cost == pytest.approx(0.25 * way)
    assert stop.price == pytest.approx(0.02 * way)
    trail = next(row for row in rows if row.gene == "trail_atr")
    assert (trail.bred, trail.kept) == (20.0, trail.default)


def test_of_two_genes_that_stand_in_for_each_other_one_stays() -> None:
    def either(genomes: Sequence[RiskGenome]) -> list[Outcome]:
        found = []
        for genome in genomes:
            moved = np.abs(genome.unit() - RiskGenome().unit())
            best = max(float(moved[NAMES.index(n)]) for n in ("stop_atr", "trail_atr"))
            found.append(Outcome(0.10, 0.08 * (1 - 0.5 * best), 0.05, *([0.0] * 6)))
        return found

    bred = RiskGenome().replace(stop_atr=1.0, trail_atr=20.0)
    genome, _ = eliminate(bred, [BASE], either, Weights())
    moved = [n for n in NAMES if getattr(genome.genes, n) != getattr(RiskGenome().genes, n)]
    assert len(moved) == 1


def test_the_defaults_stay_the_defaults() -> None:
    genome, rows = eliminate(RiskGenome(), [BASE], outcomes, Weights())
    assert genome == RiskGenome()
    assert {row.verdict for row in rows} == {"default"}
