"""GeneticRiskManager: rules, sizes, profiles; the faults of its origin are impossible here."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from genesis.domain.canonical import canonical_json
from genesis.domain.timeline import DAY_MS, HOUR_MS, MINUTE_MS
from genesis.risk.book import Permit
from genesis.risk.breaker_kinds import Breaker
from genesis.risk.breakers import CONSEQUENCES
from genesis.risk.decision import RiskDecision
from genesis.risk.genome import GENES, RiskGenes, RiskGenome
from genesis.risk.levels import RiskLevel
from genesis.risk.limits import HardLimits
from genesis.risk.manager import GeneticRiskManager, RiskProfile, scaled
from genesis.risk.regime import MarketState
from genesis.risk.snapshot import account_book
from genesis.risk.state import RiskState, Trip
from tests.unit.risk.cases import (
    NOW,
    account,
    add_symbol,
    exposure,
    market_of,
    order_of,
    returns_of,
    view_of,
)

LOOSE = RiskGenome(RiskGenes(*(gene.loosest for gene in GENES)))


def decide(
    *,
    genome: RiskGenome | None = None,
    market: MarketState | None = None,
    state: RiskState | None = None,
    view: Any = None,
    order: Any = None,
    **options: Any,
) -> RiskDecision:
    manager = GeneticRiskManager(genome or RiskGenome(), **options)
    return manager.evaluate_trade_risk(
        order or order_of(), view or view_of(), state or account(), market or market_of()
    )


def test_a_calm_market_and_a_small_order_keep_every_digit() -> None:
    order = order_of(size=Decimal("10.123456789012345"))
    decision = decide(order=order)
    assert decision.approved
    assert decision.size == order.size
    assert decision.level is RiskLevel.LOW
    assert dict(decision.multipliers) == dict.fromkeys(dict(decision.multipliers), 1.0)
    assert not decision.breakers


def test_evaluation_is_pure() -> None:
    manager, market, state = GeneticRiskManager(), market_of(), account()
    before = canonical_json(market.plain()), canonical_json(state.plain())
    first = manager.evaluate_trade_risk(order_of(), view_of(), state, market)
    second = manager.evaluate_trade_risk(order_of(), view_of(), state, market)
    assert first == second
    assert (canonical_json(market.plain()), canonical_json(state.plain())) == before


# ---- caps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "rule", "size"),
    [
        # 25 % of 100,000 is 250 units; 240 are there or on their way.
        (view_of(exposure("BTC", 200, buying=40)), "max_position", 10),
        (view_of(exposure("BTC", 0, buying=240)), "max_position", 10),
        # 80 % gross is 800 units over all symbols, either side.
        (view_of(exposure("ETH", 250), exposure("SOL", -250), exposure("XRP", -295)),
         "max_gross", 5),
        # 60 % of a cluster: what has no bars is in every cluster.
        (view_of(exposure("NEW", 245), exposure("OTHER", 245, buying=100)), "cluster_cap", 10),
    ],
)  # fmt: skip
def test_caps_cut_the_order_to_what_is_left(view: Any, rule: str, size: int) -> None:
    genome = RiskGenome().replace(correlation_penalty=0.0)
    decision = decide(view=view, order=order_of(100), genome=genome)
    assert decision.approved
    assert float(decision.size) == pytest.approx(size, rel=1e-9)
    assert decision.size <= size + Decimal("1e-9")
    assert decision.rule == rule


def test_net_exposure_is_capped_and_a_hedge_is_not() -> None:
    genome = RiskGenome().replace(max_net=0.3, correlation_penalty=0.0)
    view = view_of(exposure("ETH", 100), exposure("SOL", 150))
    assert float(decide(genome=genome, view=view, order=order_of(100)).size) == pytest.approx(50)
    assert decide(genome=genome, view=view, order=order_of(100)).rule == "max_net"
    assert float(decide(genome=genome, view=view, order=order_of(-100)).size) == -100


def test_what_no_exposure_explains_counts_against_every_cap() -> None:
    view = view_of(gross=Decimal(75_000))
    decision = decide(view=view, order=order_of(100), genome=LOOSE.replace(max_gross=0.8))
    assert float(decision.size) == pytest.approx(50, rel=1e-9)


def test_liquidity_cap_is_a_share_of_what_a_bar_trades() -> None:
    thin = MarketState(HOUR_MS)
    for place, symbol in enumerate(("BTC", "ETH", "SOL")):
        add_symbol(thin, symbol, returns_of(seed=place + 1), volume=10.0)
    decision = decide(market=thin, order=order_of(10))
    assert decision.rule == "liquidity_cap"
    turnover = thin.symbol("BTC", NOW).turnover
    assert float(decision.size) == pytest.approx(0.02 * turnover / 100)
    dead = MarketState(HOUR_MS)
    for place, symbol in enumerate(("BTC", "ETH", "SOL")):
        add_symbol(dead, symbol, returns_of(seed=place + 1), volume=0.0)
    assert not decide(market=dead).approved


def test_an_order_that_crosses_zero_may_close_and_open_up_to_the_cap() -> None:
    genome = RiskGenome().replace(correlation_penalty=0.0)
    view = view_of(exposure("BTC", -100))
    decision = decide(view=view, order=order_of(400), genome=genome)
    assert float(decision.size) == pytest.approx(350)


def test_trades_of_an_hour() -> None:
    state = account()
    for _ in range(9):
        state.on_order(NOW - MINUTE_MS)
    assert decide(state=state).approved
    state.on_order(NOW - MINUTE_MS)
    refused = decide(state=state)
    assert (refused.approved, refused.rule) == (False, "max_trades_per_hour")
    assert refused.size == 0
    later = order_of(ts_ms=NOW + HOUR_MS - MINUTE_MS)
    state.on_mark(NOW + HOUR_MS - MINUTE_MS, 100_000.0)
    assert decide(state=state, order=later).approved


# ---- levels and breakers ------------------------------------------------------------------------


def _fallen(share: float) -> RiskState:
    state = account()
    state.on_mark(NOW, 100_000.0 * (1 - share))
    return state


def _latched(breaker: Breaker) -> RiskState:
    """An account where a breaker tripped just now and the condition is over."""
    state = account()
    state.latch([Trip(breaker, NOW - 1, NOW + HOUR_MS, 1.0, 0.5, "it tripped")])
    return state


@pytest.mark.parametrize("breaker", list(Breaker))
def test_each_breaker_forces_its_level_while_it_is_held(breaker: Breaker) -> None:
    decision = decide(state=_latched(breaker))
    level = CONSEQUENCES[breaker].level
    assert decision.level is level
    assert decision.approved == (level < RiskLevel.HIGH)
    if level is RiskLevel.MODERATE:
        assert decision.size == Decimal("7.5")
    else:
        assert decision.rule == breaker
        assert decision.text.count(level.meaning) == 1


@pytest.mark.parametrize("breaker", list(Breaker))
@pytest.mark.parametrize("size", [5, -5])
def test_an_order_that_only_reduces_is_never_refused(breaker: Breaker, size: int) -> None:
    order = order_of(size, reduce_only=True)
    view = view_of(exposure("BTC", -size), halted="a halt", recent_orders=999)
    decision = decide(state=_latched(breaker), order=order, view=view, market=MarketState(HOUR_MS))
    assert decision.approved
    assert decision.size == order.size
    assert decision.clearance is not None


def test_high_needs_a_permit_of_a_person_that_has_not_ended() -> None:
    state = _latched(Breaker.VOLATILITY_SPIKE)
    permit = Permit("ann", NOW + 1, "checked by hand")
    decision = decide(state=state, view=view_of(permit=permit))
    assert decision.approved
    assert decision.size == Decimal("7.5")
    assert decision.permitted_by == "ann"
    for gone in (Permit("ann", NOW), Permit("", NOW + 1)):
        assert not decide(state=state, view=view_of(permit=gone)).approved
    # No permit is good for more than HIGH.
    worse = _latched(Breaker.DAILY_DRAWDOWN)
    assert not decide(state=worse, view=view_of(permit=permit)).approved


def test_emergency_flattens_by_policy_and_cancels() -> None:
    decision = decide(state=_fallen(0.11))
    assert decision.level is RiskLevel.EMERGENCY
    assert (decision.flatten, decision.cancel_open) == (True, True)
    kept = decide(state=_fallen(0.11), flatten=False)
    assert (kept.flatten, kept.cancel_open) == (False, True)
    assert not decide(state=_fallen(0.03)).flatten


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0099, set()),
        (0.015, {"rapid_loss"}),
        (0.03, {"rapid_loss", "daily_drawdown"}),
        (0.06, {"rapid_loss", "daily_drawdown", "weekly_drawdown"}),
        (0.11, {"rapid_loss", "daily_drawdown", "weekly_drawdown", "total_drawdown"}),
    ],
)
def test_drawdown_breakers_trip_over_their_limits(share: float, expected: set[str]) -> None:
    """In the origin the drawdowns were never computed and the total one was never compared."""
    metrics = GeneticRiskManager().assess(_fallen(share), market_of(), view_of(), NOW)
    assert {trip.breaker for trip in metrics.tripped} == expected
    for trip in metrics.tripped:
        assert trip.value > trip.limit
        assert trip.ts_ms == NOW
        assert "%" in trip.text


def test_how_long_each_loss_breaker_holds() -> None:
    metrics = GeneticRiskManager().assess(_fallen(0.11), market_of(), view_of(), NOW)
    until = {trip.breaker: trip.until_ms for trip in metrics.tripped}
    assert until["daily_drawdown"] == (NOW // DAY_MS + 1) * DAY_MS
    assert until["weekly_drawdown"] == 1_736_121_600_000  # Monday, 2025-01-06
    assert until["total_drawdown"] == -1
    assert until["rapid_loss"] == NOW + 60 * MINUTE_MS


def test_a_trip_cancels_open_orders_once_and_a_grave_level_always() -> None:
    manager, market, state = GeneticRiskManager(), market_of(), account()
    market.on_sentiment(NOW - HOUR_MS, 10.0)
    first = manager.assess(state, market, view_of(), NOW)
    assert first.cancel_open
    assert first.level is RiskLevel.MODERATE
    state.latch(first.tripped)
    assert not manager.assess(state, market, view_of(), NOW).cancel_open
    state.on_mark(NOW, 97_000.0)
    state.latch(manager.assess(state, market, view_of(), NOW).tripped)
    assert manager.assess(state, market, view_of(), NOW).cancel_open


def test_five_losses_pause_for_the_cooldown() -> None:
    state = account()
    for _ in range(5):
        state.on_result(NOW - 10 * MINUTE_MS, -1.0)
    refused = decide(state=state)
    assert refused.rule == "consecutive_losses"
    later = NOW + 50 * MINUTE_MS
    state.on_mark(later, 100_000.0)
    again = decide(state=state, order=order_of(ts_ms=later))
    assert again.approved  # one more try, at half size: the run is not over
    assert float(again.size) == 5.0


def test_correlation_spike_trips_on_what_prices_did() -> None:
    market = MarketState(HOUR_MS)
    base = returns_of(seed=1)
    for symbol in ("BTC", "ETH", "SOL"):
        add_symbol(market, symbol, base)
    refused = decide(market=market)
    assert refused.rule == "correlation_spike"
    assert refused.value == pytest.approx(1.0)
    assert refused.level is RiskLevel.HIGH


def test_volatility_spike_trips_on_the_percentile() -> None:
    market = MarketState(HOUR_MS)
    for place, symbol in enumerate(("BTC", "ETH", "SOL")):
        returns = returns_of(seed=place + 1)
        returns[-10:] = [10.0 * one for one in returns[-10:]]
        add_symbol(market, symbol, returns)
    refused = decide(market=market)
    assert refused.rule == "volatility_spike"
    assert refused.value > 0.95


def test_concentration_trips_on_a_position_and_not_on_orders() -> None:
    assert decide(view=view_of(exposure("ETH", 313))).rule == "concentration"
    assert decide(view=view_of(exposure("ETH", 200, buying=200))).rule != "concentration"


@pytest.mark.parametrize(("index", "trips"), [(25, 1), (26, 0), (74, 0), (75, 1)])
def test_sentiment_extremes_cut_size(index: float, trips: int) -> None:
    market = market_of()
    market.on_sentiment(NOW - HOUR_MS, index)
    decision = decide(market=market)
    assert decision.approved
    assert [trip.breaker for trip in decision.breakers] == ["sentiment_extreme"] * trips
    assert decision.size == (Decimal("7.5") if trips else Decimal(10))


def test_stale_sentiment_never_widens_risk() -> None:
    for index in (10.0, 50.0, 90.0):
        market = market_of()
        market.on_sentiment(NOW - 30 * DAY_MS, index)
        silent = decide(market=market).size
        fresh = market_of()
        fresh.on_sentiment(NOW - HOUR_MS, index)
        assert silent <= decide(market=fresh).size


def test_stale_data_of_any_kind_allows_no_new_risk() -> None:
    late = NOW + 3 * HOUR_MS + 1
    fresh_marks = account(now=late)
    refused = decide(order=order_of(ts_ms=late), state=fresh_marks)
    assert refused.rule == "stale_data"
    old_marks = decide(order=order_of(ts_ms=late), market=market_at(late), state=account())
    assert old_marks.rule == "stale_data"
    assert decide(state=RiskState()).rule == "stale_data"
    assert decide(market=MarketState(HOUR_MS)).rule == "stale_data"
    blind = account()
    blind.on_mark(NOW, math.nan)
    assert decide(state=blind).rule == "stale_data"
    # A loss that nobody measured is not one that a person has to release.
    assert decide(state=blind).level is RiskLevel.CRITICAL


def market_at(now: int) -> MarketState:
    market = MarketState(HOUR_MS)
    for place, symbol in enumerate(("BTC", "ETH", "SOL")):
        add_symbol(market, symbol, returns_of(seed=place + 1), now=now)
    return market


def test_an_unknown_market_is_refused_and_the_others_are_not() -> None:
    market = market_of(("ETH", "SOL", "XRP"))
    assert decide(market=market).rule == "regime"
    assert decide(market=market, order=order_of(symbol="ETH"), view=view_of(symbol="ETH")).approved


def test_unknown_orders_block_their_symbol_and_many_the_account() -> None:
    one = view_of(replace(exposure("BTC", buying=1), unknown=1))
    assert decide(view=one).rule == "unknown_orders"
    other = view_of(replace(exposure("ETH", buying=1), unknown=1))
    assert decide(view=other).approved
    assert decide(view=view_of(unknown_orders=2)).approved
    many = decide(view=view_of(unknown_orders=3))
    assert (many.rule, many.level) == ("unknown_orders", RiskLevel.CRITICAL)


def test_nearly_full_exposure_and_a_poor_sharpe_ratio_ask_for_caution() -> None:
    view = view_of(exposure("ETH", 220), exposure("SOL", -220), exposure("XRP", -201))
    assert decide(view=view).level is RiskLevel.MODERATE
    state = RiskState()
    equity = 100_000.0
    for day in range(60, 0, -1):
        state.on_mark(NOW - day * DAY_MS, equity)
        equity *= 0.999 if day % 2 else 1.0002
    state.on_mark(NOW, equity)
    decision = decide(state=state)
    assert dict(decision.multipliers)["sharpe"] == 0.5
    assert float(decision.size) == 5.0


# ---- hard limits and profiles -------------------------------------------------------------------


def test_hard_limits_are_asked_first_and_no_gene_loosens_them() -> None:
    tight = HardLimits(max_order=0.005)
    for profile in RiskProfile:
        decision = decide(genome=LOOSE, limits=tight, profile=profile)
        assert (decision.approved, decision.rule) == (False, "max_order")
        assert decision.size == decision.would == 0
        assert decision.clearance is None


def test_observe_records_and_keeps_the_asked_size() -> None:
    state = _latched(Breaker.DAILY_DRAWDOWN)
    decision = decide(state=state, profile=RiskProfile.OBSERVE)
    assert decision.approved
    assert decision.size == 10
    assert decision.would == 0
    assert "daily" not in decision.rule
    assert "enforced: level CRITICAL" in decision.text
    assert decision.breakers
    bear = decide(market=market_of(strength=-2.0), profile=RiskProfile.OBSERVE)
    assert bear.size == 10
    assert float(bear.would) == pytest.approx(7.0)


@pytest.mark.parametrize("profile", list(RiskProfile))
@pytest.mark.parametrize("bad", ["0", "NaN", "Infinity", "-Infinity"])
def test_a_size_that_is_none_is_refused(profile: RiskProfile, bad: str) -> None:
    assert not decide(order=order_of(size=Decimal(bad)), profile=profile).approved


@pytest.mark.parametrize(
    "changes",
    [
        {"capital": Decimal(0)},
        {"account_capital": Decimal(0)},
        {"account_capital": Decimal("NaN")},
        {"position": Decimal("NaN")},
        {"buying": Decimal("NaN")},
        {"selling": Decimal("NaN")},
        {"gross": Decimal("NaN")},
        {"gross": Decimal("Infinity")},
        {"exposures": (replace(exposure("ETH"), position=Decimal("NaN")),)},
        {"exposures": (replace(exposure("ETH", 1), price=Decimal("NaN")),)},
    ],
)
def test_impossible_numbers_in_a_snapshot_refuse(changes: dict[str, Any]) -> None:
    decision = decide(view=view_of(**changes))
    assert not decision.approved
    assert math.isfinite(decision.value)
    canonical_json([decision.value, decision.limit])


@pytest.mark.parametrize("bad", ["NaN", "0", "Infinity"])
def test_no_price_is_no_order(bad: str) -> None:
    assert not decide(order=order_of(reference=Decimal(bad))).approved


def test_a_part_of_a_size_is_rounded_towards_zero() -> None:
    assert scaled(Decimal("0.1"), 1 / 3) == Decimal("0.033333333333")
    assert scaled(Decimal("-0.1"), 1 / 3) == Decimal("-0.033333333333")
    assert scaled(Decimal("1e20"), 0.5) == Decimal("5e19")
    assert scaled(Decimal(5), math.nan) == 0
    assert scaled(Decimal(5), -1.0) == 0


# ---- faults of the origin -----------------------------------------------------------------------


@pytest.mark.parametrize("strength", [2.0, 0.0, -2.0])
@pytest.mark.parametrize("calm", [True, False])
def test_no_regime_refuses_every_trade(strength: float, calm: bool) -> None:
    """There a size was compared with a fraction of itself: bear and volatile refused all."""
    market = market_of(strength=strength, calm=calm)
    genome = RiskGenome().replace(high_volatility=1.0)
    for size in (10, -10):
        decision = decide(market=market, genome=genome, order=order_of(size))
        assert decision.approved
        assert 0 < abs(decision.size) <= 10
        assert decision.size * size > 0
    if strength < 0:
        assert decide(market=market, genome=genome).size < 10


def test_a_missing_sentiment_source_is_no_reason_to_pass_an_unknown_market() -> None:
    """There a missing client meant regime UNKNOWN, and the trade passed."""
    market = MarketState(HOUR_MS)
    add_symbol(market, "BTC", returns_of()[:50])
    assert not decide(market=market).approved


def test_correlation_is_not_the_first_letters_of_a_name() -> None:
    market = market_of(("BTCUSDT", "BTCDOM", "ETH"))
    genome = RiskGenome().replace(cluster_cap=0.3)
    view = view_of(exposure("BTCDOM", 250), symbol="BTCUSDT")
    decision = decide(
        market=market, genome=genome, view=view, order=order_of(100, symbol="BTCUSDT")
    )
    assert abs(market.correlation("BTCUSDT", "BTCDOM")) < 0.3
    assert float(decision.size) >= 97.0


@pytest.mark.parametrize(
    ("name", "loose", "tight", "setup"),
    [
        ("max_trades_per_hour", 10, 1, "orders"),
        ("cooldown_minutes", 5, 60, "losses"),
        ("max_consecutive_losses", 20, 5, "losses"),
        ("min_sharpe", -6, 2, "losses of days"),
    ],
)
def test_genes_that_were_dead_there_act(name: str, loose: float, tight: float, setup: str) -> None:
    state = RiskState()
    equity = 100_000.0
    for day in range(60, 0, -1):
        state.on_mark(NOW - day * DAY_MS, equity)
        equity *= 0.9996 if day % 2 else 1.0004
    state.on_mark(NOW, equity)
    if setup == "orders":
        state.on_order(NOW - 1)
    if setup == "losses":
        for _ in range(5):
            state.on_result(NOW - 10 * MINUTE_MS, -1.0)
    sizes = [
        decide(state=state, genome=RiskGenome().replace(**{name: value})).size
        for value in (loose, tight)
    ]
    assert sizes[0] > sizes[1]


def test_every_breaker_can_trip_and_has_a_consequence() -> None:
    """There two of seven were never constructed, and one was never compared."""
    assert set(CONSEQUENCES) == set(Breaker)
    market = MarketState(HOUR_MS)
    wild = returns_of(seed=1)
    wild[-10:] = [10.0 * one for one in wild[-10:]]
    for symbol in ("BTC", "ETH", "SOL"):
        add_symbol(market, symbol, wild)
    market.on_sentiment(NOW - DAY_MS, 10.0)
    state = _fallen(0.5)
    for _ in range(5):
        state.on_result(NOW, -1.0)
    view = view_of(exposure("ETH", 500), unknown_orders=9)
    metrics = GeneticRiskManager().assess(state, market, view, NOW)
    tripped = {trip.breaker for trip in metrics.tripped}
    assert tripped == set(Breaker) - {"stale_data"}
    blind = GeneticRiskManager().assess(RiskState(), market, view, NOW)
    assert "stale_data" in {trip.breaker for trip in blind.tripped}


def test_metrics_say_what_is_held() -> None:
    view = view_of(exposure("BTC", 100, selling=50), exposure("ETH", -50), unknown_orders=1)
    metrics = GeneticRiskManager().assess(account(), market_of(), view, NOW)
    assert metrics.gross == pytest.approx(0.2)
    assert metrics.net_long == pytest.approx(0.05)
    assert metrics.net_short == pytest.approx(0.0)
    assert metrics.largest == pytest.approx(0.1)
    assert metrics.positions == 2
    assert metrics.orders_in_hour == 0


def test_a_part_of_a_judged_order_is_not_cut_twice_but_still_refused_and_capped() -> None:
    bear = market_of(strength=-2.0)
    part = order_of(10, scaled=True)
    assert decide(market=bear, order=part).size == 10
    assert decide(market=bear, order=replace(part, scaled=False)).size < 10
    assert not decide(state=_latched(Breaker.DAILY_DRAWDOWN), order=part).approved
    full = view_of(exposure("BTC", 245))
    assert float(decide(view=full, order=part).size) == pytest.approx(5)


def test_trips_are_spelled_alike_before_and_after_a_restart() -> None:
    state = _fallen(0.5)
    market = MarketState(HOUR_MS)
    for symbol in ("BTC", "ETH", "SOL"):
        add_symbol(market, symbol, returns_of(seed=1))
    market.on_sentiment(NOW - DAY_MS, 10)
    for _ in range(5):
        state.on_result(NOW, -1)
    view = view_of(exposure("ETH", 500), unknown_orders=9)
    state.latch(GeneticRiskManager().assess(state, market, view, NOW).tripped)
    for memory, kind in ((state, RiskState), (market, MarketState)):
        text = canonical_json(memory.plain())
        assert canonical_json(kind.restore(json.loads(text)).plain()) == text


def test_the_worse_of_two_statements_is_the_one_that_is_no_number() -> None:
    listed = replace(exposure("BTC", 10), position=Decimal("NaN"))
    for view in (
        view_of(exposures=(listed,)),
        view_of(exposure("BTC", 10), position=Decimal("NaN")),
    ):
        book = account_book(view, order_of())
        assert not book.sound
        assert math.isnan(book.holdings["BTC"].position)


def test_the_worse_of_two_statements_counts() -> None:
    for view in (
        view_of(exposure("BTC", 240), position=Decimal(0)),
        view_of(exposure("BTC", 0), position=Decimal(240)),
    ):
        assert float(decide(view=view, order=order_of(100)).size) == pytest.approx(10)
