"""How a live run comes to its sizing, and what a strategy's record says of its edge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from genesis.decision.stages import Target
from genesis.domain.errors import InputError
from genesis.domain.instrument import Instrument
from genesis.domain.timeline import HOUR_MS
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.paper.beginning import deployments_added
from genesis.paper.settings import PaperMode, PaperSettings, write_settings
from genesis.strategy.language import Market
from genesis.strategy.strategy import NEVER, PolicyParams, Rules, Strategy
from genesis.system.live import last_run, live_run_settings
from genesis.system.sizing import edge_of, ended_by_sizing, kept_sizing
from genesis.system.workspace import Workspace
from genesis.trading.core import TradingCore
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.payloads import DeploymentAdded
from tests.unit.system.test_limits import ACCOUNT, Desk, facts_on, settings, write


def going(sizing: str) -> PaperSettings:
    return msgspec.structs.replace(settings(), options=DeploymentOptions(sizing=sizing))


def test_a_run_keeps_its_sizing_unless_another_is_asked_for() -> None:
    assert kept_sizing("", None) == ("strategy", "")
    assert kept_sizing("", (Path("r"), going("strategy"))) == ("strategy", "")
    sizing, note = kept_sizing("", (Path("r"), going("fixed")))
    assert sizing == "fixed"
    assert "as in run r; --sizing strategy" in note
    assert kept_sizing("kelly", (Path("r"), going("fixed"))) == ("kelly", "")
    with pytest.raises(InputError, match="fixd"):
        kept_sizing("fixd", None)
    assert ended_by_sizing(going("fixed"), "fixed") == ""
    assert ended_by_sizing(going("fixed"), "") == ""
    assert "by kelly now, not by fixed" in ended_by_sizing(going("fixed"), "kelly")


@pytest.mark.parametrize(
    ("asked", "why", "begun"),
    [
        ("", "max_gross 3 to 2", ["fixed"]),
        ("fixed", "max_gross 3 to 2", ["fixed"]),
        ("strategy", "max_gross 3 to 2", ["strategy"]),
    ],
)
def test_the_next_live_run_has_the_sizing_of_the_one_before_unless_another_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, why: str, begun: list[str]
) -> None:
    desk = Desk(monkeypatch, going("fixed"))
    write(tmp_path, max_gross=2.0)
    desk.run(tmp_path, sizing=asked)
    assert why in desk.ended[0]
    assert desk.sizings == begun


def kept(home: Path, name: str, sizing: str, began_ms: int, *, over: bool) -> None:
    """A live run of the account, as an earlier process left it."""
    folder = home / "trading" / name
    folder.mkdir(parents=True)
    facts = {**facts_on("local"), "accounts": {"live": ACCOUNT}, "trade_from_ms": began_ms}
    made = msgspec.structs.replace(going(sizing), mode=PaperMode.LIVE, market=facts)
    write_settings(folder, made, {})
    (folder / "events.db").write_bytes(b"a log")
    if over:
        (folder / "result.json").write_text("{}")


@pytest.mark.parametrize(
    ("asked", "begun"), [("", "fixed"), ("strategy", "strategy"), ("kelly", "kelly")]
)
def test_a_process_that_begins_anew_keeps_the_sizing_of_the_run_that_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, begun: str
) -> None:
    kept(tmp_path, "live-1-2", "fixed", 30, over=True)
    kept(tmp_path, "live-1-10", "strategy", 20, over=True)
    kept(tmp_path, "live-0", "strategy", 10, over=True)
    desk = Desk(monkeypatch, None)
    desk.run(tmp_path, sizing=asked)
    assert desk.sizings == [begun]
    assert any("as in run live-1-2" in line for line in desk.told) is (asked == "")
    kept(tmp_path, "live-2", "risk_parity", 5, over=False)
    monkeypatch.undo()
    found = last_run(Workspace(tmp_path), ACCOUNT.lower())
    assert found is not None
    assert found[0].name == "live-2", "what goes on comes first"


def test_a_live_run_ends_before_one_with_another_sizing_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(monkeypatch, going("fixed"))
    desk.run(tmp_path, sizing="fixed")
    assert (desk.ended, desk.sizings) == ([""], [])
    desk.going_on = going("fixed")
    desk.run(tmp_path, sizing="kelly")
    assert "by kelly now, not by fixed" in desk.ended[1]
    assert desk.sizings == ["kelly"]
    with pytest.raises(InputError, match="fixd"):
        desk.run(tmp_path, sizing="fixd")


def test_a_live_run_knows_the_edge_of_what_it_trades(tmp_path: Path) -> None:
    record = StoredStrategy(
        Strategy(Rules(Market().close > 1.0, NEVER), PolicyParams()),
        dataset="synth:SOL:1h",
        measures={"win_rate": 0.4, "profit_factor": 2.0},
    )
    workspace = Workspace(tmp_path).open()
    StrategyStore(workspace.strategies).put(record)
    deployed: Any = SimpleNamespace(
        id="DEP_1", strategy=record.id, symbols=("SOL",), capital=1_000, stage="canary",
        dossier_hash="d", target=Target.LOOPBACK, account="0xab",
    )  # fmt: skip
    for sizing, edges in (("kelly", {record.id: (0.4, pytest.approx(3.0))}), ("strategy", {})):
        made = live_run_settings(workspace, [deployed], 10**12, "", None, sizing)
        assert made.options.sizing == sizing
        assert made.edges == edges
        name = f"{record.id}/SOL"
        desk, coin = TradingCore("r", made.risk_manager()).desk, Instrument("SOL", "SOL")
        (event,) = deployments_added(made, desk, ["SOL"], lambda _, coin=coin: coin, HOUR_MS, 0)
        added = event.data
        assert isinstance(added, DeploymentAdded)
        assert added.deployment == name
        prior = edges.get(record.id, (0.0, 0.0))
        assert (added.options["win_rate"], added.options["payoff"]) == prior
    bare = replace(
        record, strategy=Strategy(Rules(Market().close > 2.0, NEVER), PolicyParams()), measures={}
    )
    StrategyStore(workspace.strategies).put(bare)
    deployed.strategy = bare.id
    with pytest.raises(InputError, match="win rate and payoff"):
        live_run_settings(workspace, [deployed], 10**12, "", None, "evolved")


def test_an_edge_is_read_from_win_rate_and_profit_factor() -> None:
    win_rate, payoff = edge_of({"win_rate": 0.4, "profit_factor": 1.5}) or (0.0, 0.0)
    assert win_rate == 0.4
    # Forty wins of 2.25 earn one and a half times what sixty losses of 1 lose.
    assert payoff == pytest.approx(2.25)
    for measures in (
        {},
        {"win_rate": 0.4},
        {"win_rate": 1.0, "profit_factor": 1000.0},
        {"win_rate": 0.0, "profit_factor": 0.0},
        {"win_rate": 0.5, "profit_factor": None},
        {"win_rate": 0.5, "profit_factor": float("inf")},
    ):
        assert edge_of(measures) is None
