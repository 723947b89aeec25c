"""Runs under a risk manager beside the backtest under its decisions: execution and impact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genesis.backtest.portfolio import backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.timeline import DAY_MS
from genesis.market.panel import Panel
from genesis.paper.agreement import Agreement, agreement, pooled, shadow_setup
from genesis.paper.entries import Entry, Fate, read_entries
from genesis.paper.fidelity import DIVERGED, FAITHFUL, fidelity
from genesis.paper.logged import LoggedRun, panel_of, read_logged, traded_symbols
from genesis.paper.parity import compare_fills
from genesis.paper.risk_effect import shadows
from genesis.paper.settings import RiskSettings
from genesis.paper.shadow import Shadow, shadow_of
from genesis.risk.genome import GENES, RiskGenes, RiskGenome
from genesis.risk.manager import RiskProfile
from genesis.strategy.language import Market
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.events import EventType
from genesis.trading.payloads import OrderSubmit, RiskAssessed, SignalGenerated
from genesis.trading.store import EventReader
from tests.unit.paper.engine_runs import settings_of, take, wild_market, wild_strategies

COSTS = CostModel()
LOOSE = RiskGenome(RiskGenes(**{gene.name: gene.loosest for gene in GENES}))
STRICT = LOOSE.replace(bear_cut=0.6, daily_drawdown=0.001, max_position=0.2, max_gross=0.25)
"""Takes from longs in a falling market, caps what is held, stops after a small loss."""


def traded(
    folder: Path,
    panel: Panel,
    strategy: Strategy,
    genome: RiskGenome = STRICT,
    profile: RiskProfile = RiskProfile.ENFORCE,
) -> LoggedRun:
    risk = RiskSettings(profile=profile, genome=genome.plain(), flatten=False)
    take(folder, panel, settings_of([strategy], costs=COSTS.plain(), risk=risk))
    found = read_logged(folder, lambda one: one.strategy_id == strategy.id)
    assert found is not None
    return found


def agreed(run: LoggedRun) -> Agreement:
    found = agreement(run, COSTS, 3.0)
    assert found is not None
    return found


def events(folder: Path, kind: EventType) -> list[Any]:
    with EventReader(folder) as reader:
        return [event.data for event in reader.events(types=(kind,))]


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LoggedRun]:
    """A market whose instruments have lots, under a manager that cuts and refuses."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    panel = wild_market(4, bars=24 * 60, symbols=2, lot=0.01, min_notional=100.0)
    m = Market()
    rules = Rules(m.sentiment > 90, m.sentiment < 10, m.volume < 5, m.volume > 95)
    policy = PolicyParams(size=0.2, stop_atr=4.0, target_atr=6.0, trail_atr=5.0)
    return folder, traded(folder, panel, Strategy(rules, policy))


def test_a_managed_run_is_faithful_to_the_backtest_under_its_decisions(
    enforced: tuple[Path, LoggedRun],
) -> None:
    _, run = enforced
    found = agreed(run)
    assert found.refused > 10
    assert found.cut > 10
    assert found.position_match == 1.0
    assert found.same_held == found.held > 100
    assert found.slippage == 1.0
    np.testing.assert_allclose(found.returns, found.shadow, atol=1e-12)
    measures = found.measures("paper", 0.1)
    assert measures["paper_equivalence"][0] < 0.05
    assert measures["paper_entries_asked"] == len(run.entries)
    assert "cut by risk" in measures["paper_position_match"][1]


def test_the_backtest_that_is_not_told_of_them_is_another(
    enforced: tuple[Path, LoggedRun],
) -> None:
    _, run = enforced
    found = agreed(replace(run, entries=[]))
    assert found.position_match is not None
    assert found.position_match < 0.8
    measures = found.measures("paper", 0.1)
    assert np.abs(found.returns - found.shadow).max() > 0.01
    assert measures["paper_equivalence"][0] > 0.05


def test_every_fill_is_that_of_the_backtest_under_the_same_decisions(
    enforced: tuple[Path, LoggedRun],
) -> None:
    _, run = enforced
    panel = panel_of(run)
    paper = traded_symbols(run, panel)
    made = shadows(panel, run.strategy, shadow_setup(run, COSTS, 3.0), run.entries)
    report = compare_fills(paper, made.sent, panel=panel)
    assert report.equal, report
    told = fidelity(paper, made.sent, risk=made.effect(run.entries))
    assert (told.verdict, told.causes) == (FAITHFUL, {})
    assert made.unmanaged is not None
    unaware = fidelity(paper, made.unmanaged)
    assert unaware.verdict == DIVERGED
    assert sum(unaware.causes.values()) > 100
    shadow = shadow_of(run, COSTS, 3.0)
    assert isinstance(shadow, Shadow)
    assert shadow.fidelity.position_match == 1.0
    assert shadow.fidelity.to_plain()["risk"]["refused"] == told.risk.refused  # type: ignore[union-attr]


@pytest.mark.parametrize("profile", list(RiskProfile))
def test_a_sized_run_is_faithful_to_the_backtest_in_its_sizes(
    tmp_path: Path, profile: RiskProfile
) -> None:
    """What the sizer took, all of an entry or a part, is taken from the backtest too."""
    panel = wild_market(4, bars=24 * 60, symbols=2, lot=0.01, min_notional=100.0)
    m = Market()
    rules = Rules(m.sentiment > 90, m.sentiment < 10, m.volume < 5, m.volume > 95)
    policy = PolicyParams(size=0.2, stop_atr=4.0, target_atr=6.0, trail_atr=5.0)
    genome = STRICT.replace(max_position=0.06, max_gross=0.5, target_volatility=0.3)
    risk = RiskSettings(profile=profile, genome=genome.plain(), flatten=False)
    strategy = Strategy(rules, policy)
    options = DeploymentOptions(sizing="volatility_adjusted")
    more = {"costs": COSTS.plain(), "risk": risk, "options": options}
    take(tmp_path, panel, settings_of([strategy], **more))
    run = read_logged(tmp_path, lambda one: one.strategy_id == strategy.id)
    assert run is not None
    rejected = events(tmp_path, EventType.OPPORTUNITY_REJECTED)
    unsized = [one for one in rejected if one.stage == "sizing"]
    assert len(unsized) > 5, "the market is not known at the beginning"
    sized = [one for one in run.entries if 0.0 < one.scale < 1.0]
    assert len(sized) > 10
    if profile is RiskProfile.OBSERVE:
        assert sum(one.fate is Fate.REFUSED for one in run.entries) == len(unsized)
        assert any(one.enforced < one.scale for one in sized)
    made = shadows(panel, strategy, shadow_setup(run, COSTS, 3.0), run.entries)
    paper = traded_symbols(run, panel_of(run))
    assert compare_fills(paper, made.sent, panel=panel).equal
    assert agreed(run).position_match == 1.0
    assert made.unmanaged is not None
    assert not compare_fills(paper, made.unmanaged, panel=panel).equal


def test_the_impact_is_the_plain_backtest_less_the_managed_one(
    enforced: tuple[Path, LoggedRun],
) -> None:
    _, run = enforced
    found = agreed(run)
    setup = EvaluationSetup(costs=COSTS, capital=run.capital)
    plain = backtest_strategy(panel_of(run), run.strategy, setup)
    midnights = np.unique(plain.ts_ms // DAY_MS) + 1
    ends = np.searchsorted(plain.ts_ms, midnights * DAY_MS) - 1
    daily = np.diff(plain.equity[ends], prepend=0.0)
    assert found.risk.impact is not None
    assert found.risk.impact == pytest.approx(daily.sum() - found.shadow.sum(), abs=1e-12)
    assert abs(found.risk.impact) > 0.01
    assert found.risk.impact_sd == pytest.approx(found.risk.impact / daily.std(ddof=1), rel=1e-9)


def test_a_reversal_whose_entry_was_refused_closes_all_the_same(
    enforced: tuple[Path, LoggedRun],
) -> None:
    folder, run = enforced
    refused = {(e.symbol, e.open_ms) for e in run.entries if e.fate is Fate.REFUSED}
    panel = panel_of(run)
    start, symbols = int(panel.ts_ms[0]), {one.symbol: one for one in traded_symbols(run, panel)}
    made = shadows(panel, run.strategy, shadow_setup(run, COSTS, 3.0), run.entries).sent
    seen = 0
    for signal in events(folder, EventType.SIGNAL_GENERATED):
        assert isinstance(signal, SignalGenerated)
        symbol = signal.deployment.rpartition("/")[2]
        at = run.added[0].anchor_ms + signal.bar * panel.interval_ms
        if signal.close_reason != "reversal" or (symbol, at) not in refused:
            continue
        bar = (at - start) // panel.interval_ms
        series = next(s for s in panel.symbols if s.symbol == symbol)
        after = bar + 1 + int(np.argmax(series.valid[bar + 1 :]))
        mine = symbols[symbol].position
        theirs = next(s for s in made.symbols if s.symbol == symbol)
        assert mine[bar] != 0.0
        assert mine[after] == theirs.position[after] == 0.0
        closed = [o.reason for o in theirs.orders if o.bar == after]
        seen += closed == ["reversal"]
    assert seen > 3


def both_at_once() -> tuple[Panel, Strategy]:
    """Two symbols whose signals come in the same bars, with as much turnover as needed."""
    panel = wild_market(8, bars=24 * 30, symbols=1, missing=0.0, lot=0.01)
    other = wild_market(9, bars=24 * 30, symbols=1, missing=0.0, lot=0.01).symbols[0]
    first = panel.symbols[0]
    twin = replace(
        other,
        instrument=replace(other.instrument, symbol="W1USDT", base="W1USDT"),
        sentiment=first.sentiment,
    )
    both = tuple(replace(one, volume=1e7 + one.volume) for one in (first, twin))
    m = Market()
    rules = Rules(long=m.sentiment > 90, exit_long=m.sentiment < 20)
    return replace(panel, symbols=both), Strategy(rules, PolicyParams(size=0.5))


def test_an_order_that_is_cut_again_when_it_is_made_counts(tmp_path: Path) -> None:
    """Each is planned with the room that both have to share: the second order meets the cap."""
    panel, strategy = both_at_once()
    run = traded(tmp_path / "run", panel, strategy, LOOSE.replace(max_gross=0.3))
    judged = {r.risk_id: r for r in events(tmp_path / "run", EventType.RISK_ASSESSED)}
    sent = events(tmp_path / "run", EventType.ORDER_SUBMIT)
    whole = {r.size for r in judged.values() if isinstance(r, RiskAssessed)}
    entries = [o for o in sent if isinstance(o, OrderSubmit) and o.purpose == "entry"]
    again = [order for order in entries if order.order.size not in whole]
    assert len(again) > 5
    found = agreed(run)
    assert found.position_match == 1.0
    np.testing.assert_allclose(found.returns, found.shadow, atol=1e-12)
    assert found.cut >= len(again)


def test_what_is_only_observed_changes_nothing_and_is_told(tmp_path: Path) -> None:
    """Net results are in proportion to size: the impact is what each trade would have lost."""
    panel, strategy = wild_market(3, bars=24 * 60, symbols=2), wild_strategies(3, 1, size=0.2)[0]
    run = traded(tmp_path / "run", panel, strategy, profile=RiskProfile.OBSERVE)
    assert {one.scale for one in run.entries} == {1.0}
    found = agreed(run)
    assert (found.refused, found.cut, found.held_back) == (0, 0, 0)
    assert found.would_refuse > 10
    assert found.would_cut > 10
    assert found.position_match == 1.0
    np.testing.assert_array_equal(found.shadow, found.unmanaged)
    left = {(one.symbol, one.open_ms): one.enforced for one in run.entries}
    plain = backtest_strategy(panel, strategy, shadow_setup(run, COSTS, 3.0))
    lost = 0.0
    for symbol, trade in plain.trades:
        asked = max(at for name, at in left if name == symbol and at < trade.entry_ts_ms)
        lost += trade.pnl * (1.0 - left[symbol, asked])
    assert len(plain.trades) == len(left)
    assert found.risk.impact == pytest.approx(lost / run.capital, rel=1e-6)
    assert abs(lost / run.capital) > 0.01


def test_runs_are_pooled_with_their_entries(enforced: tuple[Path, LoggedRun]) -> None:
    _, run = enforced
    whole = agreed(run)
    half = agreement(run, COSTS, 3.0, int(panel_of(run).ts_ms[24 * 30]))
    assert half is not None
    assert 0 < half.asked < whole.asked
    found = pooled([whole, half])
    assert found is not None
    assert found.asked == whole.asked + half.asked
    assert found.risk.impact == pytest.approx(
        (whole.risk.impact or 0.0) + (half.risk.impact or 0.0), abs=1e-12
    )


def test_entries_are_read_without_the_rest(enforced: tuple[Path, LoggedRun]) -> None:
    folder, run = enforced
    with EventReader(folder) as reader:
        assert read_entries(reader) == {run.strategy.id: run.entries}


def test_what_was_held_back_is_missing_in_every_shadow() -> None:
    panel = wild_market(4, bars=24 * 20, symbols=1)
    strategy = wild_strategies(4, 1, size=0.2)[0]
    setup = EvaluationSetup(costs=COSTS)
    plain = backtest_strategy(panel, strategy, setup)
    first = next(o for o in plain.symbols[0].orders if o.reason == "entry").bar
    decided = first - 1
    while not panel.symbols[0].valid[decided]:
        decided -= 1
    held = Entry("W0USDT", int(panel.ts_ms[decided]), Fate.HELD_BACK, 0.0, 0.0)
    made = shadows(panel, strategy, setup, [held])
    assert made.unmanaged is made.sent is made.managed
    assert made.sent.symbols[0].orders[0].bar > first
    effect = made.effect([held])
    assert (effect.asked, effect.held_back, effect.refused, effect.impact) == (1, 1, 0, 0.0)
