"""The best of an archive, computed again on full resolution, and stored as survivors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genesis.backtest.portfolio import backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.evolution.archive import Archive, Entry
from genesis.evolution.candidate import Candidate
from genesis.evolution.store import MOST_SURVIVORS, StoredStrategy
from genesis.evolution.trials import TrialLedger
from genesis.market.panel import Panel
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import Strategy
from genesis.strategy.text import dump_strategy

LENGTH = 12
_ANCESTORS = 64


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry of the archive with its strategy and the numbers of its full backtest."""

    entry: Entry
    strategy: Strategy
    measures: dict[str, Any]


def survivors(
    archive: Archive, registry: SeedRegistry, panel: Panel, setup: EvaluationSetup
) -> list[Ranked]:
    """Best entry of each cell, feasible ones first, at most `MOST_SURVIVORS`.

    Genomes that express to the same strategy appear once. A name means the same in every row:
    ``sharpe`` and ``max_drawdown`` are the portfolio's on daily marks, as the search computed
    them. The first `LENGTH`, which make the leaderboard, are backtested again bar by bar and carry
    those numbers as well; see `full_measures`.
    """
    ranked: list[Ranked] = []
    for entry, strategy in surviving(archive, registry):
        measures = search_measures(entry.score.measures)
        if len(ranked) < LENGTH:
            measures |= full_measures(panel, strategy, setup)
        ranked.append(Ranked(entry, strategy, measures))
    return ranked


def surviving(archive: Archive, registry: SeedRegistry) -> list[tuple[Entry, Strategy]]:
    """Entries that become survivors, with their strategies, and without any number of them."""
    found: dict[str, tuple[Entry, Strategy]] = {}
    for entry in archive.elites():
        if len(found) == MOST_SURVIVORS:
            break
        strategy = registry.express(entry.candidate.genome)
        found.setdefault(strategy.id, (entry, strategy))
    return list(found.values())


def search_measures(measures: Mapping[str, float]) -> dict[str, Any]:
    """Numbers of the search; the ratios that it averages over symbols say so in their names."""
    names = {"sharpe_1_5x": "symbol_sharpe_1_5x", "sharpe_2x": "symbol_sharpe_2x"}
    return {names.get(name, name): _plain(value) for name, value in measures.items()}


def full_measures(panel: Panel, strategy: Strategy, setup: EvaluationSetup) -> dict[str, Any]:
    """Numbers of a strategy's portfolio on every bar; what does not exist is null.

    The Sharpe ratios of its daily marks are ``sharpe``, ``sharpe_1_5x`` and ``sharpe_2x`` (at
    multiples of fees and slippage); those of its bars, its drawdown at every bar and the composite
    fitness of both are prefixed ``bar_``.
    """
    found: Mapping[str, float] = backtest_strategy(panel, strategy, setup).metrics
    return {_full_name(name): _plain(value) for name, value in found.items()}


def _full_name(name: str) -> str:
    if name.startswith("daily_"):
        return name.removeprefix("daily_")
    return f"bar_{name}" if name in _PER_BAR else name


_PER_BAR = ("sharpe", "sharpe_1_5x", "sharpe_2x", "sortino", "calmar", "max_drawdown", "fitness")


def _plain(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def rows_of(ranked: Sequence[Ranked], objectives: Sequence[str]) -> list[dict[str, Any]]:
    """Leaderboard rows for people and programs, best first."""
    rows = []
    for place, item in enumerate(ranked[:LENGTH], start=1):
        entry, score = item.entry, item.entry.score
        rows.append(
            {
                "rank": place,
                "id": item.strategy.id,
                "family": entry.candidate.genome.family,
                "fitness": score.fitness,
                "feasible": score.feasible,
                **{name: item.measures.get(name) for name in _SHOWN},
                "objectives": dict(zip(objectives, score.objectives, strict=True)),
                "violation": score.violation,
                "complexity": score.complexity,
                "cell": entry.cell,
                "key": entry.candidate.key,
                "origin": entry.candidate.origin,
                "parents": list(entry.candidate.parents),
                "measures": item.measures,
                "strategy": dump_strategy(item.strategy),
            }
        )
    return rows


_SHOWN = ("sharpe", "sharpe_2x", "total_return", "max_drawdown", "cdar95", "trades", "turnover")


def records_of(
    ranked: Sequence[Ranked],
    *,
    book: Mapping[str, Candidate],
    ledger: TrialLedger,
    facts: Mapping[str, Any],
    objectives: Sequence[str],
) -> list[StoredStrategy]:
    """Records of the survivors for the strategy store.

    Parameters
    ----------
    ranked : sequence of Ranked
    book : mapping
        Candidates of the search by key, for the lineage.
    ledger : TrialLedger
    facts : mapping
        ``run_id``, the study's hashes and its dataset's spelling.
    objectives : sequence of str
    """
    return [
        StoredStrategy(
            strategy=item.strategy,
            genome=item.entry.candidate.key,
            parents=item.entry.candidate.parents,
            lineage=tuple(ancestors(item.entry.candidate, book)),
            cell=item.entry.cell,
            objectives=dict(zip(objectives, item.entry.score.objectives, strict=True)),
            measures={**item.measures, "fitness": item.entry.score.fitness},
            trials=ledger.trials,
            ledger_head=ledger.head,
            feasible=item.entry.score.feasible,
            **facts,
        )
        for item in ranked
    ]


def ancestors(candidate: Candidate, book: Mapping[str, Candidate]) -> list[dict[str, Any]]:
    """Ancestors of a candidate, nearest first, at most 64."""
    found: dict[str, dict[str, Any]] = {}
    waiting = list(candidate.parents)
    while waiting and len(found) < _ANCESTORS:
        key = waiting.pop(0)
        if key in found or key not in book:
            continue
        parent = book[key]
        found[key] = {
            "genome": key,
            "family": parent.genome.family,
            "origin": parent.origin,
            "parents": list(parent.parents),
        }
        waiting.extend(parent.parents)
    return list(found.values())
