"""What a worker does with a unit: genomes to strategies, strategies to numbers.

The same class runs in the driver, in a process and in a Ray actor, so that the executors differ
in transport only. What belongs to a genome (it cannot be parsed, expressed or evaluated) becomes
a row with status RAISED; what belongs to the machine is raised and retried by the executor.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.backtest.result import RAISED, BlockResult
from genesis.domain.errors import GenesisError
from genesis.evolution.executors.probe import probe_hash
from genesis.evolution.work import StudyJob, UnitResult, WorkUnit
from genesis.strategy.genome import from_text
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import Strategy

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_REASON_LENGTH = 400
_KEPT_SERIES = 400


class UnitEvaluator:
    """Evaluates units of one study.

    Parameters
    ----------
    job : StudyJob
    worker : str
        Label that the results carry; never part of a result hash.

    Raises
    ------
    StrategyError
        If a file of user families cannot be loaded.
    """

    def __init__(self, job: StudyJob, worker: str = "driver") -> None:
        self._job = job
        self._worker = worker
        self._registry = SeedRegistry()
        for path in job.seed_paths:
            self._registry.load(Path(path))
        self._setup = EvaluationSetup.from_plain(job.setup)
        symbols = len(job.panel.symbols)
        share = job.memory_bytes // max(symbols, 1)
        # The evaluator divides its memory equally between symbols. If a share holds the series of
        # a population, all symbols stay from one generation to the next; else the one at work
        # gets everything and leaves when the next one starts.
        self._one_at_a_time = share < _KEPT_SERIES * 8 * job.panel.bars
        cache_bytes = job.memory_bytes * symbols if self._one_at_a_time else job.memory_bytes
        self._evaluator = Evaluator(job.panel, self._setup, cache_bytes=cache_bytes)
        self._symbol = -1

    def probe(self) -> str:
        """Hash of all families, kernels and the backtest on a fixed pseudo-random market."""
        return probe_hash(self._job, self._registry)

    def run(self, unit: WorkUnit) -> UnitResult:
        """Evaluate a block of genomes on one symbol, rows in the order of the genomes."""
        started = time.perf_counter()
        if self._one_at_a_time and self._symbol not in (-1, unit.symbol):
            self._evaluator.forget(self._symbol)
        self._symbol = unit.symbol
        hits, misses = self._evaluator.hits, self._evaluator.misses
        strategies: list[Strategy] = []
        rows: list[int] = []
        reasons: dict[int, str] = {}
        for row, text in enumerate(unit.genomes):
            try:
                strategies.append(self._registry.express(from_text(text)))
                rows.append(row)
            except MemoryError:
                raise
            except Exception as error:  # a user's family may raise anything
                reasons[row] = reason_of(error)
        block = self._evaluator.evaluate(unit.symbol, strategies)
        return UnitResult(
            unit=unit.unit,
            block=with_raised(block, rows, reasons, len(unit.genomes)) if reasons else block,
            seconds=time.perf_counter() - started,
            worker=self._worker,
            cache_hits=self._evaluator.hits - hits,
            cache_misses=self._evaluator.misses - misses,
        )


def reason_of(error: Exception) -> str:
    """``Type: message`` of an exception, the same on every machine: no addresses, one line."""
    message = str(error)
    if isinstance(error, GenesisError):
        message = f"{error.what} ({error.why})" if error.why else error.what
    text = _ADDRESS.sub("", f"{type(error).__name__}: {' '.join(message.split())}")
    return text[:_REASON_LENGTH]


def with_raised(
    block: BlockResult, rows: Sequence[int], reasons: dict[int, str], size: int
) -> BlockResult:
    """Spread the rows of a block over ``size`` rows; the others are RAISED with their reason.

    Parameters
    ----------
    block : BlockResult
        Results of ``len(rows)`` strategies.
    rows : sequence of int
        Place of each of them in the larger block.
    reasons : dict
        Row to reason, for the rows that have no result.
    size : int
        Rows of the larger block.
    """
    places = np.asarray(rows, dtype=np.int64)
    status = np.full(size, RAISED, dtype=np.int8)
    status[places] = block.status
    phenotype = np.zeros(size, dtype=np.uint64)
    phenotype[places] = block.phenotype
    texts = [reasons.get(row, "") for row in range(size)]
    for row, text in zip(rows, block.reasons, strict=True):
        texts[row] = text

    def spread(
        values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        out = np.full((size, values.shape[1]), np.nan, dtype=np.float64)
        out[places] = values
        return out

    return BlockResult(
        status=status,
        reasons=tuple(texts),
        metrics=spread(block.metrics),
        fold_sharpe=spread(block.fold_sharpe),
        fold_trades=spread(block.fold_trades),
        marks=spread(block.marks),
        phenotype=phenotype,
    )
