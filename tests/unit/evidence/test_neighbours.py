"""Grid neighbours: one step in one gene that matters, nothing else."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from genesis.evidence.neighbours import grid_neighbours
from genesis.strategy.genome import (
    Genome,
    all_genes,
    default_genome,
    dormant_genes,
    random_genome,
    repair,
)
from genesis.strategy.registry import SeedRegistry
from genesis.validation.robustness import plateau

REGISTRY = SeedRegistry()
FAMILIES = REGISTRY.names()
WARMUP = 400


def some_genomes(family: str, count: int = 4) -> list[Genome]:
    draw = random.Random(f"neighbours/{family}")
    kind = REGISTRY.get(family)
    drawn = [default_genome(kind), *(random_genome(kind, draw) for _ in range(count))]
    return [repair(genome, REGISTRY, WARMUP) for genome in drawn]


def place(spec: object, value: object) -> int:
    return list(spec.values).index(value)  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_neighbour_is_one_step_away_in_one_ordered_gene(family: str) -> None:
    specs = all_genes(REGISTRY.get(family))
    for genome in some_genomes(family):
        asleep = dormant_genes(genome, REGISTRY.get(family))
        steps = set()
        near = grid_neighbours(genome, REGISTRY, WARMUP)
        assert len({g.key for g in near} | {genome.key}) == len(near) + 1
        for other in near:
            assert other.family == family
            assert repair(other, REGISTRY, WARMUP).key == other.key
            moved = [n for n in specs if other.genes[n] != genome.genes[n]]
            asked = [
                n
                for n in moved
                if not specs[n].categorical
                and abs(place(specs[n], other.genes[n]) - place(specs[n], genome.genes[n])) == 1
                and n not in asleep
            ]
            assert asked, "no gene moved by one step"
            assert "policy.size" not in moved
            assert not set(moved) & set(asleep)
            # Repair may pull a second gene along (an ordering, a warm-up), never switch a rule.
            for name in moved:
                spec = specs[name]
                assert not spec.categorical
                assert spec.active(other.genes[name]) == spec.active(genome.genes[name])
            if len(moved) == 1:
                steps.add((moved[0], other.genes[moved[0]]))
        assert len(steps) >= len(near) - 2


@pytest.mark.parametrize("family", ["ema_cross", "donchian", "bollinger"])
def test_every_step_of_every_gene_that_matters_is_there(family: str) -> None:
    """An enumeration of its own: each legal change of one gene, as the repair leaves it."""
    specs = all_genes(REGISTRY.get(family))
    for genome in some_genomes(family):
        asleep = dormant_genes(genome, REGISTRY.get(family))
        expected = set()
        for name, spec in specs.items():
            if spec.categorical or name in asleep or name == "policy.size":
                continue
            at = place(spec, genome.genes[name])
            for step in (at - 1, at + 1):
                if not 0 <= step < len(spec.values):
                    continue
                value = spec.values[step]
                if spec.optional and 0.0 in (value, genome.genes[name]):
                    continue
                legal = repair(
                    replace(genome, genes={**genome.genes, name: value}), REGISTRY, WARMUP
                )
                expected.add(legal.key)
        expected.discard(genome.key)
        assert {g.key for g in grid_neighbours(genome, REGISTRY, WARMUP)} == expected


def test_a_switched_off_rule_stays_off_and_a_switched_on_one_on() -> None:
    genome = some_genomes("ema_cross", 0)[0]
    genes = {**genome.genes, "policy.stop_atr": 0.5, "policy.target_atr": 0.0}
    genome = repair(replace(genome, genes=genes), REGISTRY, WARMUP)
    near = grid_neighbours(genome, REGISTRY, WARMUP)
    assert {g.genes["policy.stop_atr"] for g in near} == {0.5, 0.6}
    assert {g.genes["policy.target_atr"] for g in near} == {0.0}


def test_the_answer_has_one_order() -> None:
    genome = some_genomes("donchian")[2]
    again = replace(genome, genes=dict(reversed(list(genome.genes.items()))))
    assert grid_neighbours(genome, REGISTRY, WARMUP) == grid_neighbours(again, REGISTRY, WARMUP)


@pytest.mark.parametrize("seed", range(5))
def test_plateau_numbers_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(1.0, 1.0, int(rng.integers(1, 12)))
    values[rng.random(values.size) < 0.2] = np.nan
    whole = sorted(0.0 if np.isnan(v) else float(v) for v in values)
    half = (len(whole) - 1) / 2
    median = (whole[int(np.floor(half))] + whole[int(np.ceil(half))]) / 2
    tenth = 0.1 * (len(whole) - 1)
    low = int(np.floor(tenth))
    high = min(low + 1, len(whole) - 1)
    p10 = whole[low] + (tenth - low) * (whole[high] - whole[low])
    found = plateau(2.0, values)
    assert found.median_share == pytest.approx(median / 2.0)
    assert found.p10 == pytest.approx(p10)
    assert np.isnan(plateau(-1.0, values).median_share)
