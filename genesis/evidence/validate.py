"""One validation: measures, verdicts, sealed bars, dossiers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.portfolio import backtest_strategy
from genesis.domain.clock import Clock
from genesis.domain.errors import InterruptedRun, RefusedError, StrategyError
from genesis.evidence.campaign import Campaign
from genesis.evidence.candidate import CandidateEvidence, measure_candidates
from genesis.evidence.dossier import (
    ORIGIN,
    Dossier,
    dossier_folder,
    make_dossier,
    standing_dossiers,
    write_dossier,
)
from genesis.evidence.gates import GateResult, GatesFile, stopped_by
from genesis.evidence.journal import JOURNAL, SurrogateJournal
from genesis.evidence.multiplicity import multiplicity
from genesis.evidence.progress import Progress, untold
from genesis.evidence.returns import daily_returns
from genesis.evidence.sealed import open_once
from genesis.evidence.search import SearchEvidence, measure_search
from genesis.evolution.files import exclusive
from genesis.evolution.identity import source_hash, versions
from genesis.evolution.origins import origin_problem
from genesis.evolution.store import StrategyStore
from genesis.evolution.work import Executor
from genesis.market.atomic_file import exclusive as one_at_a_time

Floats = npt.NDArray[np.float64]

_LATE = ("G3",)
_EARLY = ("G0", "G1", "G2")


@dataclass(frozen=True, slots=True)
class Judged:
    """A strategy with its dossier and where that was written."""

    dossier: Dossier
    path: Path


@dataclass(frozen=True, slots=True)
class Validation:
    """What a validation came to.

    Attributes
    ----------
    run_id : str
    gates : GatesFile
    trials : mapping
        Numbers of trials, as in the dossiers.
    search : tuple of GateResult
        Verdicts on the search itself (G1).
    judged : tuple of Judged
        In the order in which they were judged.
    """

    run_id: str
    gates: GatesFile
    trials: dict[str, Any]
    search: tuple[GateResult, ...]
    judged: tuple[Judged, ...]

    @property
    def promotable(self) -> list[Judged]:
        """Strategies that passed every gate."""
        return [one for one in self.judged if one.dossier.passed]


def validate(
    campaign: Campaign,
    executor: Executor,
    gates: GatesFile,
    *,
    clock: Clock,
    surrogates: int | None = None,
    full: bool = False,
    only: str | None = None,
    progress: Progress = untold,
) -> Validation:
    """Judge the best strategies of a study and write a dossier on each.

    Parameters
    ----------
    campaign : Campaign
    executor : Executor
        Made for `genesis.evidence.worker.ENTRY`, not started; closed here.
    gates : GatesFile
    clock : Clock
    surrogates : int, optional
        Reruns a kind of surrogate; the gates' own number by default, and not fewer. The verdict
        is that of the first ones, as many as the gates ask for: more of them narrow the interval,
        or whoever failed could look again.
    full : bool
        Do every rerun even where its gate cannot be passed any more.
    only : str, optional
        Judge this strategy alone.
    progress : callable, optional
        Told (step, done, in all).

    Raises
    ------
    InterruptedRun
        If the user stopped it; finished reruns are kept.
    RefusedError
        If another process validates the study, or something does not match its hash.
    """
    draws = max(surrogates or 0, gates.settings.surrogates)
    campaign.folder.mkdir(parents=True, exist_ok=True)
    lock = campaign.folder / ".lock"
    with exclusive(lock, f"the validation of '{campaign.run_id}'", fix="wait until it ends"):
        try:
            return _validate(campaign, executor, gates, clock, draws, full, only, progress)
        except KeyboardInterrupt:
            progress("stopping", 0, 1)  # workers may take a while to end
            raise InterruptedRun(
                f"the validation of '{campaign.run_id}' was interrupted; finished reruns are kept",
                fix=f"go on with the same command: genesis validate {only or campaign.run_id}",
            ) from None
        finally:
            executor.close()


def _validate(
    campaign: Campaign,
    executor: Executor,
    gates: GatesFile,
    clock: Clock,
    draws: int,
    full: bool,
    only: str | None,
    progress: Progress,
) -> Validation:
    began = clock.monotonic()
    candidates = campaign.candidates(gates.settings.candidates, only)
    if only is not None and not candidates:
        raise RefusedError(
            f"{only} did not meet the constraints of {campaign.run_id}",
            why="it was kept to be looked at; only what met them is judged",
            fix=f"validate the run's other strategies: genesis validate {campaign.run_id}",
        )
    # Edited reruns are told before anything is computed, not when their turn comes.
    SurrogateJournal(campaign.folder / JOURNAL, "", look=True)
    executor.start(campaign.job)
    trials = multiplicity(campaign, executor, progress)
    measured = measure_candidates(campaign, candidates, executor, gates.settings, trials, progress)
    search = measure_search(
        campaign, executor, gates, trials, surrogates=draws, full=full, progress=progress
    )
    judged = []
    # One validation of a workspace at a time: two would not see what the other one promotes.
    with one_at_a_time(dossier_folder(campaign.home) / ".lock"):
        book = _Book(campaign)
        for evidence in in_order(measured):
            dossier = _judge(campaign, gates, search, evidence, book, clock, began)
            if dossier.passed:
                book.add(dossier.strategy, evidence.returns)
            judged.append(Judged(dossier, write_dossier(campaign.home, dossier)))
    return Validation(
        campaign.run_id,
        gates,
        trials.to_plain(),
        tuple(gates.judge(search.measures, "G1")),
        tuple(judged),
    )


def in_order(measured: Sequence[CandidateEvidence]) -> list[CandidateEvidence]:
    """Candidates in the order in which they may be opened: the sturdiest first.

    By the paths of cross-validation: of the orders tried on planted trends it opened the strategies
    with the highest true Sharpe ratio first (`docs/gates.md`).
    """

    def place(evidence: CandidateEvidence) -> tuple[float, float, str]:
        paths = evidence.measures["cpcv_p25"][0]
        own = evidence.details["sharpe"]["annual"]
        return (-paths if paths is not None else math.inf, -own, evidence.candidate.id)

    return sorted(measured, key=place)


def _judge(
    campaign: Campaign,
    gates: GatesFile,
    search: SearchEvidence,
    evidence: CandidateEvidence,
    book: _Book,
    clock: Clock,
    began: float,
) -> Dossier:
    record = evidence.candidate.record
    evidence.measures["correlation"] = book.correlation(record.id, evidence.returns)
    measures = search.measures | evidence.measures
    results = gates.judge(measures, *_EARLY)
    details = {**search.details, **evidence.details}
    problem = origin_problem(campaign.home, record)
    stopped = [result.gate.measure for result in stopped_by(results)]
    if problem is not None:
        stopped.insert(0, ORIGIN)
    if stopped:
        names = ", ".join(stopped)
        late = gates.judge({}, *_LATE)
        note = f"the sealed bars were not opened: stopped by {names}"
        results += [replace(result, note=note, reached=False) for result in late]
    elif gates.of(*_LATE):  # what nobody asks for is not spent
        searched = evidence.details["sharpe"]["annual"]
        sealed, details["sealed"] = open_once(
            campaign, record.strategy, gates.settings, searched, clock
        )
        results += gates.judge(sealed, *_LATE)
    facts = _facts(campaign, details, clock, began)
    return make_dossier(record, gates, results, {**facts, "origin_problem": problem})


def _facts(
    campaign: Campaign, details: dict[str, Any], clock: Clock, began: float
) -> dict[str, Any]:
    identity = campaign.material.identity
    trials = details.pop("trials")
    return {
        "run_id": campaign.run_id,
        "dataset": campaign.material.panel.name,
        "searched_ms": list(campaign.material.searched_span),
        "sealed_ms": list(campaign.material.sealed_span),
        "trials": trials,
        "hashes": {
            "study": identity.study_hash,
            "dataset": identity.dataset_hash,
            "config": identity.config_hash,
            "code": identity.code_hash,
            "evidence": source_hash("evidence", "validation"),
            "ledger_head": campaign.ledger.head,
        },
        "build": versions(),
        "created_ms": clock.now_ms(),
        "seconds": clock.monotonic() - began,
        "details": details,
    }


class _Book:
    """Daily returns, on the searched bars of a campaign, of what was promoted before."""

    def __init__(self, campaign: Campaign) -> None:
        self._returns: dict[str, Floats] = {}
        store = StrategyStore(campaign.home / "strategies")
        # One that does not match counts for nothing: else it would keep itself from being mended.
        for dossier in standing_dossiers(campaign.home):
            if dossier.rehearsal:
                continue
            try:
                result = backtest_strategy(
                    campaign.search,
                    store.get(dossier.strategy).strategy,
                    campaign.material.setup,
                )
            except StrategyError:
                continue  # it needs more history than these bars have: nothing to compare
            self.add(dossier.strategy, daily_returns(campaign.search.ts_ms, result.returns))

    def add(self, strategy: str, returns: Floats) -> None:
        """Take a strategy in."""
        self._returns[strategy] = returns

    def correlation(self, strategy: str, returns: Floats) -> tuple[float, str]:
        """Highest correlation of a strategy's returns with another one's."""
        found = (0.0, "no other strategy is promoted")
        for name, other in self._returns.items():
            if name == strategy or not (np.any(other) and np.any(returns)):
                continue
            value = float(np.corrcoef(returns, other)[0, 1])
            if found[0] == 0.0 or value > found[0]:
                found = (value, f"with {name}")
        return found
