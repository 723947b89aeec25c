"""What a generation consists of, which study it belongs to, and which families it breeds."""

from __future__ import annotations

from dataclasses import dataclass, field

from genesis.evolution.candidate import Candidate
from genesis.evolution.config import StudyConfig
from genesis.market.panel import Panel
from genesis.strategy.genome import Genome, legal_genes, repair
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.trees import reduce_tree


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """Hashes that a study's state belongs to."""

    config_hash: str
    dataset_hash: str
    code_hash: str
    study_hash: str


@dataclass(slots=True)
class Brood:
    """Children of a generation by island, and what of them must be evaluated, by arm."""

    generation: int
    children: dict[str, list[Candidate]]
    search: list[tuple[str, Candidate]] = field(default_factory=list)
    ml: list[tuple[str, Candidate]] = field(default_factory=list)
    reused: int = 0


def families_of(
    config: StudyConfig, registry: SeedRegistry, panel: Panel
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Families of the islands and of the ML island.

    ``all`` leaves out families that can never signal on this panel, and the ML families where
    their island is switched off.
    """
    ml = config.evolution.ml_island.enabled
    if config.seeds.families != "all":
        chosen = list(dict.fromkeys(config.seeds.families))
    else:
        funded = any(s.has_funding for s in panel.symbols)
        chosen = [
            name
            for name in registry.names()
            if (funded or "funding" not in registry.get(name).needs)
        ]
    return (
        tuple(n for n in chosen if not registry.get(n).ml),
        tuple(n for n in chosen if registry.get(n).ml and ml),
    )


def repaired(genome: Genome, registry: SeedRegistry, max_warmup: int) -> Genome:
    """Nearest legal genome; of a genome whose family raises, the one with legal values.

    A user's family may fail for some genes. Such a genome must reach the evaluator, which gives
    it its reason, and must not stop the study.
    """
    try:
        return repair(genome, registry, max_warmup)
    except MemoryError:
        raise
    except Exception:
        genes = legal_genes(genome.genes, registry.get(genome.family))
        tree = reduce_tree(genome.filter) if genome.filter is not None else None
        return Genome(genome.family, genes, tree)
