"""A fixed sample of random strategies: what Hansen's test and CSCV may be applied to.

On the columns of a search both are wrong: the search chose them by looking at the data (measured:
SPA rejects 15 % of pure noise there, PBO says 0.7 whether there is an edge or not). The sample is
drawn once, from a seed of its own; no data, study or seed of a user changes it.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from genesis.evidence.blocks import portfolio_marks
from genesis.evidence.campaign import Campaign
from genesis.evidence.length import BLOCKS, sample_shortage
from genesis.evolution.brood import families_of, repaired
from genesis.evolution.operators import Rates, Variation
from genesis.evolution.work import Executor
from genesis.strategy.genome import Genome
from genesis.validation.cscv import pbo
from genesis.validation.snooping import spa

_SEED = 20200101
_DRAWS = 20


def fixed_sample(campaign: Campaign, size: int) -> list[Genome]:
    """Random genomes of the study's families, the same for every data set that allows them."""
    ordinary, fitting = families_of(campaign.config, campaign.material.registry, campaign.search)
    registry = campaign.material.registry
    limit = int(campaign.config.constraints.max_warmup * campaign.search.bars)
    variation = Variation(
        registry,
        ordinary or fitting,
        lambda genome: repaired(genome, registry, limit),
        Rates(filters=campaign.config.evolution.filters),
    )
    rng = random.Random(_SEED)  # noqa: S311 - a fixed sequence, not a secret
    drawn: dict[str, Genome] = {}
    for _ in range(_DRAWS * size):
        if len(drawn) == size:
            break
        genome = variation.fresh(rng)
        drawn.setdefault(genome.key, genome)
    return list(drawn.values())


def sample_measures(campaign: Campaign, executor: Executor, size: int) -> dict[str, Any]:
    """P value of the SPA test and PBO of the fixed sample on the searched bars."""
    genomes = fixed_sample(campaign, size)
    marks = portfolio_marks(
        executor, [genome.to_text() for genome in genomes], len(campaign.search.symbols)
    )
    marks = marks[np.isfinite(marks).all(axis=1)]
    returns = np.diff(marks, axis=1, prepend=0.0).T
    returns = returns[:, np.any(returns != 0.0, axis=0)] if returns.size else returns
    short = sample_shortage(returns.shape[0])
    if returns.shape[1] < 2 or short is not None:
        trading = f"{returns.shape[1]} of {len(genomes)} strategies of the sample trade"
        note = f"{trading}, 2 are needed" if returns.shape[1] < 2 else ""
        if short is not None and returns.shape[0]:
            note = "; ".join(part for part in (short.text, note) if part)
        return {"sample_spa": (None, note), "sample_pbo": (None, note), "sample_size": 0}
    result = spa(returns, rng=np.random.default_rng(_SEED))
    overfit = pbo(returns, BLOCKS)
    return {
        "sample_spa": (result.consistent, f"lower {result.lower:.3f}, upper {result.upper:.3f}"),
        "sample_pbo": (overfit.pbo, f"{BLOCKS} blocks"),
        "sample_size": returns.shape[1],
    }
