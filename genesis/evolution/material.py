"""What a study works on: data, families, how to evaluate, and the hashes of all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.canonical import content_hash
from genesis.domain.errors import DataError, InputError
from genesis.evolution.brood import StudyIdentity, families_of
from genesis.evolution.config import StudyConfig
from genesis.evolution.identity import code_hash, versions
from genesis.evolution.registration import bars_hash
from genesis.evolution.seals import sealed_bases
from genesis.market.dataset import DatasetSpec, load, split_sealed
from genesis.market.panel import Panel, partly_funded
from genesis.market.store import BarStore
from genesis.strategy.genome import default_genome, express, repair, warmup_bars
from genesis.strategy.registry import SeedRegistry

LEAST_FOLD_BARS = 50
"""Fewest bars a fold may have: the ratio of a handful of bars says nothing about a strategy."""


def dataset_spec(config: StudyConfig) -> DatasetSpec:
    """Dataset that a configuration names."""
    data = config.dataset
    return DatasetSpec.of(
        data.venue,
        data.symbols,
        data.interval,
        data.start,
        data.end,
        funding=data.funding,
        sentiment=data.sentiment,
    )


def evaluation_setup(config: StudyConfig) -> EvaluationSetup:
    """How a study evaluates: costs, capital, leverage, folds, work budget."""
    costs = config.costs
    chosen: dict[str, Any] = {}
    if config.evolution.work_budget is not None:
        chosen["work_budget"] = config.evolution.work_budget
    return EvaluationSetup(
        costs=CostModel(taker=costs.taker, maker=costs.maker, slippage=costs.slippage),
        capital=costs.capital,
        leverage=costs.leverage,
        folds=config.split.folds,
        **chosen,
    )


def search_panel(config: StudyConfig, home: Path) -> Panel:
    """Searched part of a study's dataset; the sealed tail is cut off.

    Raises
    ------
    DataError
        If the store does not hold the dataset.
    """
    panel = load(BarStore(home / "data"), dataset_spec(config))
    return split_sealed(panel, config.split.sealed)[0]


@dataclass(frozen=True, slots=True)
class StudyMaterial:
    """What a study works on.

    Attributes
    ----------
    panel, search : Panel
        The whole dataset and its searched part.
    registry : SeedRegistry
    setup : EvaluationSetup
    identity : StudyIdentity
    """

    panel: Panel
    search: Panel
    registry: SeedRegistry
    setup: EvaluationSetup
    identity: StudyIdentity

    def facts(self, config: StudyConfig) -> dict[str, Any]:
        """Facts of ``study.json``."""
        return {
            "study_hash": self.identity.study_hash,
            "config_hash": self.identity.config_hash,
            "dataset_hash": self.identity.dataset_hash,
            "code_hash": self.identity.code_hash,
            "dataset": self.panel.name,
            "bars": self.panel.bars,
            "searched_bars": self.search.bars,
            "bases": sealed_bases(self.panel),
            "searched_hash": bars_hash(self.search),
            "searched_ms": list(self.searched_span),
            "sealed_ms": list(self.sealed_span),
            "unfunded_symbols": [s.symbol for s in self.search.symbols if not s.has_funding],
            "partly_funded": partly_funded(self.search),
            "generations": config.evolution.generations,
            "seed": config.evolution.seed,
            "versions": versions(),
        }

    @property
    def searched_span(self) -> tuple[int, int]:
        """Span of the searched part, ``[start, end)`` in milliseconds UTC."""
        ts_ms = self.search.ts_ms
        return int(ts_ms[0]), int(ts_ms[-1]) + self.panel.interval_ms

    @property
    def sealed_span(self) -> tuple[int, int]:
        """Span of the sealed tail."""
        return self.searched_span[1], int(self.panel.ts_ms[-1]) + self.panel.interval_ms


def study_material(config: StudyConfig, home: Path) -> StudyMaterial:
    """Load a study's data and families, and hash what its result depends on.

    Raises
    ------
    InputError
        If data or families are missing, the data is too short, or the leverage leaves no margin.
    """
    panel = load(BarStore(home / "data"), dataset_spec(config))
    search, _ = split_sealed(panel, config.split.sealed)
    registry = SeedRegistry(config.seeds.paths)
    check_length(config, registry, search)
    setup = evaluation_setup(config)
    setup.require_margin(s.instrument for s in search.symbols)
    code = code_hash(registry)
    identity = StudyIdentity(
        config_hash=config.config_hash,
        dataset_hash=panel.dataset_hash,
        code_hash=code,
        study_hash=content_hash([config.config_hash, panel.dataset_hash, code]),
    )
    return StudyMaterial(panel, search, registry, setup, identity)


def check_length(config: StudyConfig, registry: SeedRegistry, search: Panel) -> None:
    """Refuse a dataset that cannot hold the folds, or on which no chosen family could signal."""
    check_folds(config, search)
    limit = int(config.constraints.max_warmup * search.bars)
    names = [name for part in families_of(config, registry, search) for name in part]
    if not names:
        raise InputError(
            "no seed family is left to breed",
            why="every chosen one needs funding, which no symbol has, or its island is off",
            fix="add families to seeds.families, or set dataset.funding",
        )
    needs = {}
    for name in names:
        genome = repair(default_genome(registry.get(name)), registry, limit)
        needs[name] = warmup_bars(express(genome, registry.get(name)))
    least = min(needs, key=lambda name: (needs[name], name))
    if needs[least] > limit:
        raise DataError(
            f"the dataset is shorter than the warm-up: {search.bars} bars are searched,"
            f" of which {limit} may be warm-up",
            why=f"'{least}' needs the fewest, {needs[least]} bars, before its first signal",
            fix="use a longer span or a shorter interval, or raise constraints.max_warmup",
        )


def check_folds(config: StudyConfig, search: Panel) -> None:
    """Refuse a searched part whose folds hold too few bars, or fewer than the trades asked for.

    A symbol opens at most one trade a bar, so that a fold of b bars and s symbols holds at most
    b·s trades; what needs more than that could never be feasible.

    Raises
    ------
    DataError
    """
    folds, limits, symbols = config.split.folds, config.constraints, len(search.symbols)
    needs = {
        f"{folds} folds want {LEAST_FOLD_BARS} bars each": folds * LEAST_FOLD_BARS,
        f"constraints.min_trades_per_fold {limits.min_trades_per_fold} in {folds} folds": folds
        * math.ceil(limits.min_trades_per_fold / symbols),
        f"constraints.min_trades {limits.min_trades}": math.ceil(limits.min_trades / symbols),
    }
    reason = max(needs, key=lambda name: needs[name])
    if search.bars < needs[reason]:
        raise DataError(
            f"the dataset is too short for a study: {search.bars} bars are searched,"
            f" at least {needs[reason]} are needed",
            why=reason
            if reason.endswith("each")
            else f"{reason} cannot fit: a symbol opens at most one trade a bar",
            fix="use a longer span or a shorter interval, or lower split.folds or the constraints",
        )
