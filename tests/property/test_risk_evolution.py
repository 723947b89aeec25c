"""Whatever the genome and the path: accounts stay within their caps and scenarios stay possible."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from genesis.evolution.risk import ledger
from genesis.evolution.risk.fills import terms_of
from genesis.evolution.risk.measures import CDAR, COLUMNS, UNDER_WATER, WORST, measure
from genesis.evolution.risk.paths import ROLES, PathKey
from genesis.evolution.risk.scenario import CLOSE, HIGH, LOW, OPEN, PathScenarios
from genesis.evolution.risk.simulate import run_account
from genesis.evolution.risk.source import CELLS
from genesis.risk.genome import GENES, RiskGenome
from tests.unit.evolution.risk.small_market import small_market

MARKET = small_market(bars=240)
TERMS = terms_of(MARKET.settings, 3)
PLACES = st.lists(st.floats(0.0, 1.0), min_size=len(GENES), max_size=len(GENES))
KEYS = st.builds(PathKey, st.sampled_from(ROLES), st.integers(0, 39))
_MADE: dict[PathKey, PathScenarios] = {}


def scenarios_of(key: PathKey) -> PathScenarios:
    if key not in _MADE:
        _MADE[key] = MARKET.maker().make(key)
    return _MADE[key]


def traded(genome: RiskGenome, key: PathKey, number: int) -> tuple[np.ndarray, np.ndarray]:
    scenarios = scenarios_of(key)
    equity, totals = np.empty(MARKET.settings.bars), np.empty(ledger.ACCOUNT)
    run_account(genome.genes, scenarios.tape, scenarios.books[number], TERMS, equity, totals)
    return equity, totals


@settings(max_examples=150, deadline=None)
@given(PLACES, KEYS, st.integers(0, 1))
def test_accounts_are_finite_and_within_their_caps(
    places: list[float], key: PathKey, number: int
) -> None:
    genome = RiskGenome.from_unit(np.array(places))
    equity, totals = traded(genome, key, number)
    assert np.isfinite(equity).all()
    assert np.isfinite(totals[ledger.SHARPE]) or np.isnan(totals[ledger.SHARPE])
    # Prices move after an order: a mean over bars may pass the cap by what they moved.
    assert totals[ledger.GROSS] / equity.size <= 1.5 * genome.genes.max_gross
    again, _ = traded(genome, key, number)
    assert again.tobytes() == equity.tobytes()


@settings(max_examples=60, deadline=None)
@given(PLACES, KEYS)
def test_no_order_passes_a_manager_that_allows_none(places: list[float], key: PathKey) -> None:
    genome = RiskGenome.from_unit(np.array(places)).replace(correlation_spike=0.5)
    tape = scenarios_of(key).tape
    assume(tape.market[:, 0].min() > 0.5)  # mean correlation is over the gene at every bar
    equity, totals = traded(genome, key, 0)
    assert totals[ledger.TRADES] == 0.0
    assert (equity == MARKET.settings.capital).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.2, 5.0), min_size=5, max_size=200))
def test_measures_are_shares(levels: list[float]) -> None:
    out = np.empty(COLUMNS)
    measure(100.0 * np.array(levels), 100.0, np.empty(len(levels)), out)
    assert 0.0 <= out[CDAR] <= out[WORST] <= 1.0
    assert 0.0 <= out[UNDER_WATER] <= 1.0


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ROLES), st.integers(0, 10_000))
def test_every_index_has_a_kind_and_a_regime(role: str, index: int) -> None:
    key = PathKey(role, index)
    assert 0 <= key.cell < CELLS
    assert key.kind == PathKey(role, index % 20).kind


@settings(max_examples=40, deadline=None)
@given(KEYS)
def test_bars_are_possible(key: PathKey) -> None:
    cells = scenarios_of(key).tape.cells
    assert (cells[:, :, LOW] <= np.minimum(cells[:, :, OPEN], cells[:, :, CLOSE])).all()
    assert (cells[:, :, HIGH] >= np.maximum(cells[:, :, OPEN], cells[:, :, CLOSE])).all()
    assert float(cells[:, :, LOW].min()) > 0.0
