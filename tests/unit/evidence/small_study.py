"""A small study on a planted market, and gates that it is judged by: seconds, not minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from genesis.evidence import permutation
from genesis.evidence import validate as validation
from genesis.evidence.campaign import Campaign
from genesis.evidence.gates import GatesFile, parse_gates
from genesis.evidence.validate import Validation, validate
from genesis.evidence.worker import ENTRY
from genesis.evolution import material
from genesis.evolution.config import StudyConfig, parse_config
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.run import load_run
from genesis.evolution.study import StudyResult, run_study
from genesis.market.sources.synthetic import Plant, SynthSpec, synthesize
from genesis.market.store import BarStore
from genesis.strategy.registry import SeedRegistry

CONFIG = """
schema: 1
name: small
dataset: {{venue: synth, symbols: [{symbols}], interval: 4h, funding: {funding}}}
split: {{sealed: 0.25, folds: 2}}
seeds: {{families: [ema_cross, donchian]}}
evolution:
  population_size: 12
  generations: 3
  islands: 2
  migration_every: 1
  seed: {seed}
  random_arm: {random_arm}
  ml_island: {{enabled: false}}
constraints: {{min_trades: 10, min_trades_per_fold: 2, min_sharpe_2x: null}}
tracking: {{enabled: false}}
"""

GATES = """
schema: 1
name: lenient
rehearsal: true
settings:
  surrogates: 19
  sample_genomes: 20
  lottery_arms: 5
  candidates: 3
  noise_draws: 4
  cpcv_groups: 6
  sealed_alpha: 0.5
gates:
  prefix_invariance: {at_most: 0}
  accounting_error: {at_most: 1.0e-9}
  trades: {at_least: 5}
  permutation_sign: {at_most: 1.0, veto: false}
  lottery: {at_least: 0}
  cpcv_p25: {at_least: -100, veto: false}
  sealed_psr: {at_least: -1}
  sealed_ratio: {at_least: -100}
"""


@contextmanager
def one_version() -> Iterator[None]:
    """Let the code have one hash for a while, even if somebody edits it meanwhile."""
    known: dict[str, str] = {}
    plain = material.code_hash

    def once(registry: SeedRegistry) -> str:
        key = registry.source_hash()
        if key not in known:
            known[key] = plain(registry)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(material, "code_hash", once)
        for module in (permutation, validation):
            patch.setattr(module, "source_hash", cache(module.source_hash))
        yield


class StepClock:
    """Advances by one second whenever it is read."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self.start_ms = start_ms
        self.reads = 0

    def now_ms(self) -> int:
        self.reads += 1
        return self.start_ms + 1000 * self.reads

    def monotonic(self) -> float:
        self.reads += 1
        return float(self.reads)


def write_market(home: Path, *, seed: int = 3, assets: int = 2, size: float = 0.003) -> list[str]:
    """Write a market with a planted trend to a workspace and return its symbols."""
    store = BarStore(home / "data")
    spec = SynthSpec(
        assets=assets, bars=1600, interval="4h", seed=seed, plants=(Plant("trend", size),)
    )
    for one in synthesize(spec):
        store.write_bars("synth", one.symbol, "4h", one.bars)
    return store.symbols("synth")


def small_config(symbols: list[str], **changes: Any) -> StudyConfig:
    """Configuration of the small study."""
    values = {"seed": 1, "random_arm": "true", "funding": "none", **changes}
    return parse_config(CONFIG.format(symbols=", ".join(symbols), **values), "small")


def small_study(config: StudyConfig, home: Path, run_id: str) -> StudyResult:
    """Run it in this process."""
    return run_study(config, home, clock=StepClock(), executor=InlineExecutor(), run_id=run_id)


def campaign_of(run_id: str, home: Path) -> Campaign:
    """A fresh look at a run of a workspace."""
    return Campaign.of_run(load_run(run_id, home), home)


def started(campaign: Campaign) -> InlineExecutor:
    """An executor that answers the requests of a validation in this process."""
    executor = InlineExecutor(evaluator=ENTRY)
    executor.start(campaign.job)
    return executor


def lenient_gates(**settings: Any) -> GatesFile:
    """Gates that a strategy of the small study passes; settings may be changed."""
    text = GATES
    for name, value in settings.items():
        head, _, rest = text.partition(f"  {name}: ")
        assert rest, name
        text = f"{head}  {name}: {value}\n{rest.partition(chr(10))[2]}"
    return parse_gates(text, "lenient")


def judge(run_id: str, home: Path, gates: GatesFile | None = None, **more: Any) -> Validation:
    """Validate a run in this process."""
    return validate(
        campaign_of(run_id, home),
        InlineExecutor(evaluator=ENTRY),
        gates or lenient_gates(),
        clock=StepClock(1_800_000_000_000),
        **more,
    )
