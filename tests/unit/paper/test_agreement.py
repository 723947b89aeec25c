"""Trading read from its log alone, beside the backtest of the same bars."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from genesis.backtest.portfolio import backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.errors import RefusedError
from genesis.domain.timeline import HOUR_MS
from genesis.market.panel import Panel
from genesis.paper.agreement import agreement, pooled
from genesis.paper.logged import LoggedRun, panel_of, read_logged, traded_symbols
from genesis.strategy.strategy import Strategy
from tests.unit.paper.engine_runs import settings_of, take, wild_market, wild_strategies

COSTS = CostModel()


def traded(folder: Path, seed: int = 3, **more: Any) -> tuple[LoggedRun, Panel, Strategy]:
    panel = wild_market(seed, bars=24 * 60, symbols=2)
    strategy = wild_strategies(seed, 1, size=0.2)[0]
    take(folder, panel, settings_of([strategy], costs=COSTS.plain(), **more))
    logged = read_logged(folder, lambda one: one.strategy_id == strategy.id)
    assert logged is not None
    return logged, panel, strategy


@pytest.fixture(scope="module")
def faithful(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoggedRun, Panel, Strategy]:
    """A run that owes its backtest every fill."""
    return traded(tmp_path_factory.mktemp("runs") / "run")


def test_the_bars_of_a_log_are_those_that_were_traded(
    faithful: tuple[LoggedRun, Panel, Strategy],
) -> None:
    run, panel, _ = faithful
    found = panel_of(run)
    first, last = found.ts_ms[0], found.ts_ms[-1]
    start, stop = (int(np.searchsorted(panel.ts_ms, t)) for t in (first, last))
    for mine, true in zip(found.symbols, panel.symbols, strict=True):
        assert mine.instrument == true.instrument
        np.testing.assert_array_equal(mine.valid, true.valid[start : stop + 1])
        for name in ("open", "high", "low", "close", "volume"):
            wanted = np.where(mine.valid, getattr(true, name)[start : stop + 1], np.nan)
            np.testing.assert_array_equal(getattr(mine, name), wanted)


def test_a_faithful_run_agrees_in_everything(
    faithful: tuple[LoggedRun, Panel, Strategy],
) -> None:
    run, panel, strategy = faithful
    found = agreement(run, COSTS, 3.0)
    assert found is not None
    assert found.position_match == 1.0
    assert found.held > 0
    assert found.same_held == found.held
    assert found.slippage == 1.0  # every order at the model's price
    assert found.takers > 10
    np.testing.assert_allclose(found.returns, found.shadow, atol=1e-12)
    # The shadow is the plain backtest of the same data, day by day.
    direct = backtest_strategy(panel, strategy, EvaluationSetup(costs=COSTS, capital=run.capital))
    total = float(found.shadow.sum())
    assert total == pytest.approx(float(direct.equity[-1]), abs=1e-9)
    closed = sum(t.closed for s in direct.symbols for t in s.trades)
    assert found.trades == closed
    plain = found.measures("paper", 0.1)
    assert plain["paper_days"] == 60
    assert plain["paper_equivalence"][0] == pytest.approx(0.0, abs=1e-12)


def test_what_differs_is_measured(tmp_path: Path) -> None:
    """A run without fees on the study's costs: richer than its shadow, and not equivalent."""
    free = CostModel(taker=0.0, maker=0.0, slippage=0.0)
    panel = wild_market(3, bars=24 * 60, symbols=2)
    strategy = wild_strategies(3, 1, size=0.2)[0]
    take(tmp_path / "run", panel, settings_of([strategy], costs=free.plain()))
    logged = read_logged(tmp_path / "run", lambda one: True)
    assert logged is not None
    found = agreement(logged, CostModel(taker=5e-3, maker=5e-3, slippage=5e-3), 3.0)
    assert found is not None
    assert found.returns.sum() > found.shadow.sum()
    measures = found.measures("paper", 0.1)
    assert measures["paper_equivalence"][0] > 0.05
    assert measures["paper_slippage"][0] < 0.05  # levels follow the entries


def test_slippage_beyond_the_model_is_seen(tmp_path: Path) -> None:
    dear = CostModel(slippage=6e-4)
    panel = wild_market(3, bars=24 * 40, symbols=2)
    strategy = wild_strategies(3, 1, size=0.2)[0]
    take(tmp_path / "run", panel, settings_of([strategy], costs=dear.plain()))
    logged = read_logged(tmp_path / "run", lambda one: True)
    assert logged is not None
    found = agreement(logged, COSTS, 3.0)
    assert found is not None
    assert found.slippage == pytest.approx(3.0, rel=0.05)  # 6 basis points, 2 are modelled
    noisy = agreement(logged, replace(COSTS, slippage_noise=0.2), 3.0)
    assert noisy is not None
    assert noisy.model_bp / noisy.takers == pytest.approx(2.0 * 1.1)  # the 75th percentile


def test_only_what_comes_after_counts(faithful: tuple[LoggedRun, Panel, Strategy]) -> None:
    run, panel, _ = faithful
    since = int(panel.ts_ms[24 * 30])
    whole, late = agreement(run, COSTS, 3.0), agreement(run, COSTS, 3.0, since)
    assert whole is not None
    assert late is not None
    assert late.day_ms[0] >= since - 24 * HOUR_MS
    assert late.days <= 30.0
    assert late.trades < whole.trades
    assert late.position_match == 1.0
    np.testing.assert_allclose(late.returns, late.shadow, atol=1e-12)
    assert agreement(run, COSTS, 3.0, int(panel.ts_ms[-1]) + 10 * HOUR_MS) is None


def test_runs_are_pooled_by_day(faithful: tuple[LoggedRun, Panel, Strategy]) -> None:
    """Of two runs that met on a day, that day is one; the sums are those of both."""
    run, panel, _ = faithful
    whole = agreement(run, COSTS, 3.0)
    late = agreement(run, COSTS, 3.0, int(panel.ts_ms[24 * 30 + 7]))
    assert whole is not None
    assert late is not None
    cut = int(np.searchsorted(whole.day_ms, late.day_ms[0]))
    early = replace(
        whole,
        span_ms=(whole.span_ms[0], late.span_ms[0]),
        day_ms=whole.day_ms[: cut + 1],
        **{
            name: np.append(
                getattr(whole, name)[:cut], getattr(whole, name)[cut] - getattr(late, name)[0]
            )
            for name in ("returns", "shadow", "unmanaged", "managed")
        },
    )
    found = pooled([late, early])
    assert found is not None
    np.testing.assert_array_equal(found.day_ms, whole.day_ms)
    np.testing.assert_allclose(found.returns, whole.returns, atol=1e-12)
    np.testing.assert_allclose(found.shadow, whole.shadow, atol=1e-12)
    assert found.span_ms == whole.span_ms
    assert found.trades == late.trades + early.trades
    assert pooled([]) is None


def test_tables_settings_and_results_are_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run, _, strategy = traded(folder)
    before = agreement(run, COSTS, 3.0)
    db = apsw.Connection(str(folder / "events.db"))
    db.execute("UPDATE fills SET price = '1', fee = '0'")
    db.execute("DELETE FROM trades")
    db.execute("UPDATE postings SET funding = '-1000'")
    db.close()
    (folder / "result.json").write_text(json.dumps({"sharpe": 99}))
    (folder / "run.json").write_text("{}")
    again = read_logged(folder, lambda one: one.strategy_id == strategy.id)
    assert again is not None
    after = agreement(again, COSTS, 3.0)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(after.returns, before.returns)
    assert (after.trades, after.slippage_bp) == (before.trades, before.slippage_bp)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE events SET body = (SELECT body FROM events WHERE type = 'order_filled' LIMIT 1)"
        " WHERE seq = (SELECT max(seq) FROM events WHERE type = 'order_filled')",
        "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events WHERE type = 'order_filled')",
        "DELETE FROM events WHERE seq > (SELECT max(seq) - 50 FROM events)",
    ],
)
def test_an_edited_log_is_no_evidence(tmp_path: Path, sql: str) -> None:
    folder = tmp_path / "run"
    traded(folder)
    db = apsw.Connection(str(folder / "events.db"))
    db.execute(sql)
    db.close()
    with pytest.raises(RefusedError, match="no evidence"):
        read_logged(folder, lambda one: True)


def test_a_log_of_others_is_none(tmp_path: Path) -> None:
    traded(tmp_path / "run")
    assert read_logged(tmp_path / "run", lambda one: False) is None


def test_partial_symbols_are_read_as_they_were_added(
    faithful: tuple[LoggedRun, Panel, Strategy],
) -> None:
    run, _, _ = faithful
    panel = panel_of(run)
    symbols = traded_symbols(run, panel)
    assert [s.symbol for s in symbols] == list(run.symbols)
    assert run.capital == pytest.approx(100_000.0)


def test_of_a_run_whose_bars_are_mostly_set_aside_no_match_is_measured(
    faithful: tuple[LoggedRun, Panel, Strategy],
) -> None:
    run, _, _ = faithful
    found = agreement(run, COSTS, 3.0)
    assert found is not None
    assert found.position_match == 1.0
    left = found.bars // 3
    many = replace(found, bars=found.bars - left, same=found.same - left, outside=left)
    assert many.position_match is None
    measures = many.measures("canary", 0.1)
    share, note = measures["canary_position_match"]
    assert share is None
    assert f"{left} more not compared after closes from outside: not measured" in note
    assert "more than 25% of all" in note
    assert measures["canary_held_match"] is None
    few = replace(found, outside=left)
    assert few.position_match == 1.0
    assert "not measured" not in few.measures("canary", 0.1)["canary_position_match"][1]
