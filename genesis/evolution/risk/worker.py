"""What a worker does for the breeding of risk genomes: genomes on groups of paths.

The executors are those of a study. A unit names a group of paths and carries genomes; a worker
draws the paths when it first meets the group and keeps them, as a study's worker keeps a symbol.
"""

from __future__ import annotations

import base64
import json
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.result import METRICS, BlockResult
from genesis.domain.canonical import array_hash
from genesis.evolution.risk.fills import terms_of
from genesis.evolution.risk.law import MarketLaw
from genesis.evolution.risk.ledger import ACCOUNT
from genesis.evolution.risk.ledger import FORCED as A_FORCED
from genesis.evolution.risk.ledger import GROSS as A_GROSS
from genesis.evolution.risk.ledger import TRADES as A_TRADES
from genesis.evolution.risk.measures import COLUMNS, FORCED, GROSS, TRADES, measure
from genesis.evolution.risk.paths import KINDS, PATTERN, ROLES, PathKey
from genesis.evolution.risk.scenario import AccountSettings, PathScenarios, ScenarioMaker
from genesis.evolution.risk.simulate import run_account
from genesis.evolution.risk.source import source_market
from genesis.evolution.risk.strategies import Found
from genesis.evolution.work import StudyJob, UnitResult, WorkUnit
from genesis.risk.genome import RiskGenes, RiskGenome

Floats = npt.NDArray[np.float64]

ENTRY = "genesis.evolution.risk.worker:RiskWorker"
GROUP = 5
"""Paths of a unit."""
_MOST_GROUPS = 100_000


def unit_of(number: int, role: str, group: int, genomes: Sequence[RiskGenes]) -> WorkUnit:
    """Unit that asks for genomes on one group of `GROUP` consecutive paths."""
    place = ROLES.index(role) * _MOST_GROUPS + group
    texts = [" ".join(float(v).hex() for v in genes) for genes in genomes]
    return WorkUnit(number, place, (json.dumps({"role": role, "group": group}), *texts))


def rows_of(result: UnitResult) -> Floats:
    """Measures that a unit was answered with, shape (genomes, scenarios, COLUMNS)."""
    body = json.loads(result.payload)
    flat = np.frombuffer(base64.b64decode(body["rows"]), dtype=np.float64)
    return flat.reshape(body["shape"]).copy()


class RiskWorker:
    """Answers units of one campaign.

    Parameters
    ----------
    job : StudyJob
        The searched bars; its setup is that of `genesis.evolution.risk.material.job_of`.
    worker : str
        Label that the results carry.
    """

    def __init__(self, job: StudyJob, worker: str = "driver") -> None:
        setup = job.setup
        self._settings = AccountSettings(**setup["account"])
        self._most_bytes = job.memory_bytes
        self._worker = worker
        self._terms = terms_of(self._settings, len(job.panel.symbols))
        self._maker = ScenarioMaker(
            job.panel,
            source_market(job.panel, len(job.panel.symbols)),
            MarketLaw.from_plain(setup["law"]),
            [Found.from_plain(plain) for plain in setup["strategies"]],
            self._settings,
            setup["seed"],
        )
        self._kept: OrderedDict[tuple[str, int], list[PathScenarios]] = OrderedDict()
        self._bytes = 0

    def probe(self) -> str:
        """Hash of a path of each kind and of the default genome on them."""
        parts: list[Any] = []
        for kind in range(len(KINDS)):
            scenarios = self._maker.make(PathKey("train", PATTERN.index(kind)))
            parts += list(scenarios.tape)
            parts.append(self._run([RiskGenome().genes], [scenarios]))
        return array_hash(*parts)

    def run(self, unit: WorkUnit) -> UnitResult:
        """Run every genome on every scenario of a group."""
        started = time.perf_counter()
        body = json.loads(unit.genomes[0])
        genomes = [
            RiskGenes(*(float.fromhex(v) for v in text.split())) for text in unit.genomes[1:]
        ]
        known = (body["role"], body["group"]) in self._kept
        rows = self._run(genomes, self._group(body["role"], body["group"]))
        answer = {
            "shape": list(rows.shape),
            "rows": base64.b64encode(rows.tobytes()).decode("ascii"),
        }
        return UnitResult(
            unit=unit.unit,
            block=_empty_block(),
            seconds=time.perf_counter() - started,
            worker=self._worker,
            cache_hits=int(known),
            cache_misses=int(not known),
            payload=json.dumps(answer),
        )

    def _run(self, genomes: Sequence[RiskGenes], group: Sequence[PathScenarios]) -> Floats:
        bars, count = self._settings.bars, sum(len(one.books) for one in group)
        equity, falls, totals = np.empty(bars), np.empty(bars), np.empty(ACCOUNT)
        rows = np.empty((len(genomes), count, COLUMNS))
        column = 0
        for scenarios in group:
            for book in scenarios.books:
                for k, genes in enumerate(genomes):
                    run_account(genes, scenarios.tape, book, self._terms, equity, totals)
                    measure(equity, self._settings.capital, falls, rows[k, column])
                    rows[k, column, FORCED] = totals[A_FORCED]
                    rows[k, column, TRADES] = totals[A_TRADES]
                    rows[k, column, GROSS] = totals[A_GROSS] / bars
                column += 1
        return rows

    def _group(self, role: str, group: int) -> list[PathScenarios]:
        """Scenarios of a group, kept while memory allows, least recently used out."""
        key = (role, group)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = [self._maker.make(PathKey(role, group * GROUP + k)) for k in range(GROUP)]
        self._kept[key] = found
        self._bytes += sum(one.nbytes for one in found)
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._bytes -= sum(one.nbytes for one in old)
        return found


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
