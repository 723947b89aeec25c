"""Facts from a book's bars: against `DailyMarks`, brute force, and bars that were cut off."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from genesis.decision.context import DecisionContext, MarketFacts
from genesis.decision.history import BookHistory, StrategyHistory
from genesis.domain.timeline import DAY_MS, HOUR_MS
from genesis.paper.marks import DailyMarks
from tests.unit.decision.decision_samples import RULES

DATA = RULES.file.data
FIRST = 20_000
STEP = 4 * HOUR_MS
BARS = 6 * 70


def book(seed: int = 0, bars: int = BARS, gaps: tuple[int, ...] = ()) -> BookHistory:
    """Two strategies on two symbols; ``gaps`` are days without any bar."""
    rng = np.random.default_rng(seed)
    ends = FIRST * DAY_MS + STEP * np.arange(1, bars + 1)
    day = (ends - 1) // DAY_MS - FIRST
    there = ~np.isin(day, gaps)

    def walk(scale: float) -> Any:
        steps = np.where(there, rng.normal(0, scale, bars), 0.0)
        return np.cumsum(steps)

    closes = {name: np.where(there, 100 * np.exp(walk(0.01)), np.nan) for name in ("A", "B")}
    volumes = {name: np.where(there, rng.random(bars), np.nan) for name in ("A", "B")}
    strategies = {}
    for name, capital in (("s", 1000.0), ("t", 3000.0)):
        exits = np.sort(rng.choice(ends[there], 50, replace=False))
        won = rng.random(50) < 0.4
        strategies[name] = StrategyHistory(capital, walk(0.01), exits, won, 1.5)
    return BookHistory("test", ends, closes, volumes, strategies)


def facts(one: BookHistory, day: int, **options: Any) -> DecisionContext:
    """As at the end of a day."""
    return one.context((FIRST + day + 1) * DAY_MS, DATA, **options)


@pytest.mark.parametrize("gaps", [(), (5, 40, 41)])
def test_what_a_strategy_did_on_paper_is_what_the_paper_run_reports(gaps: tuple[int, ...]) -> None:
    one = book(gaps=gaps)
    made = facts(one, 69)
    for name, strategy in one.strategies.items():
        marks = DailyMarks(strategy.capital)
        for end, value, close in zip(one.ends_ms, strategy.equity, one.closes["A"], strict=True):
            if np.isfinite(close):
                marks.add(int(end), float(value) * strategy.capital)
        got = made.strategies[name]
        assert got.paper_sharpe == pytest.approx(marks.sharpe())
        assert got.paper_days == 70 - len(gaps)
        series = got.series
        assert series is not None
        assert [day for day, value in enumerate(series.equity) if value is None] == list(gaps)


def test_days_end_at_midnight_and_a_fall_is_from_the_highest_bar() -> None:
    one = book()
    series = facts(one, 69).strategies["s"].series
    assert series is not None
    equity = one.strategies["s"].equity
    for day in range(70):
        seen = equity[: 6 * (day + 1)]  # the sixth bar of a day ends at midnight
        assert series.equity[day] == pytest.approx(seen[-1])
        assert series.drawdown[day] == pytest.approx(max(seen.max(), 0.0) - seen[-1])
        midnight = (FIRST + day + 1) * DAY_MS
        closed = one.strategies["s"].exit_ms <= midnight
        assert series.trades[day] == closed.sum()
        assert series.wins[day] == (closed & one.strategies["s"].won).sum()


def test_nothing_later_than_the_instant_is_looked_at() -> None:
    whole, short = book(), book()
    for as_of in (FIRST * DAY_MS + 33 * DAY_MS, FIRST * DAY_MS + 33 * DAY_MS + 5 * HOUR_MS):
        bars = int(np.sum(short.ends_ms <= as_of))
        strategies = {
            name: StrategyHistory(
                s.capital, s.equity[:bars], s.exit_ms[s.exit_ms <= as_of],
                s.won[s.exit_ms <= as_of], s.backtest_sharpe,
            )
            for name, s in short.strategies.items()
        }  # fmt: skip
        closes = {name: values[:bars] for name, values in short.closes.items()}
        volumes = {name: values[:bars] for name, values in short.volumes.items()}
        cut = BookHistory("test", short.ends_ms[:bars], closes, volumes, strategies)
        assert whole.context(as_of, DATA) == cut.context(as_of, DATA)


def test_the_account_is_the_sum_of_its_strategies() -> None:
    one = book()
    s, t = (one.strategies[name].equity for name in ("s", "t"))
    account = np.concatenate(([0.0], (1000 * s + 3000 * t) / 4000))
    ends = np.concatenate(([0], one.ends_ms))
    for as_of in (FIRST * DAY_MS + k * STEP + 7 for k in (1, 5, 6, 43, 44, 300)):
        got = one.context(as_of, DATA).account
        seen = account[ends <= as_of]

        def ago(days: int, now: int = as_of) -> float:
            return float(account[ends <= now - days * DAY_MS][-1])

        assert got.daily_return == pytest.approx(seen[-1] - ago(1), abs=1e-12)
        assert got.weekly_return == pytest.approx(seen[-1] - ago(7), abs=1e-12)
        assert got.drawdown == pytest.approx(seen.max() - seen[-1], abs=1e-12)
        assert (got.capital, got.strategies) == (4000.0, 2)


def test_the_average_sharpe_ratio_is_over_the_window_of_the_rules() -> None:
    one = book()
    got = facts(one, 69).account
    ratios = []
    for name in ("s", "t"):
        marks = np.concatenate(([0.0], one.strategies[name].equity[5::6]))
        returns = np.diff(marks)[-30:]
        ratios.append(returns.mean() / returns.std(ddof=1) * np.sqrt(365))
    assert got.average_sharpe == pytest.approx(np.mean(ratios))
    assert (got.best_sharpe, got.worst_sharpe) == pytest.approx((max(ratios), min(ratios)))


def test_the_market_over_its_window() -> None:
    one = book()
    got = facts(one, 69).market
    closes = np.array([one.closes[name][5::6] for name in ("A", "B")])[:, -31:]
    returns = closes[:, 1:] / closes[:, :-1] - 1
    assert got.volatility == pytest.approx(returns.std(axis=1, ddof=1).mean())
    assert got.correlation == pytest.approx(np.corrcoef(returns)[0, 1])
    daily = np.array([one.volumes[name].reshape(70, 6).sum(axis=1) for name in ("A", "B")])[:, -30:]
    assert got.volume_ratio == pytest.approx((daily[:, -1] / daily.mean(axis=1)).mean())
    assert facts(one, 9).market == MarketFacts()  # ten days have nine returns
    assert facts(one, 10).market.volatility is not None


def test_a_day_ends_with_the_last_bar_that_it_has() -> None:
    one = book()
    closes = {name: values.copy() for name, values in one.closes.items()}
    closes["A"][5::6] = np.nan  # every day lacks its last bar of one symbol
    short = BookHistory("test", one.ends_ms, closes, one.volumes, one.strategies)
    fifth = closes["A"][4::6][-31:]
    last = one.closes["B"][5::6][-31:]
    returns = np.array([np.diff(v) / v[:-1] for v in (fifth, last)])
    got = facts(short, 69).market
    assert got.volatility == pytest.approx(returns.std(axis=1, ddof=1).mean())


def test_one_symbol_moves_with_no_other() -> None:
    one = book()
    alone = BookHistory("test", one.ends_ms, {"A": one.closes["A"]}, {"A": one.volumes["A"]},
                        one.strategies)  # fmt: skip
    assert facts(alone, 69).market.correlation == 0.0


@pytest.mark.parametrize("since", [1, 40])
def test_days_after_a_decision_alone_are_as_if_the_book_began_there(since: int) -> None:
    one = book()
    start = 6 * since
    strategies = {
        name: StrategyHistory(
            s.capital,
            s.equity[start:] - s.equity[start - 1],
            s.exit_ms[s.exit_ms > (FIRST + since) * DAY_MS],
            s.won[s.exit_ms > (FIRST + since) * DAY_MS],
            s.backtest_sharpe,
        )
        for name, s in one.strategies.items()
    }
    closes = {name: values[start:] for name, values in one.closes.items()}
    volumes = {name: values[start:] for name, values in one.volumes.items()}
    fresh = BookHistory("test", one.ends_ms[start:], closes, volumes, strategies)
    got = msgspec.to_builtins(facts(one, since + 29, since_day=FIRST + since))
    want = msgspec.to_builtins(facts(fresh, since + 29))
    # The first return of the market alone may know the close before.
    del got["market"], want["market"]
    assert _flat(got) == pytest.approx(_flat(want), abs=1e-12)


def _flat(value: Any, path: str = "") -> dict[str, float]:
    if isinstance(value, dict):
        return {k: v for key, one in value.items() for k, v in _flat(one, f"{path}.{key}").items()}
    if isinstance(value, list | tuple):
        parts = enumerate(value)
        return {k: v for n, one in parts for k, v in _flat(one, f"{path}[{n}]").items()}
    return {path: value} if isinstance(value, int | float) else {}


def test_the_latest_data_are_those_of_the_last_bar_that_was_there() -> None:
    one = book(gaps=(68, 69))
    made = facts(one, 69)
    assert made.data_ms == (FIRST + 68) * DAY_MS
    assert made.last_day == FIRST + 69
