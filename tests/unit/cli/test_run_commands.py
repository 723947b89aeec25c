"""Permits, re-arming, halts and status of a run: real runs in lock-step, through the inbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genesis.paper.engine import LOOK_EVERY, PaperOutcome, PaperTradingEngine
from genesis.paper.settings import PaperMode, PaperSettings, RiskSettings, write_settings
from genesis.risk.genome import GENES, RiskGenes, RiskGenome
from genesis.risk.manager import RiskProfile
from genesis.strategy.text import dump_strategy
from genesis.system.run_state import fold_run, risk_status
from genesis.trading.events import Event, EventType
from genesis.trading.feeds.synthetic import SimulatedMarket, SyntheticFeed
from genesis.trading.inbox import Inbox
from genesis.trading.payloads import (
    BreakerTripped,
    OperatorCommand,
    OrderSubmit,
    RiskAssessed,
    TradingHalted,
    TradingResumed,
)
from genesis.trading.store import EventReader
from tests.unit.cli.command_answers import call
from tests.unit.cli.paper_homes import strategies
from tests.unit.cli.test_paper_command import refused

RUN = "night"
BARS = 420
KNOWN = 3 * 230
"""Phases after which the market of a symbol is known."""
LOOSE = RiskGenome(RiskGenes(**{gene.name: gene.loosest for gene in GENES}))


class Trader:
    """A run that is taken in lock-step; what a test does at a phase happens beside it."""

    def __init__(self, home: Path, genome: RiskGenome, **more: Any) -> None:
        self.home, self.folder = home, home / "trading" / RUN
        self.settings = self.made(genome, **more)
        self.folder.mkdir(parents=True)
        write_settings(self.folder, self.settings, {"synchronous": "OFF"})

    @staticmethod
    def made(
        genome: RiskGenome, profile: RiskProfile = RiskProfile.ENFORCE, count: int = 1
    ) -> PaperSettings:
        return PaperSettings(
            mode=PaperMode.SIMULATION,
            strategies=tuple(dump_strategy(one) for one in list(strategies().values())[:count]),
            market={},
            risk=RiskSettings(profile=profile, genome=genome.plain()),
        )

    def run(
        self, acts: dict[int, Callable[[], object]] | None = None, until: int | None = None
    ) -> PaperOutcome:
        """Trade; at a phase an act is done, and `until` one the run is stopped."""
        taken = 0

        def told(phases: int) -> None:
            nonlocal taken
            taken = phases
            if acts and phases in acts:
                acts[phases]()

        feed = SyntheticFeed(SimulatedMarket(("SYN1",), "1h", seed=4, bars=BARS), 0)
        engine = PaperTradingEngine(
            self.folder, self.settings, feed, feed.instruments, build="test", synchronous="OFF"
        )
        return engine.run(lambda: until is not None and taken >= until, told)

    def call(self, *words: str) -> Any:
        """Answer of a command line that does not wait for the loop."""
        return call(self.home, *words, "--wait", "0", "--json")

    def events(self, *types: EventType) -> list[Event]:
        with EventReader(self.folder) as reader:
            return list(reader.events(types=types))

    def account(self) -> str:
        return fold_run(self.folder).account("")


def answered(answers: list[Any], ask: Callable[[], Any]) -> Callable[[], object]:
    return lambda: answers.append(ask())


# ---- permits -----------------------------------------------------------------------------------


def test_a_permit_lets_new_risk_through_for_its_time(tmp_path: Path) -> None:
    trader = Trader(tmp_path, LOOSE.replace(high_volatility=0.5))
    answers: list[Any] = []
    words = ("risk", "permit", RUN, "--for", "24h", "--reason", "spreads are fine")
    trader.run({KNOWN: answered(answers, lambda: trader.call(*words))})
    (answer,) = answers
    assert answer.code == 0, answer.out + answer.err
    assert (answer.json["done"], answer.json["profile"]) == (False, "enforce")
    (sent,) = trader.events(EventType.OPERATOR_COMMAND)
    assert isinstance(sent.data, OperatorCommand)
    assert (sent.data.command, sent.data.reason) == ("permit", "spreads are fine")
    assert sent.data.command_id == answer.json["command"]
    assert sent.data.arguments == {
        "account": answer.json["account"]["account"],
        "for_ms": 86_400_000,
    }
    assert Inbox(trader.folder).pending() == []
    at_high = [
        (one.recorded_ms, one.data)
        for one in trader.events(EventType.RISK_ASSESSED)
        if isinstance(one.data, RiskAssessed) and one.data.level == "HIGH"
    ]
    inside = [
        data for at, data in at_high if sent.recorded_ms <= at < sent.recorded_ms + 86_400_000
    ]
    outside = [
        data for at, data in at_high if not sent.recorded_ms <= at < sent.recorded_ms + 86_400_000
    ]
    assert inside, "it asks again as soon as it may"
    assert len(outside) > 20
    assert all(one.permitted_by and one.approved for one in inside)
    assert not any(one.approved for one in outside)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--for", "25h", "--reason", "x"), ("24h", "25h")),
        (("--for", "0m", "--reason", "x"), ("0m",)),
        (("--for", "long", "--reason", "x"), ("long", "30s")),
        (("--for", "1h"), ("no reason", "--reason")),
        (("--for", "1h", "--reason", " "), ("no reason",)),
        (("--for", "1h", "--reason", "x", "--account", "paper/x"), ("paper/x", "--account")),
    ],
)
def test_permits_that_cannot_be_given(
    tmp_path: Path, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    trader = Trader(tmp_path, LOOSE)
    trader.run(until=LOOK_EVERY)
    refused(trader.call("risk", "permit", RUN, *words), 2, *told)
    assert Inbox(trader.folder).pending() == []


def test_an_account_has_to_be_named_where_there_are_several(tmp_path: Path) -> None:
    trader = Trader(tmp_path, LOOSE, count=2)
    trader.run(until=LOOK_EVERY)
    words = ("risk", "permit", "nig", "--for", "24h", "--reason", "x")
    refused(trader.call(*words), 2, "which account", "--account")
    first, second = fold_run(trader.folder).accounts
    answer = trader.call(*words, "--account", second.removeprefix("paper/"))
    assert answer.json["account"]["account"] == second != first
    assert answer.json["account"]["permit"] is None, "it waits: the loop is not running"
    trader.run(until=1)
    status = call(tmp_path, "risk", "status", "--json").json["risk"]
    assert [one["permit"] is not None for one in status["accounts"]] == [False, True]


# ---- re-arming ---------------------------------------------------------------------------------


def test_a_person_re_arms_what_an_emergency_stopped(tmp_path: Path) -> None:
    trader = Trader(tmp_path, LOOSE.replace(total_drawdown=0.01))
    answers: list[Any] = []

    def held() -> None:
        answers.append(call(tmp_path, "risk", "status", RUN, "--json").json["risk"])
        words = ("risk", "rearm", RUN, "total-drawdown", "--reason", "cause found")
        answers.append(trader.call(*words))

    trader.run({3 * 320: held})
    status, answer = answers
    (account,) = status["accounts"]
    assert account["level"] == "EMERGENCY"
    assert [one["breaker"] for one in account["breakers"]] == ["total_drawdown"]
    assert account["breakers"][0]["until_ms"] is None
    assert f"account:{account['account']}" in status["halts"]
    assert answer.code == 0, answer.out
    (sent,) = trader.events(EventType.OPERATOR_COMMAND)
    tripped = [
        one.seq
        for one in trader.events(EventType.BREAKER_TRIPPED)
        if isinstance(one.data, BreakerTripped) and one.data.breaker == "total_drawdown"
    ]
    (lifted,) = trader.events(EventType.TRADING_RESUMED)
    assert lifted.caused_by == sent.seq
    entries = [
        one.seq
        for one in trader.events(EventType.ORDER_SUBMIT)
        if isinstance(one.data, OrderSubmit) and not one.data.order.reduce_only
    ]
    assert not [seq for seq in entries if tripped[0] < seq < sent.seq]
    assert [seq for seq in entries if seq > sent.seq], "it trades again"


@pytest.mark.parametrize(
    ("breaker", "told"),
    [
        ("total_drawdwn", ("total_drawdwn", "did you mean", "total_drawdown")),
        ("weekly_drawdown", ("armed", "nothing to re-arm", "total_drawdown")),
    ],
)
def test_a_breaker_that_does_not_hold_is_named(
    tmp_path: Path, breaker: str, told: tuple[str, ...]
) -> None:
    trader = Trader(tmp_path, LOOSE.replace(total_drawdown=0.01))
    trader.run(until=3 * 320)
    answer = trader.call("risk", "rearm", RUN, breaker, "--reason", "x")
    refused(answer, 2, *told)
    assert Inbox(trader.folder).pending() == []


# ---- halts -------------------------------------------------------------------------------------


def test_a_halt_opens_nothing_new_until_it_is_lifted(tmp_path: Path) -> None:
    trader = Trader(tmp_path, LOOSE)
    answers: list[Any] = []
    halt = ("live", "halt", RUN, "--reason", "maintenance")
    go_on = ("live", "resume", RUN, "--reason", "over")
    trader.run(
        {
            KNOWN: answered(answers, lambda: trader.call(*halt)),
            KNOWN + 300: answered(answers, lambda: trader.call(*go_on)),
        }
    )
    assert [one.code for one in answers] == [0, 0]
    assert "maintenance" in answers[1].json["halts"]["run"], "the loop has not taken the second yet"
    (halted,), (lifted,) = (
        trader.events(EventType.TRADING_HALTED),
        trader.events(EventType.TRADING_RESUMED),
    )
    assert isinstance(halted.data, TradingHalted)
    assert isinstance(lifted.data, TradingResumed)
    assert halted.data.scope == lifted.data.scope == "run"
    entries = [
        one.seq
        for one in trader.events(EventType.ORDER_SUBMIT)
        if isinstance(one.data, OrderSubmit) and not one.data.order.reduce_only
    ]
    assert [seq for seq in entries if seq < halted.seq]
    assert not [seq for seq in entries if halted.seq < seq < lifted.seq]
    assert [seq for seq in entries if seq > lifted.seq]


def test_scopes_are_those_of_the_run(tmp_path: Path) -> None:
    trader = Trader(tmp_path, LOOSE)
    trader.run(until=LOOK_EVERY)
    words = ("--reason", "x", "--scope")
    refused(
        trader.call("live", "halt", RUN, *words, "symbol:SYN9"), 2, "symbol:SYN9", "symbol:SYN1"
    )
    refused(trader.call("live", "resume", RUN, *words, "run"), 2, "not halted", "nothing is")
    assert trader.call("live", "halt", RUN, *words, "symbol:SYN1").code == 0
    trader.run(until=1)
    refused(trader.call("live", "resume", RUN, *words, "run"), 2, "symbol:SYN1", "--scope")
    assert trader.call("live", "resume", RUN, *words, "symbol:SYN1").code == 0


# ---- runs that take no command -----------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("risk", "permit", RUN),
        ("risk", "rearm", RUN, "rapid_loss"),
        ("live", "halt", RUN),
        ("live", "resume", RUN),
    ],
)
def test_a_finished_run_takes_no_command(tmp_path: Path, words: tuple[str, ...]) -> None:
    trader = Trader(tmp_path, LOOSE)
    trader.run(until=LOOK_EVERY)
    (trader.folder / "result.json").write_text("{}")
    refused(trader.call(*words, "--reason", "x"), 2, "finished")
    absent = [*words[:2], "nobody", *words[3:]]
    refused(trader.call(*absent, "--reason", "x"), 2, "nobody")
    refused(trader.call(*words[:2], "", *words[3:], "--reason", "x"), 2, "no run is named")
    assert Inbox(trader.folder).pending() == []


# ---- status ------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", list(RiskProfile))
def test_a_folded_run_is_the_run(
    tmp_path: Path, profile: RiskProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader = Trader(tmp_path, RiskGenome(), profile=profile)
    outcome = trader.run(until=3 * 300)
    found = fold_run(trader.folder)
    assert found.core.state_hash == outcome.state_hash
    assert (found.seq, found.differs) == (outcome.events, False)
    told = risk_status(found)
    monkeypatch.setattr(EventReader, "latest_snapshot", lambda *_: None)
    assert risk_status(fold_run(trader.folder)) == told, "with and without a snapshot"
    assert told["profile"] == profile.value
    head = trader.events(EventType.BAR_CLOSED)[-1]
    assert told["ts_ms"] >= head.recorded_ms
    (account,) = told["accounts"]
    limits = {row["name"]: row["limit"] for row in account["measures"]}
    assert limits["daily_drawdown"] == RiskGenes().daily_drawdown
    state = found.core.guard.book.accounts[account["account"]]
    falls = {row["name"]: row["value"] for row in account["measures"]}
    assert falls["total_drawdown"] == pytest.approx(1.0 - state.equity / state.peak)
    json.dumps(told, allow_nan=False)


def test_a_run_that_goes_on_is_folded_from_its_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader = Trader(tmp_path, RiskGenome())
    stopped = trader.run(until=3 * 250)
    seen = []

    def look() -> None:
        seen.append(fold_run(trader.folder))
        with monkeypatch.context() as patch:
            patch.setattr(EventReader, "latest_snapshot", lambda *_: None)
            seen.append(fold_run(trader.folder))

    trader.run({90: look}, until=90)
    behind, whole = seen
    assert behind.seq > stopped.events + 150, "since the snapshot that the stop left"
    assert (behind.seq, behind.differs) == (whole.seq, False)
    assert behind.core.state_hash == whole.core.state_hash


def test_looking_leaves_no_trace(tmp_path: Path) -> None:
    trader = Trader(tmp_path, RiskGenome())
    trader.run(until=3 * 300)
    before = {p.name: p.read_bytes() for p in trader.folder.iterdir() if p.is_file()}
    answer = call(tmp_path, "risk", "status", RUN)
    assert answer.code == 0, answer.err
    assert "nobody trades it now" in answer.out
    assert "max_gross" in answer.out
    after = {p.name: p.read_bytes() for p in trader.folder.iterdir() if p.is_file()}
    assert {n: b for n, b in after.items() if n in before} == before
