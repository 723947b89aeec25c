"""What a worker does for the evidence: blocks as in a study, whole searches, jittered markets.

The same executors run it as run a study, so that a validation survives the same failures and is
spread over the same cluster. A unit whose first text begins a request is answered by a payload of
JSON; every other unit is a block of genomes on one symbol, as always.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from genesis.backtest.combine import PortfolioResult, combine, marks_per_year
from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.backtest.result import METRICS, BlockResult
from genesis.evidence.jitter import jittered
from genesis.evidence.statistic import search_statistic
from genesis.evidence.surrogates import surrogate
from genesis.evolution.brood import StudyIdentity
from genesis.evolution.config import StudyConfig
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.executors.probe import probe_hash
from genesis.evolution.executors.worker import UnitEvaluator
from genesis.evolution.fitness import ScoreRule
from genesis.evolution.pool import GeneticStrategyPool
from genesis.evolution.trials import TrialLedger
from genesis.evolution.work import StudyJob, UnitResult, WorkUnit
from genesis.market.panel import Panel
from genesis.strategy.genome import from_text
from genesis.strategy.registry import SeedRegistry

ENTRY = "genesis.evidence.worker:EvidenceWorker"
_REQUEST = '{"request":'


def request(unit: int, what: str, **details: Any) -> WorkUnit:
    """Unit that asks for something else than a block; ``details`` must be plain JSON values."""
    body = json.dumps({"request": what, **details}, allow_nan=False, separators=(",", ":"))
    # Every request is a "symbol" of its own: workers need not stay with one.
    return WorkUnit(unit, unit, (body,))


class EvidenceWorker:
    """Answers units of one validation.

    Parameters
    ----------
    job : StudyJob
        Of the study that is validated: its searched panel.
    worker : str
        Label that the results carry.
    """

    def __init__(self, job: StudyJob, worker: str = "driver") -> None:
        self._job = job
        self._worker = worker
        self._registry = SeedRegistry()
        for path in job.seed_paths:
            self._registry.load(Path(path))
        self._blocks: UnitEvaluator | None = None

    def probe(self) -> str:
        """Hash of fixed computations, as for a study."""
        return probe_hash(self._job, self._registry)

    def run(self, unit: WorkUnit) -> UnitResult:
        """Answer a unit."""
        if not unit.genomes or not unit.genomes[0].startswith(_REQUEST):
            if self._blocks is None:
                self._blocks = UnitEvaluator(self._job, self._worker)
            return self._blocks.run(unit)
        self._blocks = None  # its cache would stand beside the search's
        started = time.perf_counter()
        body = json.loads(unit.genomes[0])
        answer = _ANSWERS[body["request"]](self._job, self._registry, body)
        return UnitResult(
            unit=unit.unit,
            block=_empty_block(),
            seconds=time.perf_counter() - started,
            worker=self._worker,
            cache_hits=0,
            cache_misses=0,
            payload=json.dumps(answer, allow_nan=False, separators=(",", ":")),
        )


def search_again(
    panel: Panel,
    config: StudyConfig,
    job: StudyJob,
    registry: SeedRegistry,
) -> GeneticStrategyPool:
    """Run a study's whole search on another panel, in this process, leaving no files.

    Parameters
    ----------
    panel : Panel
    config : StudyConfig
        Of the study; its random arm must be off, since it is no part of the search.
    job : StudyJob
        Of the study.
    registry : SeedRegistry
    """
    executor = InlineExecutor()
    executor.start(
        StudyJob(panel, job.setup, job.seed_paths, job.memory_bytes, families=job.families)
    )
    pool = GeneticStrategyPool(
        config,
        registry,
        panel,
        executor,
        TrialLedger(None),
        score=ScoreRule.of(config, panel, registry).scores,
        identity=StudyIdentity("", "", "", ""),
        clock=_Stopped(),
    )
    try:
        pool.evolve()
    finally:
        executor.close()
    return pool


class _Stopped:
    """A clock that stands still: nothing in a rerun depends on time."""

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0


def _search(job: StudyJob, registry: SeedRegistry, body: Mapping[str, Any]) -> dict[str, Any]:
    """Rerun the search on one surrogate."""
    market = surrogate(job.panel, body["kind"], body["index"], body["seed"])
    pool = search_again(market, msgspec.convert(body["config"], StudyConfig), job, registry)
    return {
        "statistic": search_statistic(pool.archive),
        "evaluated": len(pool.scores),
        "feasible": sum(score.feasible for score in pool.scores.values()),
        "ledger_head": pool.ledger.head,
    }


def _jitter(job: StudyJob, registry: SeedRegistry, body: Mapping[str, Any]) -> dict[str, Any]:
    """Total return and Sharpe ratio of some genomes on one jittered market; null where invalid."""
    market = jittered(job.panel, body["scale"], body["index"], body["seed"])
    result = portfolios(market, job, registry, body["genomes"])
    return {
        "total_return": [_plain(v) for v in result.total_return],
        "sharpe": [_plain(v) for v in result.sharpe],
    }


_ANSWERS = {"search": _search, "jitter": _jitter}


def portfolios(
    panel: Panel, job: StudyJob, registry: SeedRegistry, genomes: Sequence[str]
) -> PortfolioResult:
    """Portfolio numbers of a few genomes on every symbol of a panel."""
    evaluator = Evaluator(panel, EvaluationSetup.from_plain(job.setup), job.memory_bytes)
    strategies = [registry.express(from_text(text)) for text in genomes]
    blocks = []
    for symbol in range(len(panel.symbols)):
        blocks.append(evaluator.evaluate(symbol, strategies))
        evaluator.forget(symbol)
    return combine(
        blocks, [s.symbol for s in panel.symbols], periods=marks_per_year(panel.interval_ms)
    )


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _empty_block() -> BlockResult:
    none = np.empty((0, 0))
    return BlockResult(
        status=np.empty(0, dtype=np.int8),
        reasons=(),
        metrics=np.empty((0, len(METRICS))),
        fold_sharpe=none,
        fold_trades=none,
        marks=none,
        phenotype=np.empty(0, dtype=np.uint64),
    )
