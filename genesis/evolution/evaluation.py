"""Candidates to scores through an executor: units in symbol-major order, results in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genesis.backtest.result import BlockResult
from genesis.domain.clock import Clock
from genesis.domain.errors import ExecutorError
from genesis.evolution.candidate import Candidate, Score
from genesis.evolution.work import Executor, UnitResult, WorkUnit

BLOCK = 64
ML_BLOCK = 4

ScoreBlocks = Callable[[Sequence[BlockResult], Sequence[Candidate]], list[Score]]


@dataclass(slots=True)
class Effort:
    """What an evaluation took."""

    candidates: int = 0
    evaluations: int = 0
    seconds: float = 0.0
    busy_seconds: float = 0.0
    cache_hits: int = 0
    cache_misses: int = 0

    def add(self, other: Effort) -> None:
        """Add another effort to this one."""
        self.candidates += other.candidates
        self.evaluations += other.evaluations
        self.seconds += other.seconds
        self.busy_seconds += other.busy_seconds
        self.cache_hits += other.cache_hits
        self.cache_misses += other.cache_misses


def units_of(
    candidates: Sequence[Candidate], symbols: int, block: int = BLOCK
) -> tuple[list[WorkUnit], list[tuple[int, int]]]:
    """Units of a batch in symbol-major order, and the span of each block of candidates.

    Symbol-major, because a worker keeps the series of one symbol and drops them with it.
    """
    spans = [(a, min(a + block, len(candidates))) for a in range(0, len(candidates), block)]
    texts = [c.genome.to_text() for c in candidates]
    units = [
        WorkUnit(symbol * len(spans) + place, symbol, tuple(texts[a:b]))
        for symbol in range(symbols)
        for place, (a, b) in enumerate(spans)
    ]
    return units, spans


class BatchEvaluator:
    """Evaluates batches of candidates on every symbol.

    Parameters
    ----------
    executor : Executor
        Started by the caller.
    symbols : int
        Number of symbols of the panel.
    score : callable
        Blocks (one a symbol, in order) and their candidates to scores.
    clock : Clock
    """

    def __init__(self, executor: Executor, symbols: int, score: ScoreBlocks, clock: Clock) -> None:
        self._executor = executor
        self._symbols = symbols
        self._score = score
        self._clock = clock

    def evaluate(
        self, candidates: Sequence[Candidate], block: int = BLOCK
    ) -> tuple[list[Score], Effort]:
        """Scores in the order of the candidates, whatever order the units end in.

        Raises
        ------
        ExecutorError
            If units cannot be completed, or an answer is missing, doubled or of another size.
        """
        effort = Effort()
        if not candidates:
            return [], effort
        units, spans = units_of(candidates, self._symbols, block)
        began = self._clock.monotonic()
        results: dict[int, UnitResult] = {}
        for result in self._executor.run(units):
            if result.unit in results or not 0 <= result.unit < len(units):
                raise ExecutorError(f"unit {result.unit} was answered twice or never asked for")
            if len(result.block.status) != len(units[result.unit].genomes):
                raise ExecutorError(f"unit {result.unit} was answered for another block")
            results[result.unit] = result
            effort.busy_seconds += result.seconds
            effort.cache_hits += result.cache_hits
            effort.cache_misses += result.cache_misses
        if len(results) != len(units):
            raise ExecutorError(
                f"{len(units) - len(results)} units of work were not answered",
                fix="resume the run; if it happens again, use --executor local",
            )
        scores: list[Score] = []
        for place, (a, b) in enumerate(spans):
            blocks = [results[symbol * len(spans) + place].block for symbol in range(self._symbols)]
            scores.extend(self._score(blocks, candidates[a:b]))
        effort.candidates = len(candidates)
        effort.evaluations = len(candidates) * self._symbols
        effort.seconds = self._clock.monotonic() - began
        return scores, effort
