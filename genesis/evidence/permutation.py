"""The search against itself on markets without an edge: the valid test of a whole search.

The study's search is rerun on surrogate markets; the p value is the rank of what it found
among theirs, ``(1 + #{surrogate >= study}) / (1 + B)`` (Masters 2018). It needs neither a number
of trials nor a variance, because the reruns make the same choices on the same bars.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from genesis.domain.canonical import content_hash
from genesis.domain.errors import ExecutorError
from genesis.evidence.campaign import Campaign
from genesis.evidence.journal import JOURNAL, SurrogateJournal
from genesis.evidence.progress import Progress, untold
from genesis.evidence.worker import request
from genesis.evolution.identity import source_hash
from genesis.evolution.work import Executor
from genesis.validation.multiple import binomial_interval
from genesis.validation.sequential import sequential_p


@dataclass(frozen=True, slots=True)
class PermutationResult:
    """Outcome of the reruns on one kind of surrogate.

    Attributes
    ----------
    kind : str
    observed : float or None
        The study's statistic, see `genesis.evidence.statistic`.
    null : tuple of float or None
        That of each rerun in order; None where nothing was feasible.
    planned : int
        Reruns planned (B).
    p : float
    interval : tuple of float
        Clopper-Pearson 95 % interval of the chance that a rerun reaches the study.
    decided_early : bool
        Whether the reruns stopped because the gate could not be passed any more.
    fingerprint, digest : str
        Which reruns of the journal these are, and their hash; see `genesis.evidence.journal`.
    """

    kind: str
    observed: float | None
    null: tuple[float | None, ...]
    planned: int
    p: float
    interval: tuple[float, float]
    decided_early: bool
    fingerprint: str = ""
    digest: str = ""

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]


def exceeds(null: float | None, observed: float | None) -> bool:
    """Whether a rerun reaches the study; a study without a feasible strategy is always reached."""
    if observed is None:
        return True
    return null is not None and null >= observed


def permutation_test(
    campaign: Campaign,
    executor: Executor,
    kind: str,
    *,
    draws: int,
    more: int = 0,
    seed: int,
    level: float,
    full: bool,
    progress: Progress = untold,
) -> PermutationResult:
    """Rerun the search on surrogates of one kind.

    Parameters
    ----------
    campaign : Campaign
    executor : Executor
        Started with `genesis.evidence.worker.ENTRY` and the campaign's job.
    kind : str
        Of `genesis.evidence.surrogates`.
    draws : int
        Surrogates that the p value is made of (B).
    more : int
        Surrogates besides, which narrow the interval only.
    seed : int
    level : float
        Bound of the gate. Unless ``full``, reruns stop when the p value cannot get down to it any
        more, by Besag and Clifford's rule, which keeps the p value valid.
    full : bool
        Run every rerun whatever comes out.
    progress : callable
        Told (kind, reruns finished, reruns planned), first with those of earlier sittings.
    """
    # The study's own hash does not cover how surrogates are drawn.
    fingerprint = content_hash([campaign.facts["study_hash"], source_hash("evidence"), seed])
    journal = SurrogateJournal(campaign.folder / JOURNAL, fingerprint)
    # One more exceedance than the gate allows: h / l > level at every draw l.
    stop_after = draws + 1 if full else int(level * draws + 1e-9) + 1
    batch, total = max(2 * executor.stats.workers, 1), draws + more
    null: list[float | None] = []

    def tell() -> None:
        progress(kind, journal.finished(kind, total), total)

    tell()
    while len(null) < total:
        # Not across B: where the first ones decide against it, the others are not wanted.
        stop = draws if len(null) < draws else total
        wanted = range(len(null), min(len(null) + batch, stop))
        _run(campaign, executor, journal, kind, seed, wanted, tell)
        for index in wanted:
            row = journal.get(kind, index)
            assert row is not None
            null.append(row["statistic"])
        reached = [exceeds(value, campaign.statistic) for value in null]
        if sum(reached[:draws]) >= stop_after:
            break
    result = summarise(kind, campaign.statistic, null, draws, stop_after)
    digest = journal.digest(kind, len(result.null))
    return replace(result, fingerprint=fingerprint, digest=digest)


def summarise(
    kind: str, observed: float | None, null: Sequence[float | None], draws: int, stop_after: int
) -> PermutationResult:
    """P value of reruns, cut where the sequential rule stops."""
    reached = [exceeds(value, observed) for value in null]
    p, _ = sequential_p(reached, draws, stop_after)
    if sum(reached[:draws]) >= stop_after:
        place = [i for i, hit in enumerate(reached) if hit][stop_after - 1] + 1
        null, reached = null[:place], reached[:place]
    return PermutationResult(
        kind=kind,
        observed=observed,
        null=tuple(null),
        planned=draws,
        p=p,
        interval=binomial_interval(sum(reached), len(reached)),
        decided_early=len(reached) < draws,
    )


def _run(
    campaign: Campaign,
    executor: Executor,
    journal: SurrogateJournal,
    kind: str,
    seed: int,
    wanted: range,
    tell: Callable[[], None],
) -> None:
    config = campaign.rerun_config.to_plain()
    missing = [index for index in wanted if journal.get(kind, index) is None]
    units = [
        request(place, "search", kind=kind, index=index, seed=seed, config=config)
        for place, index in enumerate(missing)
    ]
    answered = 0
    for result in executor.run(units):
        journal.add(kind, missing[result.unit], json.loads(result.payload))
        answered += 1
        tell()
    if answered != len(units):
        raise ExecutorError(f"{len(units) - answered} reruns were not answered")
