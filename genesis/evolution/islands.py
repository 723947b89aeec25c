"""Islands: populations that breed apart and exchange a few members now and then."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from genesis.evolution.candidate import Candidate
from genesis.evolution.operators import Variation
from genesis.evolution.randomness import stream
from genesis.evolution.selection import Scores, Survival, distinct, select, tournament

_ATTEMPTS = 12


class Island:
    """One population under (mu + lambda) selection.

    Parameters
    ----------
    name : str
        Names its random stream, hence unique in a study.
    variation : Variation
    survival : Survival
    seed : int
        Seed of the study.

    Attributes
    ----------
    population : list of Candidate
        Valid members, best first.
    """

    def __init__(self, name: str, variation: Variation, survival: Survival, seed: int) -> None:
        self.name = name
        self.variation = variation
        self.survival = survival
        self.population: list[Candidate] = []
        self._seed = seed

    def brood(self, generation: int, known: Collection[str], size: int) -> list[Candidate]:
        """Breed candidates for a generation, as far as possible none that is known already.

        Parameters
        ----------
        generation : int
            Generation 0 is the first population: the library, then random genomes of each family
            in turn.
        known : collection of str
            Keys that were evaluated before.
        size : int
        """
        with stream(self._seed, self.name, generation) as rng:
            drawn: dict[str, Candidate] = {}
            if generation == 0:
                self._found(drawn, size, rng)
            while len(drawn) < size:
                candidate = self._unknown(known, drawn, rng)
                if candidate is None:
                    break  # the families' genomes are exhausted
                drawn[candidate.key] = candidate
            return list(drawn.values())

    def _found(self, drawn: dict[str, Candidate], size: int, rng: random.Random) -> None:
        families = self.variation.families
        # At most half of the first population comes from the library, the rest explores.
        for family in families[: max(1, size // 2)]:
            genome = self.variation.default(family)
            drawn[genome.key] = Candidate(genome, "library")
        turn = 0
        while len(drawn) < size and turn < _ATTEMPTS * size:
            genome = self.variation.fresh(rng, families[turn % len(families)])
            drawn.setdefault(genome.key, Candidate(genome, "random"))
            turn += 1

    def _unknown(
        self, known: Collection[str], drawn: Collection[str], rng: random.Random
    ) -> Candidate | None:
        candidate: Candidate | None = None
        for _ in range(_ATTEMPTS):
            candidate = self._child(rng)
            if candidate.key not in known and candidate.key not in drawn:
                return candidate
        # A genome that other islands know is a fair child; one drawn twice is not.
        for _ in range(_ATTEMPTS):
            if candidate is not None and candidate.key not in drawn:
                return candidate
            candidate = Candidate(self.variation.fresh(rng), "immigrant")
        return None

    def _child(self, rng: random.Random) -> Candidate:
        if not self.population:
            return Candidate(self.variation.fresh(rng), "immigrant")

        def pick() -> Candidate:
            return tournament(self.population, rng)

        def mate(family: str) -> Candidate:
            kin = [c for c in self.population if c.genome.family == family]
            return tournament(kin or self.population, rng)

        return self.variation.child(pick, mate, rng)

    def absorb(self, children: Sequence[Candidate], scores: Scores) -> None:
        """Let children compete with their parents for the places."""
        self.population = self.survival.survivors(self.population, children, scores)

    def receive(self, migrants: Sequence[Candidate], scores: Scores) -> None:
        """Take migrants in: they replace the worst members unless they are worse themselves."""
        both = {c.key: c for c in (*migrants, *self.population)}
        unique = distinct([c.key for c in (*self.population, *migrants)], scores)
        self.population = [both[k] for k in select(unique, scores, self.survival.size)]


def migrate(islands: Sequence[Island], count: int, scores: Scores) -> None:
    """Send copies of each island's best members to the next one in the ring, all at once."""
    if len(islands) < 2 or count < 1:
        return
    leaving = [island.population[:count] for island in islands]
    for place, island in enumerate(islands):
        island.receive(leaving[place - 1], scores)


def sizes(total: int, islands: int) -> list[int]:
    """Split a population over islands as evenly as possible, larger ones first."""
    base, rest = divmod(total, islands)
    return [base + (1 if place < rest else 0) for place in range(islands)]


def deal(families: Sequence[str], islands: int, specialise: bool) -> list[tuple[str, ...]]:
    """Families of each island: all of them, or dealt out in turn where there are enough."""
    if not specialise or len(families) < islands:
        return [tuple(families)] * islands
    return [tuple(families[place::islands]) for place in range(islands)]
