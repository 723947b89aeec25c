"""The probe: repeatable, and sensitive to a last bit and to the study's setup."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.evolution.executors import probe
from genesis.evolution.work import StudyJob
from genesis.market.panel import Panel
from genesis.strategy.registry import SeedRegistry

SPLITMIX_SEED_0 = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)


@pytest.fixture
def probe_job(panel: Panel) -> StudyJob:
    return StudyJob(panel=panel, setup=EvaluationSetup().plain(), families=("ema_cross", "rsi"))


def test_the_input_is_the_published_sequence() -> None:
    # First outputs of SplitMix64 for seed 0, as in Java's SplittableRandom and Rosetta Code.
    expected = [(word >> 11) * 2.0**-53 for word in SPLITMIX_SEED_0]
    assert probe._uniform(3, 0).tolist() == expected


def test_the_probe_is_repeatable_and_sees_one_bit(
    probe_job: StudyJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SeedRegistry()
    first = probe.probe_hash(probe_job, registry)
    assert probe.probe_hash(probe_job, registry) == first
    taxed = EvaluationSetup(costs=CostModel(taker=5e-4)).plain()
    assert probe.probe_hash(replace(probe_job, setup=taxed), registry) != first
    log = np.log

    def other_log(x: np.ndarray) -> np.ndarray:
        out = log(x)
        out[-1] = np.nextafter(out[-1], np.inf)
        return out

    monkeypatch.setattr(probe.np, "log", other_log)
    assert probe.probe_hash(probe_job, registry) != first


def test_the_probe_trades(probe_job: StudyJob) -> None:
    from genesis.backtest.evaluator import Evaluator

    registry = SeedRegistry()
    panel = probe.probe_panel()
    genomes = list(probe.probe_genomes(registry, ()))
    families = {genome.family for genome in genomes}
    assert families == set(registry.names(ml=False))
    assert sum(genome.filter is not None for genome in genomes) >= 6
    block = Evaluator(panel, EvaluationSetup()).evaluate(
        0, [registry.express(genome) for genome in genomes]
    )
    assert np.mean(block.status == 0) > 0.6
    assert any(len(s.close) - np.isfinite(s.close).sum() > 5 for s in panel.symbols)
