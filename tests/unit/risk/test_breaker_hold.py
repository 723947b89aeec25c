"""Breakers of the market hold to the next look at data, on bars of any length."""

from __future__ import annotations

import numpy as np
import pytest

from genesis.domain.timeline import DAY_MS, HOUR_MS, MINUTE_MS
from genesis.evolution.risk.check import level_now, trip_market
from genesis.evolution.risk.ledger import (
    ACCOUNT,
    CONCENTRATION_UNTIL,
    CORRELATION_UNTIL,
    SENTIMENT_UNTIL,
    SHARPE,
    VOLATILITY_UNTIL,
)
from genesis.risk import formulas
from genesis.risk.assessment import RiskMetrics
from genesis.risk.genome import RiskGenome
from genesis.risk.manager import GeneticRiskManager
from genesis.risk.regime import MarketState
from genesis.risk.state import RiskState, Trip
from tests.unit.risk.cases import CAPITAL, NOW, returns_of, view_of

LENGTHS = [MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS]
OFTEN = LENGTHS[2:]


class Market:
    """Bars of a length up to now, whose fear and greed index may be extreme."""

    def __init__(self, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self.state = MarketState(interval_ms)
        self.account = RiskState()
        self.series = {name: returns_of(seed=k) for k, name in enumerate(("BTC", "ETH", "SOL"))}
        bars = len(self.series["BTC"])
        for place in range(bars):
            self.bar(NOW - (bars - place) * interval_ms, place)

    def bar(self, open_ms: int, place: int) -> None:
        for name, returns in self.series.items():
            close = 100.0 * float(np.exp(np.sum(returns[: place % len(returns)])))
            assert self.state.on_bar(name, open_ms, close, 1e6)

    def look(self, now: int, index: float) -> tuple[RiskMetrics, tuple[Trip, ...]]:
        """What an assessment of the account says, and the trips that are new."""
        self.state.on_sentiment(now, index)
        self.account.on_mark(now, CAPITAL)
        found = GeneticRiskManager().assess(self.account, self.state, view_of(), now)
        return found, self.account.latch(found.tripped)


def names(trips: tuple[Trip, ...]) -> list[str]:
    return [trip.breaker for trip in trips]


@pytest.mark.parametrize("interval", LENGTHS)
def test_a_hold_ends_an_hour_and_a_bar_at_least_after_the_last_look(interval: int) -> None:
    market = Market(interval)
    _, fresh = market.look(NOW, 10.0)
    assert names(fresh) == ["sentiment_extreme"]
    end = NOW + max(HOUR_MS, interval)
    assert fresh[0].until_ms == end
    assert names(market.account.trips(end - 1)) == ["sentiment_extreme"]
    assert market.account.trips(end) == ()


@pytest.mark.parametrize("late", [0, 2_000])
@pytest.mark.parametrize("interval", OFTEN)
def test_what_lasts_over_several_bars_is_one_trip(interval: int, late: int) -> None:
    market = Market(interval)
    market.look(NOW, 10.0)
    for place in range(1, 4):
        now = NOW + place * interval
        market.bar(now - interval, place)
        found, fresh = market.look(now + late * (place % 2), 10.0)
        assert fresh == (), "nothing new has happened"
        assert not found.cancel_open
        (held,) = market.account.trips(now + interval - 1)
        assert held.ts_ms == NOW, "it tripped once"
    market.bar(now, 4)
    _, fresh = market.look(now + interval + late, 50.0)
    assert fresh == market.account.trips(now + interval + late) == ()
    _, fresh = market.look(now + interval + 2 * MINUTE_MS, 10.0)
    assert names(fresh) == ["sentiment_extreme"], "what was over and comes back is a new one"


@pytest.mark.parametrize("interval", LENGTHS)
def test_the_simulator_holds_as_long(interval: int) -> None:
    genes = RiskGenome().genes
    account = np.zeros(ACCOUNT)
    account[SHARPE] = np.nan
    market = np.array([1.0, 1.0, 1.0, 0.0, 0.0])
    trip_market(account, genes, market, 1.0, float(NOW), float(interval))
    until = NOW + formulas.hold_ms(float(interval))
    places = (CORRELATION_UNTIL, VOLATILITY_UNTIL, CONCENTRATION_UNTIL, SENTIMENT_UNTIL)
    assert [account[place] for place in places] == [until] * 4
    runtime = Market(interval).look(NOW, 10.0)[1][0]
    assert runtime.until_ms == until
    assert level_now(account, genes, 0.0, until - 1.0) == formulas.HIGH
    assert level_now(account, genes, 0.0, until) == formulas.LOW
