"""Variation of genomes: DEAP's operators on the places of genes in their grids.

Ordered genes with many values cross by bounded SBX (Deb & Agrawal 1995) in unit space and mutate
by the bounded polynomial; integers and windows mutate by a two-sided geometric step; categories
are exchanged and redrawn. Unit values are rounded to the grid at random, so that a small change is
not lost. Every child is repaired.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deap import tools

from genesis.evolution.candidate import Candidate
from genesis.evolution.treevariation import TreeOperators
from genesis.strategy.genes import Float, Gene
from genesis.strategy.genome import (
    Genome,
    all_genes,
    default_genome,
    random_genome,
)
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.trees import Type, random_tree

SBX_ETA = 15.0
POLYNOMIAL_ETA = 20.0
MEAN_STEP = 1.5
FAMILY_CHANGE = 0.03
SWITCH_SHARE = 0.25
WITHIN_FAMILY = 0.85
FILTER_SHARE = 0.1
FILTER_GAIN = 0.03
FILTER_LOSS = 0.05
FILTER_MUTATION = 0.3
_SCORE_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Rates:
    """Chances of variation, as in `EvolutionConfig`."""

    mutation: float = 0.1
    crossover: float = 0.8
    immigrants: float = 0.1
    library: float = 0.05
    filters: bool = True


class Variation:
    """Breeds genomes of some families.

    Parameters
    ----------
    registry : SeedRegistry
    families : sequence of str
        Families that new genomes are drawn from.
    repair : callable
        Genome to the nearest legal genome.
    rates : Rates
    fields : sequence of str
        Optional fields that every symbol of the dataset has.
    """

    def __init__(
        self,
        registry: SeedRegistry,
        families: Sequence[str],
        repair: Callable[[Genome], Genome],
        rates: Rates,
        fields: Sequence[str] = (),
    ) -> None:
        self.families = tuple(families)
        self._registry = registry
        self._repair = repair
        self._rates = rates
        self._fields = tuple(fields)
        self._trees = TreeOperators(fields)
        # Genes with a choice, by name: their order is the order of the draws.
        self._specs = {
            family: {n: s for n, s in sorted(all_genes(registry.get(family)).items()) if len(s) > 1}
            for family in registry.names()
        }
        self._shared_specs: dict[tuple[str, str], dict[str, Gene[Any]]] = {}

    def fresh(self, rng: random.Random, family: str | None = None) -> Genome:
        """Draw a genome at random."""
        name = family or self.families[rng.randrange(len(self.families))]
        genome = random_genome(self._registry.get(name), rng)
        if self._rates.filters and rng.random() < FILTER_SHARE:
            genome = Genome(genome.family, genome.genes, self._fresh_filter(rng))
        return self._repair(genome)

    def default(self, family: str) -> Genome:
        """Library genome of a family: every gene at its default."""
        return self._repair(default_genome(self._registry.get(family)))

    def from_library(self, rng: random.Random) -> Genome:
        """Library genome of a random family with some of its genes mutated."""
        name = self.families[rng.randrange(len(self.families))]
        return self.mutated(default_genome(self._registry.get(name)), rng)

    def crossed(self, first: Genome, second: Genome, rng: random.Random) -> tuple[Genome, Genome]:
        """Exchange genes that both parents have, and subtrees of their filters (unrepaired)."""
        one, two = dict(first.genes), dict(second.genes)
        specs = self._shared(first.family, second.family)
        plain: list[str] = []
        for name, spec in specs.items():
            inner = spec.active(one[name]) and spec.active(two[name])
            if spec.categorical or not inner:
                if rng.random() < 0.5:
                    one[name], two[name] = two[name], one[name]
            else:
                plain.append(name)
        left = [_unit(specs[n], one[n]) for n in plain]
        right = [_unit(specs[n], two[n]) for n in plain]
        if plain:
            tools.cxSimulatedBinaryBounded(left, right, SBX_ETA, 0.0, 1.0)
        for name, a, b in zip(plain, left, right, strict=True):
            one[name] = _rounded(specs[name], a, rng)
            two[name] = _rounded(specs[name], b, rng)
        trees = self._cross_filters(first, second, rng)
        return Genome(first.family, one, trees[0]), Genome(second.family, two, trees[1])

    def _shared(self, first: str, second: str) -> dict[str, Gene[Any]]:
        """Genes that two families have with the same values; the same name may mean others."""
        found = self._shared_specs.get((first, second))
        if found is None:
            other = self._specs[second]
            found = {
                name: spec
                for name, spec in self._specs[first].items()
                if name in other and spec.values == other[name].values
            }
            self._shared_specs[first, second] = found
        return found

    def _cross_filters(self, first: Genome, second: Genome, rng: random.Random) -> tuple[Any, Any]:
        one, two = first.filter, second.filter
        if one is not None and two is not None:
            return self._trees.cross(one, two) if rng.random() < 0.5 else (one, two)
        return (one, two) if rng.random() < 0.5 else (two, one)

    def mutated(self, genome: Genome, rng: random.Random) -> Genome:
        """Mutate genes, perhaps the filter, seldom the family; repaired."""
        if len(self.families) > 1 and rng.random() < FAMILY_CHANGE:
            genome = self._moved(genome, rng)
        specs = self._specs[genome.family]
        genes = dict(genome.genes)
        for name, spec in specs.items():
            if rng.random() < self._rates.mutation:
                genes[name] = self._mutated_gene(spec, genes.get(name, spec.default), rng)
        return self._repair(Genome(genome.family, genes, self._mutated_filter(genome, rng)))

    def _mutated_gene(self, spec: Gene[Any], value: Any, rng: random.Random) -> Any:
        if spec.categorical:
            others = spec.neighbours(value)
            return others[rng.randrange(len(others))]
        if spec.optional and rng.random() < SWITCH_SHARE:
            return spec.low if spec.active(value) else spec.at(1 + rng.randrange(len(spec) - 1))
        if not spec.active(value):
            return value
        if isinstance(spec, Float):
            unit = [_unit(spec, value)]
            tools.mutPolynomialBounded(unit, POLYNOMIAL_ETA, 0.0, 1.0, 1.0)
            return _rounded(spec, unit[0], rng)
        step = geometric_step(rng) * (1 if rng.random() < 0.5 else -1)
        lowest = 1 if spec.optional else 0
        return spec.at(min(max(spec.index(value) + step, lowest), len(spec) - 1))

    def _moved(self, genome: Genome, rng: random.Random) -> Genome:
        others = [name for name in self.families if name != genome.family]
        if not others:
            return genome
        drawn = random_genome(self._registry.get(others[rng.randrange(len(others))]), rng)
        common = self._shared(genome.family, drawn.family)
        shared = {n: v for n, v in genome.genes.items() if n in common}
        return Genome(drawn.family, {**drawn.genes, **shared}, genome.filter)

    def _fresh_filter(self, rng: random.Random) -> Any:
        kind = Type.RATIO if rng.random() < _SCORE_SHARE else Type.BOOL
        return random_tree(rng, kind, fields=self._fields, max_height=3)

    def _mutated_filter(self, genome: Genome, rng: random.Random) -> Any:
        tree = genome.filter
        draw = rng.random()
        if tree is None:
            return self._fresh_filter(rng) if self._rates.filters and draw < FILTER_GAIN else None
        if draw < FILTER_LOSS:
            return None
        return self._trees.mutate(tree) if draw < FILTER_LOSS + FILTER_MUTATION else tree

    def child(
        self,
        pick: Callable[[], Candidate],
        mates: Callable[[str], Candidate],
        rng: random.Random,
    ) -> Candidate:
        """Breed one child: an immigrant, a library genome, or of one or two parents.

        Parameters
        ----------
        pick : callable
            Draws a parent.
        mates : callable
            Draws a parent of a family (of any, if it has no other).
        rng : random.Random
        """
        rates = self._rates
        draw = rng.random()
        if draw < rates.immigrants:
            return Candidate(self.fresh(rng), "immigrant")
        if draw < rates.immigrants + rates.library:
            return Candidate(self.from_library(rng), "library")
        first = pick()
        if rng.random() >= rates.crossover:
            return Candidate(self.mutated(first.genome, rng), "mutation", (first.key,))
        second = mates(first.genome.family) if rng.random() < WITHIN_FAMILY else pick()
        bred, _ = self.crossed(first.genome, second.genome, rng)
        parents = (first.key,) if first.key == second.key else (first.key, second.key)
        return Candidate(self.mutated(bred, rng), "crossover", parents)


def _unit(spec: Gene[Any], value: Any) -> float:
    """Place in [0, 1] among the values that are no switch."""
    first = 1 if spec.optional else 0
    last = len(spec) - 1
    return (spec.index(value) - first) / (last - first) if last > first else 0.0


def _rounded(spec: Gene[Any], unit: float, rng: random.Random) -> Any:
    """Value at a unit place, rounded up or down with the chance of its fraction."""
    first = 1 if spec.optional else 0
    place = first + unit * (len(spec) - 1 - first)
    low = math.floor(place)
    return spec.at(low + (1 if rng.random() < place - low else 0))


def geometric_step(rng: random.Random) -> int:
    """Draw a step of at least 1 whose mean is `MEAN_STEP`."""
    step = 1
    while rng.random() < 1.0 - 1.0 / MEAN_STEP:
        step += 1
    return step
