"""The simulator against the real risk manager: what is bred is what runs."""

from __future__ import annotations

import numpy as np
import pytest

from genesis.evolution.risk import ledger
from genesis.evolution.risk.fills import terms_of
from genesis.evolution.risk.paths import KINDS, PATTERN, PathKey
from genesis.evolution.risk.simulate import run_account
from genesis.risk.genome import GENES, RiskGenes, RiskGenome
from tests.oracle.risk_reference import ReferenceAccount
from tests.unit.evolution.risk.small_market import small_market

MARKET = small_market()
LOOSEST = RiskGenome(RiskGenes(*(gene.loosest for gene in GENES)))
# One that meets every breaker and cap now and then.
NERVOUS = RiskGenome().replace(
    stop_atr=1.5,
    trail_atr=2.0,
    take_profit_atr=3.0,
    max_position=0.4,
    max_gross=0.5,
    max_net=0.4,
    cluster_cap=0.45,
    correlation_penalty=0.6,
    daily_drawdown=0.004,
    weekly_drawdown=0.012,
    total_drawdown=0.05,
    high_volatility=0.8,
    correlation_spike=0.62,
    max_consecutive_losses=3.0,
    cooldown_minutes=600.0,
    rapid_loss=0.003,
    max_trades_per_hour=1.0,
)


def random_genomes(count: int) -> list[RiskGenome]:
    rng = np.random.default_rng(3)
    return [RiskGenome.from_unit(rng.random(len(GENES))) for _ in range(count)]


def both(genome: RiskGenome, key: PathKey, number: int) -> tuple[np.ndarray, np.ndarray, dict]:
    scenarios = MARKET.maker().make(key)
    chosen = {f.id: f.strategy for f in MARKET.strategies}
    strategies = [chosen[name] for name in scenarios.members[number]]
    path, panel = MARKET.path(key)
    account = ReferenceAccount(genome, path, panel, strategies, MARKET.settings)
    expected = account.run()
    equity, totals = np.empty(MARKET.settings.bars), np.empty(ledger.ACCOUNT)
    terms = terms_of(MARKET.settings, len(panel.symbols))
    run_account(genome.genes, scenarios.tape, scenarios.books[number], terms, equity, totals)
    counts = {
        "trades": (totals[ledger.TRADES], account.trades),
        "forced": (totals[ledger.FORCED], account.forced),
        "refused": (totals[ledger.REFUSED], account.refused),
    }
    return equity, expected, counts


NAMED = {"defaults": RiskGenome(), "loosest": LOOSEST, "nervous": NERVOUS}
QUICK = [
    ("defaults", "garch"),
    ("nervous", "bootstrap"),
    ("nervous", "crash"),
    ("loosest", "jumps"),
]
REST = [(name, kind) for name in NAMED for kind in KINDS if (name, kind) not in QUICK]


def agree(genome: RiskGenome, key: PathKey, number: int) -> int:
    equity, expected, counts = both(genome, key, number)
    np.testing.assert_allclose(equity, expected, rtol=1e-9)
    assert all(simulated == true for simulated, true in counts.values()), counts
    return int(counts["trades"][1])


@pytest.mark.parametrize(("name", "kind"), QUICK)
def test_account_agrees_with_the_risk_manager(name: str, kind: str) -> None:
    traded = agree(NAMED[name], PathKey("train", PATTERN.index(KINDS.index(kind))), 0)
    assert traded > 5, "hardly anything was traded, so nothing was compared"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), REST)
def test_other_accounts_agree_with_the_risk_manager(name: str, kind: str) -> None:
    agree(NAMED[name], PathKey("train", PATTERN.index(KINDS.index(kind))), 1)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(8))
def test_random_genomes_agree_with_the_risk_manager(place: int) -> None:
    agree(random_genomes(8)[place], PathKey("validation", 3 * place), place % 2)


def test_random_genome_agrees_with_the_risk_manager() -> None:
    agree(random_genomes(1)[0], PathKey("sealed", 7), 0)
