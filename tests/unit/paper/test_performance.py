"""Performance numbers against pandas, empyrical, brute force and the backtest."""

from __future__ import annotations

import itertools
import json
import statistics
from decimal import Decimal

import empyrical
import numpy as np
import pandas as pd
import pytest

from genesis.domain.canonical import content_hash
from genesis.paper.distribution import Distribution
from genesis.paper.marks import DailyMarks
from genesis.paper.numbers import ranked
from genesis.paper.outcomes import STATUSES, RoundTrip
from genesis.paper.performance import GROUPS, StrategyPerformance, performance_of
from genesis.trading.gateway import Side
from genesis.trading.payloads import TradeClosed
from tests.unit.paper.paper_runs import DAY, HOUR, order, round_trips, shadow_of, trip, wild_pair

CAPITAL = 10_000.0


def random_trips(seed: int, count: int = 300) -> list[RoundTrip]:
    rng = np.random.default_rng(seed)
    made = []
    for k in range(count):
        pnl = Decimal(repr(round(float(rng.normal(1.0, 30.0)), 4)))
        entry = k * HOUR + int(rng.integers(HOUR))
        made.append(
            trip(
                str(pnl if rng.random() > 0.02 else Decimal(0)),
                symbol=str(rng.choice(["AAAUSDT", "BBBUSDT", "CCCUSDT"])),
                entry_ms=entry,
                exit_ms=entry + int(rng.integers(1, 9)) * HOUR,
                reason=str(rng.choice(["stop", "target", "exit signal"])),
                exit_class=str(rng.choice(["stop_loss", "trailing_stop"])),
                side=Side.BUY if rng.random() < 0.5 else Side.SELL,
                fees="0.37",
                funding=str(Decimal(repr(round(float(rng.normal(0, 0.1)), 5)))),
                slippage="0.11",
            )
        )
    return made


def walk(seed: int, bars: int = 24 * 90) -> list[tuple[int, float]]:
    """Hourly marks at the closes of bars."""
    rng = np.random.default_rng(seed)
    equity = np.cumsum(rng.normal(0.5, 25.0, bars))
    return [((k + 1) * HOUR, float(e)) for k, e in enumerate(equity)]


def daily(marks: list[tuple[int, float]]) -> pd.Series:
    """Daily returns over capital, by pandas: a mark at midnight ends the day before."""
    index = pd.to_datetime([ts - 1 for ts, _ in marks], unit="ms")
    last = pd.Series([e for _, e in marks], index=index).resample("D").last().ffill() / CAPITAL
    return last.diff().fillna(last.iloc[0])


def test_sums_and_groups_equal_pandas() -> None:
    trips = random_trips(1)
    numbers = performance_of("strat_a", CAPITAL, trips).numbers()
    frame = pd.DataFrame(
        {
            "pnl": [float(t.pnl) for t in trips],
            "symbol": [t.symbol for t in trips],
            "hour": [str(pd.Timestamp(t.entry_ms, unit="ms").hour) for t in trips],
            "side": [t.side.value for t in trips],
            "reason": [t.reason for t in trips],
            "exit_class": [t.exit_class for t in trips],
            "held": [(t.exit_ms - t.entry_ms) / HOUR for t in trips],
        }
    )
    wins, losses = frame[frame.pnl > 0], frame[frame.pnl <= 0]
    assert numbers.trades == len(frame)
    assert numbers.win_rate == pytest.approx(len(wins) / len(frame))
    assert numbers.pnl == pytest.approx(frame.pnl.sum())
    assert numbers.return_on_capital == pytest.approx(frame.pnl.sum() / CAPITAL)
    assert numbers.profit_factor == pytest.approx(wins.pnl.sum() / -losses.pnl.sum())
    assert numbers.stop_outs == len(losses[losses.reason == "stop"])
    assert numbers.holding_hours == pytest.approx(frame.held.mean())
    assert numbers.fees == pytest.approx(0.37 * len(frame))
    assert numbers.slippage_cost == pytest.approx(0.11 * len(frame))
    assert numbers.funding == pytest.approx(float(sum(t.funding for t in trips)))
    for group in GROUPS:
        parts = frame.groupby(group).pnl
        cells = numbers.by[group]
        assert {k: c.trades for k, c in cells.items()} == parts.size().to_dict()
        wanted = parts.sum().to_dict()
        assert {k: float(c.pnl) for k, c in cells.items()} == pytest.approx(wanted)
        assert {k: c.win_rate for k, c in cells.items()} == pytest.approx(
            parts.apply(lambda p: (p > 0).mean()).to_dict()
        )
        squares = parts.apply(lambda p: (p**2).sum()).to_dict()
        assert {k: c.squares for k, c in cells.items()} == pytest.approx(squares)


def test_hours_are_in_order_of_the_day() -> None:
    numbers = performance_of("strat_a", CAPITAL, random_trips(2)).numbers()
    hours = [int(hour) for hour in numbers.by["hour"]]
    assert hours == sorted(hours)
    assert len(hours) == 24


@pytest.mark.parametrize("seed", range(6))
def test_streaks_equal_brute_force(seed: int) -> None:
    trips = random_trips(seed, 60)
    runs = [(won, len(list(run))) for won, run in itertools.groupby(t.pnl > 0 for t in trips)]
    numbers = performance_of("strat_a", CAPITAL, trips).numbers()
    assert numbers.longest_losing_streak == max(n for won, n in runs if not won)
    won, length = runs[-1]
    assert numbers.current_streak == (length if won else -length)
    assert numbers.recent == tuple(int(t.pnl > 0) for t in trips[-40:])


@pytest.mark.parametrize("seed", range(3))
def test_sharpe_and_drawdown_of_marks_equal_empyrical_and_pandas(seed: int) -> None:
    marks = walk(seed)
    numbers = performance_of("strat_a", CAPITAL, marks=marks).numbers()
    returns = daily(marks)
    wanted = empyrical.sharpe_ratio(returns, period="daily", annualization=365)
    assert numbers.sharpe == pytest.approx(wanted, rel=1e-9)
    equity = pd.Series([e for _, e in marks]) / CAPITAL
    assert numbers.max_drawdown == pytest.approx((equity.cummax().clip(lower=0) - equity).max())
    assert numbers.return_on_capital == pytest.approx(equity.iloc[-1])
    assert numbers.days == len(returns) == 90


def test_days_without_a_mark_count_and_have_no_return() -> None:
    marks = [row for row in walk(3) if not 10 * DAY < row[0] <= 17 * DAY]
    numbers = performance_of("strat_a", CAPITAL, marks=marks).numbers()
    returns = daily(marks)
    assert numbers.days == len(returns) == 90
    wanted = empyrical.sharpe_ratio(returns, period="daily", annualization=365)
    assert numbers.sharpe == pytest.approx(wanted, rel=1e-9)


def test_a_mark_of_an_earlier_day_opens_no_new_day() -> None:
    marks = DailyMarks(100.0)
    for ts, equity in ((DAY, 1.0), (2 * DAY, 2.0), (DAY, 1.5)):
        marks.add(ts, equity)
    assert (marks.days, marks.total_return) == (2, 0.015)


def test_numbers_are_those_of_the_backtest() -> None:
    panel = wild_pair(bars=2000)
    shadow = shadow_of(panel, 3)
    trips = round_trips(shadow)
    capital = sum(s.capital for s in shadow.symbols)
    marks = zip((panel.ts_ms + HOUR).tolist(), (shadow.equity * capital).tolist(), strict=True)
    numbers = performance_of(shadow.strategy.id, capital, trips, marks=marks).numbers()
    wanted = shadow.metrics
    assert numbers.trades == wanted["trades"] > 50
    assert numbers.sharpe == pytest.approx(wanted["daily_sharpe"], rel=1e-9)
    assert numbers.win_rate == pytest.approx(wanted["win_rate"])
    assert numbers.profit_factor == pytest.approx(wanted["profit_factor"], rel=1e-9)
    assert numbers.max_drawdown == pytest.approx(wanted["max_drawdown"], rel=1e-9)
    assert numbers.return_on_capital == pytest.approx(wanted["total_return"], rel=1e-9)


@pytest.mark.parametrize("count", [500, 501])
def test_execution_numbers_equal_numpy(count: int) -> None:
    rng = np.random.default_rng(5)
    slippage = np.round(rng.normal(3.0, 4.0, count), 2)
    latency = rng.integers(20, 900, count)
    notional = rng.uniform(10, 1000, count)
    maker = rng.random(count) < 0.3
    orders = [
        order(slippage_bp=float(s), latency_ms=int(ms), notional=float(n), maker_share=float(m),
              quality="good")
        for s, ms, n, m in zip(slippage, latency, notional, maker, strict=True)
    ]  # fmt: skip
    numbers = performance_of("strat_a", CAPITAL, orders=orders).numbers()
    assert numbers.mean_slippage_bp == pytest.approx(slippage.mean())
    assert numbers.median_slippage_bp == pytest.approx(float(np.median(slippage)), abs=1e-12)
    for share, found in ((0.5, numbers.latency_p50_ms), (0.95, numbers.latency_p95_ms)):
        assert found == np.quantile(latency, share, method="inverted_cdf")
    assert numbers.maker_share == pytest.approx(notional[maker].sum() / notional.sum())
    assert numbers.turnover == pytest.approx(notional.sum() / CAPITAL)
    assert numbers.quality == {"good": count}


def test_only_orders_that_asked_for_an_execution_count_for_success() -> None:
    orders = [order(status) for status in STATUSES] + [order("filled")] * 4
    numbers = performance_of("strat_a", CAPITAL, orders=orders).numbers()
    # 5 filled of filled 5, partial, rejected, expired, unknown; withdrawn, void, open aside.
    assert numbers.success_rate == pytest.approx(5 / 9)
    assert numbers.orders == 12
    assert numbers.order_status["withdrawn"] == 1


def test_nothing_recorded_has_no_numbers_but_counts() -> None:
    numbers = StrategyPerformance("strat_a", CAPITAL).numbers()
    assert (numbers.trades, numbers.pnl, numbers.return_on_capital) == (0, 0.0, 0.0)
    nothing = ("win_rate", "sharpe", "profit_factor", "median_slippage_bp", "success_rate")
    assert [getattr(numbers, name) for name in nothing] == [None] * 5
    json.dumps(numbers.to_plain(), allow_nan=False)


def test_a_state_goes_through_json_and_goes_on_alike() -> None:
    trips, marks = random_trips(7), walk(7)
    orders = [order(slippage_bp=0.07 * k, latency_ms=k, notional=1.0) for k in range(50)]
    whole = performance_of("strat_a", CAPITAL, trips, orders, marks)
    half = performance_of("strat_a", CAPITAL, trips[:150], orders[:20], marks[:1001])
    resumed = StrategyPerformance("other", 1.0)
    resumed.restore(json.loads(json.dumps(half.plain())))
    assert content_hash(resumed.plain()) == content_hash(half.plain())
    for trade in trips[150:]:
        resumed.record_trade(trade)
    for one in orders[20:]:
        resumed.record_order(one)
    for ts_ms, equity in marks[1001:]:
        resumed.record_mark(ts_ms, equity)
    assert resumed.numbers() == whole.numbers()
    assert content_hash(resumed.plain()) == content_hash(whole.plain())


def test_memory_does_not_grow_with_what_is_recorded() -> None:
    performance = StrategyPerformance("strat_a", CAPITAL)
    rng = np.random.default_rng(0)
    sizes = []
    for _ in range(2):
        for value in rng.normal(2, 1, 4000):
            performance.record_order(order(slippage_bp=float(value), latency_ms=100))
            performance.record_trade(trip("1"))
        sizes.append(len(json.dumps(performance.plain())))
    assert sizes[1] < 1.3 * sizes[0]


def test_a_round_trip_is_built_from_its_event() -> None:
    event = TradeClosed(
        deployment="DEP_9", plan_id="TPL_9", side=Side.SELL, size=Decimal(2), entry=Decimal(50),
        exit=Decimal(48), pnl=Decimal("3.5"), fees=Decimal("0.3"), funding=Decimal("0.2"),
        slippage=Decimal("0.1"), entry_ms=1, exit_ms=2, reason="target", exit_class="target",
        mfe=0.05, mae=0.01,
    )  # fmt: skip
    made = RoundTrip.of(event, "strat_b", "ETHUSDT")
    assert (made.strategy, made.symbol) == ("strat_b", "ETHUSDT")
    assert made.pnl == Decimal("3.0")  # the event's is before fees and funding
    for name in event.__struct_fields__:
        assert name == "pnl" or getattr(made, name) == getattr(event, name)


def test_a_distribution_is_coarse_far_out_and_bounded() -> None:
    values = [-20_000.0, -150.4, 0.004, 2.07, 99.999, 150.6, 1e9]
    made = Distribution.of_basis_points()
    for value in values:
        made.add(value)
    assert [v for v, _ in made.plain()] == [-10_000.0, -150.0, 0.0, 2.07, 100.0, 151.0, 10_000.0]
    assert made.median() == statistics.median(values)
    assert made.quantile(1.0) == 10_000.0
    assert Distribution.of_basis_points().median() is None


def test_rank_is_by_sharpe_then_return_then_id() -> None:
    def numbers(name: str, pnls: list[str], equity: list[float]) -> object:
        marks = [((k + 1) * DAY, e) for k, e in enumerate(equity)]
        return performance_of(name, CAPITAL, [trip(p) for p in pnls], marks=marks).numbers()

    field = [
        numbers("strat_idle", [], [0.0, 0.0]),
        numbers("strat_b", ["1"], [1.0, 3.0, 4.0]),
        numbers("strat_a", ["1"], [1.0, 3.0, 4.0]),
        numbers("strat_flat_rich", ["9"], [5.0, 10.0]),  # constant returns have no ratio
        numbers("strat_flat_poor", ["1"], [1.0, 2.0]),
        numbers("strat_best", ["1"], [1.0, 2.1, 3.0]),
    ]
    order_ = ["best", "a", "b", "flat_rich", "flat_poor", "idle"]
    for some in itertools.permutations(field):
        places = ranked(some)  # type: ignore[arg-type]
        assert sorted(places, key=lambda name: places[name]) == [f"strat_{n}" for n in order_]
