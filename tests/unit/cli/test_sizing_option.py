"""`genesis paper run --sizing`: what it refuses, what it changes, and where it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genesis.cli import paper_testnet
from genesis.domain.errors import InputError
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.strategy.strategy import Strategy
from genesis.system import live_paper
from tests.unit.cli.paper_homes import DATASET, Home, copy_of, paper_home, strategies
from tests.unit.cli.test_paper_command import refused

__all__ = ["paper_home"]


@pytest.fixture
def own(paper_home: Home, tmp_path: Path) -> Home:
    """The workspace, for a test that writes."""
    return copy_of(paper_home, tmp_path)


def stored(home: Home, **measures: float) -> Strategy:
    """Put the strategy into the store, with a backtest of it."""
    strategy = strategies()["trend"]
    store = StrategyStore(home.home / "strategies")
    store.put(StoredStrategy(strategy, measures=measures))
    return strategy


def events(home: Home, run: str, kind: str) -> list[dict[str, Any]]:
    words = ("events", "query", run, "--type", kind, "--limit", "5000", "--json")
    return [one["data"] for one in home.call(*words).json["events"]]


def entries(home: Home, run: str) -> list[dict[str, Any]]:
    return [one for one in events(home, run, "trade_intent") if one["scope"] == "NEW"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sizing", "kely"), ("kely", "kelly", "risk_parity")),
        (
            ("--sizing", "fixed", "--mode", "backtest-validation"),
            ("sizes of the backtest", "replay"),
        ),
        (("--sizing", "kelly"), ("win rate and payoff", "strat_", "stored")),
        (("--sizing", "evolved"), ("win rate and payoff", "another --sizing")),
    ],
)
def test_what_cannot_be_meant(
    paper_home: Home, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    refused(paper_home.run("bad", *words, "--json"), 2, *told)
    assert not (paper_home.home / "trading" / "bad").exists()


def test_a_resumed_run_keeps_its_sizing(paper_home: Home) -> None:
    words = ("paper", "run", "--resume", "whole", "--sizing", "fixed", "--json")
    refused(paper_home.call(*words), 2, "--resume cannot be combined with --sizing")


@pytest.mark.parametrize("command", ["paper", "live"])
def test_the_help_says_what_there_is(paper_home: Home, command: str) -> None:
    text = paper_home.call(command, "run", "--help").out
    assert "--sizing" in text
    assert all(word in text for word in ("volatility_adjusted", "risk_parity", "evolved"))


def test_sized_entries_are_smaller_and_it_is_told_why(own: Home) -> None:
    assert own.run("sized", "--sizing", "fixed", "--json").code == 0
    assert own.run("plain", "--json").code == 0
    for name, sizing in (("sized", "fixed"), ("plain", "strategy")):
        run = json.loads((own.home / "trading" / name / "run.json").read_text())
        assert run["settings"]["options"]["sizing"] == sizing
        added = events(own, name, "deployment_added")
        assert {one["options"]["sizing"] for one in added} == {sizing}
    asked = entries(own, "plain")
    assert all("sizing" not in one["size"] for one in asked)
    made = entries(own, "sized")
    assert len(made) > 10
    for one in made:
        assert one["size"]["method"] == "fixed"
        notional = float(one["size"]["size"]) * float(one["entry"]["reference"])
        assert notional == pytest.approx(0.05 * 100_000, rel=0.1)
        assert float(one["size"]["size"]) < float(one["size"]["wanted"])
        assert one["size"]["sizing"].startswith("5.00% of capital by fixed; ")
    plan = made[0]["causality"]["plan_id"]
    text = own.call("story", plan, "--run", "sized").out
    assert "sizing: 5.00% of capital by fixed; " in text
    assert own.call("replay", "sized", "--verify").code == 0


def test_what_is_not_sized_is_told_with_its_reason(own: Home) -> None:
    """The market of 240 bars is known from its 216th on."""
    assert own.run("early", "--sizing", "volatility_adjusted", "--json").code == 0
    gone = [o for o in events(own, "early", "opportunity_rejected") if o["stage"] == "sizing"]
    assert len(gone) > 5
    assert {one["reason"] for one in gone} == {"no size: an input is missing or impossible"}
    report = own.call("paper", "report", "early", "--json").json["paper"]
    told = [one for one in report["rejected"] if one["stage"] == "sizing"]
    assert [one["count"] for one in told] == [len(gone)]


def test_kelly_goes_by_the_backtest_of_the_record(own: Home) -> None:
    strategy = stored(own, win_rate=0.4, profit_factor=2.0)
    words = ("paper", "run", strategy.id, *DATASET, "--run", "kelly", "--sizing", "kelly", "--json")
    assert own.call(*words).code == 0
    for one in events(own, "kelly", "deployment_added"):
        assert one["options"]["win_rate"] == 0.4
        assert one["options"]["payoff"] == pytest.approx(3.0)
    first = entries(own, "kelly")[0]["size"]
    # A quarter of (3 * 0.4 - 0.6) / 3.
    assert first["sizing"].startswith("5.00% of capital by kelly")


def test_a_record_without_a_winning_backtest_is_none(own: Home) -> None:
    strategy = stored(own, win_rate=0.0, profit_factor=0.0)
    words = ("paper", "run", strategy.id, *DATASET, "--run", "none", "--json")
    refused(own.call(*words, "--sizing", "evolved"), 2, "no backtest of it", strategy.id)


@pytest.mark.parametrize("sizing", ["fixed", "kelly"])
def test_a_testnet_run_is_sized_too(
    own: Home, monkeypatch: pytest.MonkeyPatch, sizing: str
) -> None:
    """What would be begun; the exchange itself is another matter."""
    strategy, seen = stored(own, win_rate=0.4, profit_factor=2.0), []

    def begin(_: Any, settings: Any, *__: Any) -> Any:
        seen.append(settings)
        raise InputError("that is all")

    monkeypatch.setattr(live_paper, "start_live", begin)
    monkeypatch.setattr(paper_testnet, "read_key", lambda _: None)
    account = ("--account", "0x" + "ab" * 20, "--symbols", "SOL", "--interval", "1h")
    words = ("paper", "run", strategy.id, "-m", "testnet", *account, "--json")
    answer = own.call(*words, "--sizing", sizing)
    assert answer.error["what"] == "that is all", answer.out + answer.err
    (settings,) = seen
    assert settings.options.sizing == sizing
    assert settings.edges == {strategy.id: (0.4, pytest.approx(3.0))}
