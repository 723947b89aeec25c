"""Measures of a whole search: gate G1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from genesis.evidence.campaign import Campaign
from genesis.evidence.gates import GatesFile
from genesis.evidence.lottery import lottery
from genesis.evidence.multiplicity import Multiplicity
from genesis.evidence.permutation import permutation_test
from genesis.evidence.progress import Progress, untold
from genesis.evidence.sample import sample_measures
from genesis.evolution.work import Executor


@dataclass(slots=True)
class SearchEvidence:
    """What was measured of a search: measure to value or (value, note), and what is behind."""

    measures: dict[str, Any]
    details: dict[str, Any]


def measure_search(
    campaign: Campaign,
    executor: Executor,
    gates: GatesFile,
    trials: Multiplicity,
    *,
    surrogates: int,
    full: bool,
    progress: Progress = untold,
) -> SearchEvidence:
    """Take all measures of G1.

    Parameters
    ----------
    campaign : Campaign
    executor : Executor
        Started with the campaign's job.
    gates : GatesFile
    trials : Multiplicity
    surrogates : int
        Reruns a kind of surrogate market.
    full : bool
        Do every rerun even where the gate cannot be passed any more.
    progress : callable
        Told (step, done, in all).
    """
    settings = gates.settings
    evidence = SearchEvidence({}, {"trials": trials.to_plain()})
    _controls(evidence, campaign, settings.lottery_arms)
    progress("sample", 0, 1)
    evidence.measures |= sample_measures(campaign, executor, settings.sample_genomes)
    progress("sample", 1, 1)
    for gate in gates.of("G1"):
        if not gate.measure.startswith("permutation_"):
            continue
        result = permutation_test(
            campaign,
            executor,
            gate.measure.removeprefix("permutation_"),
            draws=settings.surrogates,
            more=surrogates - settings.surrogates,
            seed=settings.surrogate_seed,
            level=gate.threshold,
            full=full,
            progress=progress,
        )
        low, high = result.interval
        note = f"{len(result.null)} of {surrogates} reruns, 95 % interval {low:.3f} to {high:.3f}"
        if len(result.null) > settings.surrogates:
            note += f"; the verdict is that of the first {settings.surrogates}"
        evidence.measures[gate.measure] = (result.p, note)
        evidence.details[gate.measure] = result.to_plain()
    return evidence


def _controls(evidence: SearchEvidence, campaign: Campaign, arms: int) -> None:
    """Lottery arms of the search's best strategy; the random arm, which is only reported."""
    best = campaign.candidates(1)
    if best:
        result = lottery(
            campaign.search,
            best[0].record.strategy,
            campaign.material.setup,
            arms,
            str(campaign.facts["study_hash"]),
        )
        evidence.measures["lottery"] = (
            result.beaten,
            f"Sharpe {result.sharpe:.2f} against {arms} arms, the best {max(result.arms):.2f}",
        )
        evidence.details["lottery"] = result.to_plain()
    else:
        evidence.measures["lottery"] = (None, "no strategy met the study's constraints")
    found, drawn = campaign.best_fitness, campaign.best_random
    if found is not None and drawn is not None:
        evidence.measures["random_arm"] = (
            found - drawn,
            f"search {found:.2f}, random {drawn:.2f}",
        )
    else:
        evidence.measures["random_arm"] = (None, "the study had no random arm, or nothing feasible")
