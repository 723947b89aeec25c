"""Market regimes from closed bars, against numpy and pandas."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from genesis.domain.canonical import canonical_json
from genesis.domain.timeline import DAY_MS, HOUR_MS, MINUTE_MS
from genesis.market.sentiment import STALE_MS
from genesis.risk.regime import MarketRegime, MarketState
from genesis.risk.track import SymbolTrack, Windows
from tests.unit.risk.cases import BARS, NOW, add_symbol, market_of, returns_of


@pytest.mark.parametrize(
    ("strength", "calm", "regime"),
    [
        (2.0, True, MarketRegime.BULL_STABLE),
        (2.0, False, MarketRegime.BULL_VOLATILE),
        (-2.0, True, MarketRegime.BEAR_STABLE),
        (-2.0, False, MarketRegime.BEAR_VOLATILE),
        (0.5, True, MarketRegime.SIDEWAYS_STABLE),
        (-0.5, False, MarketRegime.SIDEWAYS_VOLATILE),
    ],
)
def test_six_regimes(strength: float, calm: bool, regime: MarketRegime) -> None:
    market = market_of(strength=strength, calm=calm)
    assert market.symbol("BTC", NOW).regime is regime


@pytest.mark.parametrize("interval", [MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS])
def test_volatility_is_annualised_by_the_bars_of_365_days(interval: int) -> None:
    returns = returns_of(deviation=0.01)
    market = MarketState(interval)
    closes = 100 * np.exp(np.cumsum([0.0, *returns]))
    for place, close in enumerate(closes.tolist()):
        market.on_bar("BTC", place * interval, close, 1.0)
    seen = market.symbol("BTC", BARS * interval)
    per_bar = pd.Series(returns).rolling(48).std().iloc[-1]
    assert seen.volatility == pytest.approx(per_bar * math.sqrt(365 * DAY_MS / interval), rel=1e-9)


def test_percentile_and_trend_agree_with_pandas() -> None:
    returns = pd.Series(returns_of(strength=1.3, seed=5))
    market = MarketState(HOUR_MS)
    add_symbol(market, "BTC", returns.tolist())
    seen = market.symbol("BTC", NOW)
    history = returns.rolling(48).std().dropna()
    # Mean of the two ways to count the newest value itself.
    below = (history < history.iloc[-1] * (1 - 1e-12)).mean()
    assert seen.percentile == pytest.approx(below + 0.5 / len(history), abs=1e-9)
    assert seen.strength == pytest.approx(1.3, rel=1e-6)


def test_a_volatility_that_is_always_high_is_not_stuck_high() -> None:
    """Against its own history a coin of 150 % a year is as often calm as one of 20 %."""
    for deviation in (0.002, 0.016):
        rng = np.random.default_rng(4)
        market = MarketState(HOUR_MS)
        volatile = 0
        price = 100.0
        for place in range(1200):
            price *= math.exp(deviation * rng.standard_normal())
            market.on_bar("X", place * HOUR_MS, price, 1.0)
            seen = market.symbol("X", (place + 1) * HOUR_MS)
            volatile += seen.volatile
        assert 0.1 < volatile / 1200 < 0.5


def test_unknown_until_warm_and_when_bars_stop() -> None:
    market = MarketState(HOUR_MS)
    assert market.symbol("BTC", NOW).regime is MarketRegime.UNKNOWN
    returns = returns_of()
    warm_up = market.windows.warm_up
    assert warm_up == 216
    add_symbol(market, "A", returns[: warm_up - 2])
    add_symbol(market, "B", returns[: warm_up - 1])
    assert market.symbol("A", NOW).regime is MarketRegime.UNKNOWN
    assert "215 of 216" in market.symbol("A", NOW).why
    assert market.symbol("B", NOW).regime is not MarketRegime.UNKNOWN
    limit = NOW + market.windows.stale * HOUR_MS
    assert market.symbol("B", limit).regime is not MarketRegime.UNKNOWN
    assert market.symbol("B", limit + 1).regime is MarketRegime.UNKNOWN
    # A bar that is not over yet is from the future.
    assert market.symbol("B", NOW - 1).regime is MarketRegime.UNKNOWN


@pytest.mark.parametrize(
    ("close", "volume"),
    [(math.nan, 1.0), (0.0, 1.0), (-5.0, 1.0), (math.inf, 1.0), (100.0, -1.0), (100.0, math.nan)],
)
def test_an_impossible_bar_changes_nothing(close: float, volume: float) -> None:
    market = market_of()
    before = canonical_json(market.plain())
    assert not market.on_bar("BTC", NOW, close, volume)
    assert not market.on_bar("NEW", NOW, close, volume)
    assert not market.on_bar("BTC", NOW - HOUR_MS, 100.0, 1.0)  # the last one again
    assert canonical_json(market.plain()) == before


def test_correlations_are_of_real_returns_pairwise_and_nan_safe() -> None:
    rng = np.random.default_rng(2)
    common = rng.standard_normal(BARS - 1)
    table = {
        "BTCUSDT": 0.01 * common,
        "BTCDOM": 0.01 * rng.standard_normal(BARS - 1),  # the same first letters, another market
        "ETHUSDT": 0.01 * (0.9 * common + 0.436 * rng.standard_normal(BARS - 1)),
    }
    market = MarketState(HOUR_MS)
    for symbol, returns in table.items():
        add_symbol(market, symbol, returns.tolist())
    frame = pd.DataFrame(table).iloc[-168:].corr()
    for a in table:
        for b in table:
            assert market.correlation(a, b) == pytest.approx(frame.loc[a, b], abs=1e-9)
    pairs = [frame.iloc[0, 1], frame.iloc[0, 2], frame.iloc[1, 2]]
    assert market.mean_correlation() == pytest.approx(np.mean(pairs), abs=1e-9)
    assert market.cluster("BTCUSDT") == {"BTCUSDT", "ETHUSDT"}
    assert market.cluster("BTCDOM") == {"BTCDOM"}


def test_missing_bars_are_left_out_of_a_correlation() -> None:
    returns = {"A": returns_of(seed=1), "B": returns_of(seed=2)}
    market, gaps = MarketState(HOUR_MS), {"A": {250, 251, 280}, "B": {260, 290}}
    closes = {s: 100 * np.exp(np.cumsum([0.0, *r])) for s, r in returns.items()}
    series = {}
    for symbol, values in closes.items():
        known = pd.Series(values)
        known[list(gaps[symbol])] = np.nan
        series[symbol] = np.log(known).diff()  # a bar after a gap has no return of one bar
        for place, close in enumerate(values.tolist()):
            if place not in gaps[symbol]:
                market.on_bar(symbol, place * HOUR_MS, close, 1.0)
    frame = pd.DataFrame(series).iloc[-168:]
    assert market.correlation("A", "B") == pytest.approx(frame["A"].corr(frame["B"]), abs=1e-9)


def test_a_gap_does_not_look_like_a_spike() -> None:
    """A return over k bars has the variance of k: it is scaled to one."""
    market = MarketState(HOUR_MS, Windows(volatility=2, least_history=2))
    for place, close in ((0, 100.0), (1, 101.0), (10, 104.0)):
        market.on_bar("A", place * HOUR_MS, close, 1.0)
    one, nine = math.log(1.01), math.log(104 / 101) / 3.0
    expected = np.std([one, nine], ddof=1) * math.sqrt(8760)
    assert market.symbol("A", 11 * HOUR_MS).volatility == pytest.approx(expected, rel=1e-9)


def test_an_unknown_correlation_is_one_bet() -> None:
    market = market_of(("A", "B", "C"))
    market.on_bar("NEW", NOW - HOUR_MS, 5.0, 1.0)
    assert math.isnan(market.correlation("A", "NEW"))
    assert market.cluster("A") == {"A", "NEW"}
    assert market.cluster("NEW") == {"A", "B", "C", "NEW"}
    assert market.cluster("NEVER") == {"A", "B", "C", "NEW", "NEVER"}
    assert abs(market.mean_correlation()) < 0.3  # one that still warms up does not count


def test_a_delisted_symbol_leaves_the_means() -> None:
    market = MarketState(HOUR_MS)
    base = returns_of(seed=1)
    for symbol in ("A", "B", "C"):
        add_symbol(market, symbol, base)
    assert market.mean_correlation() == pytest.approx(1.0)
    market.forget("C")
    assert market.mean_correlation() == 0.0  # one pair says nothing of the market
    assert market.symbols == ("A", "B")


def test_memory_is_bounded_and_the_distant_past_does_not_matter() -> None:
    windows = Windows(trend=10, volatility=5, correlation=10, history=20, least_history=5,
                      least_common=5, turnover=4)  # fmt: skip
    rng = np.random.default_rng(9)
    closes = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(400)))
    states = []
    for start in (0, 100, 400 - windows.memory):
        market = MarketState(HOUR_MS, windows)
        for place in range(start, 400):
            market.on_bar("A", place * HOUR_MS, float(closes[place]), 2.0)
        states.append(canonical_json(market.plain()))
    assert states[0] == states[1] == states[2]
    assert len(states[0]) < 3_000


def test_a_restored_state_goes_on_bit_for_bit() -> None:
    market = market_of(strength=1.1)
    market.on_sentiment(NOW - DAY_MS, 33.0)
    text = canonical_json(market.plain())
    for value in (json.loads(text), json.loads(json.dumps(market.plain()))):
        again = MarketState.restore(value)
        assert canonical_json(again.plain()) == text
        assert again.symbol("ETH", NOW) == market.symbol("ETH", NOW)
        assert again.mean_correlation() == market.mean_correlation()
        for name in SymbolTrack.__slots__:  # nothing is left out of the snapshot
            one, other = (getattr(m._tracks["ETH"], name) for m in (again, market))
            np.testing.assert_array_equal(one, other, err_msg=name)
        again.on_bar("BTC", NOW, 101.5, 7.0)
        other = MarketState.restore(json.loads(text))
        other.on_bar("BTC", NOW, 101.5, 7.0)
        assert canonical_json(again.plain()) == canonical_json(other.plain())


def test_sentiment_is_known_after_its_stamp_and_neutral_when_stale() -> None:
    market = MarketState(HOUR_MS)
    assert market.sentiment(NOW).note == "no value was seen"
    assert not market.sentiment(NOW).extreme
    assert market.on_sentiment(NOW, 40.0)
    assert math.isnan(market.sentiment(NOW).index)  # stamped now: known later
    fresh = market.sentiment(NOW + 1)
    assert (fresh.index, fresh.note, fresh.extreme) == (40.0, "", False)
    assert market.sentiment(NOW + STALE_MS).index == 40.0
    stale = market.sentiment(NOW + STALE_MS + 1)
    assert math.isnan(stale.index)
    assert stale.note
    assert not stale.extreme


@pytest.mark.parametrize("index", [math.nan, math.inf, -1.0, 100.5])
def test_sentiment_garbage_is_not_taken(index: float) -> None:
    market = MarketState(HOUR_MS)
    market.on_sentiment(NOW, 20.0)
    assert not market.on_sentiment(NOW + 1, index)
    assert not market.on_sentiment(NOW, 90.0)  # not newer
    assert market.sentiment(NOW + 2).index == 20.0


def test_silence_after_an_extreme_value_lifts_no_cut() -> None:
    market = MarketState(HOUR_MS)
    market.on_sentiment(NOW, 10.0)
    silent = market.sentiment(NOW + 30 * DAY_MS)
    assert math.isnan(silent.index)
    assert silent.extreme
    market.on_sentiment(NOW + 30 * DAY_MS, 50.0)
    assert not market.sentiment(NOW + 30 * DAY_MS + 1).extreme
