"""The paper engine: every mode, stops and kills at any moment, several strategies and symbols."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesis.backtest.setup import EvaluationSetup
from genesis.costs.execution import ExecutionModel
from genesis.costs.model import CostModel
from genesis.domain.errors import DataError, InfrastructureError, RefusedError
from genesis.exchange.paper import desk as exchange_desk
from genesis.exchange.paper import matching
from genesis.exchange.paper.tape import Tape
from genesis.paper.engine import PaperTradingEngine
from genesis.paper.settings import PaperMode
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.events import EventType as T
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.inbox import Inbox
from genesis.trading.payloads import OperatorCommand
from genesis.trading.planners import ExitPlanner
from genesis.trading.store import EventReader
from tests.unit.paper.engine_runs import (
    engine_of,
    kill,
    parity,
    settings_of,
    stored_fills,
    take,
    wild_market,
    wild_strategies,
)

SINGLE = EvaluationSetup(orders_per_bar=3.0)


# ---- parity ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (1, {"scale": 0.03}),
        (2, {"scale": 0.02, "tick": 0.01, "lot": 0.001, "min_notional": 5.0}),
        (3, {"scale": 0.012, "missing": 0.2, "funding": 1e-2}),
        (4, {"scale": 0.04, "lot": 0.5}),
    ],
)
def test_a_run_is_its_backtest_fill_for_fill(
    seed: int, options: dict[str, float], tmp_path: Path
) -> None:
    panel = wild_market(seed, 300, symbols=3, **options)
    strategies = wild_strategies(seed, 4)
    outcome, _ = take(tmp_path / "run", panel, settings_of(strategies))
    assert outcome.finished
    report = parity(tmp_path / "run", panel, strategies)
    assert report.equal, report.to_plain()
    assert report.fills > 150
    assert report.marks == 4 * 3 * 300


def test_other_costs_capital_and_leverage_are_those_of_the_backtest(tmp_path: Path) -> None:
    panel, strategies = wild_market(7, 300, scale=0.02), wild_strategies(7, 5)
    costs = CostModel(taker=1e-3, maker=5e-4, slippage=1.5e-3, slippage_noise=0.5, seed=9)
    setup = EvaluationSetup(costs=costs, capital=5_000.0, leverage=10.0, orders_per_bar=3.0)
    settings = settings_of(strategies, costs=costs.plain(), capital=5_000.0, leverage=10.0)
    take(tmp_path / "run", panel, settings)
    report = parity(tmp_path / "run", panel, strategies, setup)
    assert report.equal, report.to_plain()
    assert report.fills > 50
    assert not parity(tmp_path / "run", panel, strategies, SINGLE).equal


def stop_at_close(patch: pytest.MonkeyPatch) -> None:
    real = exchange_desk.Desk.take

    def take_later(self, book, order, market, price, *, resting):  # type: ignore[no-untyped-def]
        if order.kind == "stop" and market.within:
            price = market.low if order.sign < 0.0 else market.high
        real(self, book, order, market, price, resting=resting)

    patch.setattr(exchange_desk.Desk, "take", take_later)


def fee_on_one_side(patch: pytest.MonkeyPatch) -> None:
    real = exchange_desk.Desk._book

    def free(self, *args):  # type: ignore[no-untyped-def]
        costs = self.costs
        if args[2] < 0.0:
            self.costs = CostModel(0.0, 0.0, costs.slippage)
        try:
            return real(self, *args)
        finally:
            self.costs = costs

    patch.setattr(exchange_desk.Desk, "_book", free)


def stop_off_by_a_bar(patch: pytest.MonkeyPatch) -> None:
    real = matching.meet_range

    def blind(desk, book, market, high, low):  # type: ignore[no-untyped-def]
        fresh = [o for o in book.orders if o.kind in ("stop", "target") and o not in blind.seen]
        blind.seen += fresh
        for order in fresh:
            book.remove(order)
        real(desk, book, market, high, low)
        for order in fresh:
            book.add(order)

    blind.seen = []  # type: ignore[attr-defined]
    patch.setattr("genesis.exchange.paper.tape.meet_range", blind)


def funding_after_the_open(patch: pytest.MonkeyPatch) -> None:
    real, waiting = Tape.on_market, []

    def later(self, event):  # type: ignore[no-untyped-def]
        if event.type is T.FUNDING_DUE:
            waiting.append(event)
            return
        real(self, event)
        if event.type is T.BAR_OPENED:
            for due in waiting:
                real(self, due)
            waiting.clear()

    patch.setattr(Tape, "on_market", later)


@pytest.mark.parametrize(
    "mutant", [stop_at_close, fee_on_one_side, stop_off_by_a_bar, funding_after_the_open]
)
def test_an_exchange_with_a_classic_fault_is_told_from_the_right_one(
    mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    panel = wild_market(1, 200, scale=0.03, funding=1e-2)
    strategies = wild_strategies(1, 3, size=0.2)
    take(tmp_path / "right", panel, settings_of(strategies))
    assert parity(tmp_path / "right", panel, strategies).equal
    mutant(monkeypatch)
    take(tmp_path / "wrong", panel, settings_of(strategies))
    assert not parity(tmp_path / "wrong", panel, strategies).equal


# ---- stopped, killed, gone on with -----------------------------------------------------------


def test_a_run_that_was_stopped_often_is_one_that_was_not(tmp_path: Path) -> None:
    panel, strategies = wild_market(5, 80, symbols=2, scale=0.03), wild_strategies(5, 3)
    settings = settings_of(strategies)
    whole, _ = take(tmp_path / "a" / "run", panel, settings)
    sittings = 0
    for phases in (1, 2, 3, 5, 0, 41, 17, 100, 1):
        part, _ = take(tmp_path / "b" / "run", panel, settings, phases=phases)
        assert not part.finished
        assert part.phases == phases
        sittings += 1
    last, engine = take(tmp_path / "b" / "run", panel, settings)
    assert last.finished
    assert last.state_hash == whole.state_hash
    with EventReader(tmp_path / "b" / "run") as reader:
        assert reader.count([T.RUN_RESUMED]) == sittings
        found = [e.data for e in reader.events(types=[T.RECONCILED])]
    assert found
    assert all(one.differences == () for one in found)  # type: ignore[attr-defined]
    assert stored_fills(tmp_path / "b" / "run") == stored_fills(tmp_path / "a" / "run")
    assert stored_fills(tmp_path / "a" / "run"), "something was traded"
    assert engine.session.resumed


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_killed_run_loses_and_doubles_nothing(before: bool, every: int, tmp_path: Path) -> None:
    panel, strategies = wild_market(3, 45, scale=0.03), wild_strategies(3, 3)
    settings = settings_of(strategies)
    _, engine = take(tmp_path / "whole" / "run", panel, settings)
    wanted = stored_fills(tmp_path / "whole" / "run")
    books = engine.core.desk.ledger.plain()["accounts"]
    assert len(wanted) > 5
    commits, doubts = 1, 0
    while True:
        folder = tmp_path / str(commits) / "run"
        if not kill(engine_of(folder, panel, settings), commits, before=before):
            break
        outcome, again = take(folder, panel, settings)
        assert outcome.finished
        assert_books_are_the_exchange_s(folder, again)
        doubts += doubted(folder)
        if not doubted(folder):
            assert stored_fills(folder) == wanted, commits
            assert again.core.desk.ledger.plain()["accounts"] == books, commits
        commits += every
    assert commits > 100
    assert doubts < 0.05 * commits


def test_a_killed_run_of_parts_comes_back_as_itself(tmp_path: Path) -> None:
    panel = wild_market(3, 45, scale=0.03)
    options = DeploymentOptions(algorithm="twap", slices=3, spacing_ms=3_600_000)
    settings = settings_of(wild_strategies(3, 3), options=options)
    take(tmp_path / "whole" / "run", panel, settings)
    wanted = stored_fills(tmp_path / "whole" / "run")
    assert len(wanted) > 20
    commits, same = 3, 0
    while kill(engine_of(tmp_path / str(commits) / "run", panel, settings), commits, before=False):
        folder = tmp_path / str(commits) / "run"
        outcome, again = take(folder, panel, settings)
        assert outcome.finished
        assert_books_are_the_exchange_s(folder, again)
        if not doubted(folder):
            same += 1
            assert stored_fills(folder) == wanted, commits
        commits += 13
    assert same > 2


def test_a_phase_is_one_commit_however_many_events_it_has(tmp_path: Path) -> None:
    # The exchange saw all of it at once: a log that holds its consequences before the rest of it
    # would bring back another exchange.
    panel = wild_market(5, 4, symbols=300, missing=0.0)
    engine = engine_of(tmp_path / "run", panel, settings_of(wild_strategies(5, 1)))
    sizes, commit = [], engine.session.store.commit

    def counted(events, rows=()):  # type: ignore[no-untyped-def]
        sizes.append(sum(event.type is T.BAR_OPENED for event in events))
        commit(events, rows)

    engine.session.store.commit = counted  # type: ignore[method-assign]
    engine.run()
    opened = [int(sum(s.valid[bar] for s in panel.symbols)) for bar in range(panel.bars)]
    assert max(opened) > 256
    assert [size for size in sizes if size] == [count for count in opened if count]


def doubted(folder: Path) -> bool:
    """Whether an entry was given up, because nobody knew what became of an order before it."""
    with EventReader(folder) as reader:
        return any("UNKNOWN" in row["text"] for row in reader.rows("journal"))


def assert_books_are_the_exchange_s(folder: Path, engine: PaperTradingEngine) -> None:
    """Every fill of the exchange is booked, once, and nothing else is."""
    desk = engine.core.desk
    with EventReader(folder) as reader:
        booked = sorted((r["account"], r["venue_fill_id"]) for r in reader.rows("fills"))
    told, held = [], {}
    for account in desk.ledger.accounts:
        state = engine.exchange.account_state(account, 0)
        told += [(account, fill.fill_id) for fill in state.fills]
        held |= {(account, p.symbol): p.size for p in state.positions}
    assert booked == sorted(told)
    assert {(h.account, h.symbol): h.size for h in desk.ledger.positions()} == held


def test_a_run_that_is_killed_again_and_again_gets_there(tmp_path: Path) -> None:
    panel, strategies = wild_market(4, 40, symbols=2, scale=0.03), wild_strategies(4, 2)
    settings = settings_of(strategies)
    take(tmp_path / "whole" / "run", panel, settings)
    folder, sittings = tmp_path / "broken" / "run", 0
    while True:
        engine = engine_of(folder, panel, settings)
        if not kill(engine, 3 + sittings % 11, before=sittings % 2 == 0):
            break
        sittings += 1
        assert sittings < 400
    assert sittings > 20
    assert_books_are_the_exchange_s(folder, engine)
    assert len(stored_fills(folder)) > 5
    if not doubted(folder):
        assert stored_fills(folder) == stored_fills(tmp_path / "whole" / "run")


def test_many_deployments_survive_a_kill_among_their_first_events(tmp_path: Path) -> None:
    """More than one batch of them: what the first commit lacks is added by the next process."""
    panel, strategies = wild_market(6, 12, symbols=3), wild_strategies(6, 90)
    settings = settings_of(strategies)
    folder = tmp_path / "run"
    assert kill(engine_of(folder, panel, settings), 1, before=False)
    outcome, engine = take(folder, panel, settings)
    assert outcome.finished
    assert len(engine.core.desk.deployments) == 270
    with EventReader(folder) as reader:
        assert reader.count([T.DEPLOYMENT_ADDED]) == 270
        assert reader.count([T.RUN_STARTED]) == 1


def test_one_process_at_a_time(tmp_path: Path) -> None:
    panel, settings = wild_market(5, 20), settings_of(wild_strategies(5, 1))
    engine = engine_of(tmp_path / "run", panel, settings)
    with pytest.raises(RefusedError) as caught:
        engine_of(tmp_path / "run", panel, settings)
    assert caught.value.fix
    engine.run()
    engine_of(tmp_path / "run", panel, settings).session.close()


def test_other_bars_are_not_the_run_s(tmp_path: Path) -> None:
    settings = settings_of(wild_strategies(5, 1))
    take(tmp_path / "run", wild_market(5, 60), settings, phases=50)
    with pytest.raises(DataError) as caught:
        take(tmp_path / "run", wild_market(6, 60), settings)
    assert "are not those that the run was started with" in caught.value.why


def test_a_build_that_decides_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, settings = wild_market(5, 80), settings_of(wild_strategies(5, 2))
    engine = engine_of(tmp_path / "run", panel, settings)
    assert kill(engine, 120, before=True)
    plan = ExitPlanner.plan

    def other(self, deployment, signal):  # type: ignore[no-untyped-def]
        from msgspec.structs import replace

        return replace(plan(self, deployment, signal), stop_atr=77.0)

    monkeypatch.setattr(ExitPlanner, "plan", other)
    with pytest.raises(InfrastructureError) as caught:
        take(tmp_path / "run", panel, settings)
    assert "trade_intent differs" in caught.value.why
    monkeypatch.undo()
    outcome, _ = take(tmp_path / "run", panel, settings)
    assert outcome.finished


# ---- modes and options -----------------------------------------------------------------------


def test_a_testnet_is_not_for_the_replaying_engine(tmp_path: Path) -> None:
    settings = settings_of(wild_strategies(1, 1), mode=PaperMode.TESTNET)
    feed = PanelFeed(wild_market(1, 20))
    with pytest.raises(RefusedError):
        PaperTradingEngine(tmp_path, settings, feed, feed.instruments, build="t")
    assert list(tmp_path.iterdir()) == []


def test_execution_with_latency_is_the_same_every_time_and_not_the_backtest(
    tmp_path: Path,
) -> None:
    panel, strategies = wild_market(8, 200), wild_strategies(8, 2, size=0.3)
    execution = ExecutionModel(seed=3, capital=100_000.0).plain()
    settings = settings_of(strategies, mode=PaperMode.REPLAY, execution=execution)
    one, _ = take(tmp_path / "a" / "run", panel, settings)
    take(tmp_path / "b" / "run", panel, settings, phases=77)
    two, _ = take(tmp_path / "b" / "run", panel, settings)
    assert one.state_hash == two.state_hash
    report = parity(tmp_path / "a" / "run", panel, strategies)
    assert report.fills > 20
    assert report.price_error > 0.0
    assert report.size_error == 0.0, "it fills elsewhere, not otherwise"


@pytest.mark.parametrize("algorithm", ["twap", "iceberg"])
def test_runs_in_slices_can_be_stopped_too(algorithm: str, tmp_path: Path) -> None:
    panel, strategies = wild_market(9, 150), wild_strategies(9, 3, size=0.3)
    spacing = panel.interval_ms if algorithm == "twap" else 0
    options = DeploymentOptions(algorithm=algorithm, slices=3, spacing_ms=spacing)
    settings = settings_of(strategies, options=options)
    whole, engine = take(tmp_path / "a" / "run", panel, settings)
    for phases in (30, 61, 100):
        take(tmp_path / "b" / "run", panel, settings, phases=phases)
    parts, _ = take(tmp_path / "b" / "run", panel, settings)
    assert whole.state_hash == parts.state_hash
    fills = stored_fills(tmp_path / "a" / "run")
    assert fills == stored_fills(tmp_path / "b" / "run")
    assert len(fills) > 30
    with EventReader(tmp_path / "a" / "run") as reader:
        assert {row["algorithm"] for row in reader.rows("execution_groups")} >= {algorithm}
    for deployment in engine.core.desk.deployments.values():
        open_ = engine.core.desk.orders.open_orders(deployment=deployment.id)
        assert len([o for o in open_ if o.purpose in ("stop", "target")]) <= 2


def test_each_strategy_has_its_account_and_its_share(tmp_path: Path) -> None:
    panel, strategies = wild_market(5, 60, symbols=2), wild_strategies(5, 2)
    _, engine = take(tmp_path / "run", panel, settings_of(strategies, capital=50_000.0))
    desk = engine.core.desk
    assert set(desk.ledger.accounts) == {f"paper/{s.id}" for s in strategies}
    assert all(a.deposits == 50_000 for a in desk.ledger.accounts.values())
    assert {d.capital for d in desk.deployments.values()} == {25_000}
    assert len(desk.deployments) == 4


def test_what_a_person_puts_into_the_inbox_is_taken_once(tmp_path: Path) -> None:
    panel, settings = wild_market(5, 60), settings_of(wild_strategies(5, 2))
    folder = tmp_path / "run"
    take(folder, panel, settings, phases=20)
    Inbox(folder).send(OperatorCommand("CMD_1", "halt", "enough", "anna", {}), 1)
    take(folder, panel, settings, phases=20)
    assert Inbox(folder).pending() == []
    Inbox(folder).send(OperatorCommand("CMD_1", "halt", "enough", "anna", {}), 1)
    _, engine = take(folder, panel, settings)
    assert engine.core.desk.halts == {"run": "anna: enough"}
    with EventReader(folder) as reader:
        assert reader.count([T.OPERATOR_COMMAND]) == 1
