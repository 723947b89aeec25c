"""The grid around a genome: what a search would have found had it stopped a step aside."""

from __future__ import annotations

from dataclasses import replace

from genesis.strategy.genome import POLICY, Genome, all_genes, dormant_genes, repair
from genesis.strategy.registry import SeedRegistry

_SCALE = POLICY + "size"
"""The size of an entry scales return and risk alike: its neighbours are no other strategies."""


def grid_neighbours(genome: Genome, registry: SeedRegistry, max_warmup: int) -> list[Genome]:
    """Genomes one step away in one ordered gene that has an effect.

    Switches stay as they are: a rule that appears or goes is another strategy, not a neighbour.

    Parameters
    ----------
    genome : Genome
        Repaired.
    registry : SeedRegistry
    max_warmup : int
        Bars, as in the search.

    Returns
    -------
    list of Genome
        Without doubles and without the genome itself, in the order of the genes' names.
    """
    family = registry.get(genome.family)
    asleep = set(dormant_genes(genome, family))
    found: dict[str, Genome] = {}
    for name, spec in sorted(all_genes(family).items()):
        if name in asleep or name == _SCALE or spec.categorical:
            continue
        value = genome.genes.get(name, spec.default)
        if not spec.active(value):
            continue
        for near in spec.neighbours(value):
            if not spec.active(near):
                continue
            changed = replace(genome, genes={**genome.genes, name: near})
            legal = repair(changed, registry, max_warmup)
            if legal.key != genome.key:
                found.setdefault(legal.key, legal)
    return list(found.values())
