"""`genesis decide` and `genesis review`: facts, what is recorded, what is done, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.decision.operations import OperationsLog, read_operations
from genesis.decision.rules import KINDS, SHIPPED
from genesis.domain.errors import RefusedError
from genesis.domain.timeline import DAY_MS, HOUR_MS
from genesis.system.clock import SystemClock
from genesis.trading.kill_latch import KillLatch
from tests.e2e.command_line import Answer
from tests.unit.cli.command_answers import call
from tests.unit.cli.paper_homes import DATASET, Home, copy_of, paper_home, strategies
from tests.unit.decision.operation_samples import decided
from tests.unit.trading.event_samples import HandClock

__all__ = ["paper_home"]

TREND, COUNTER = (strategies()[name].id for name in ("trend", "counter"))


@pytest.fixture
def own(paper_home: Home, tmp_path: Path) -> Home:
    """The workspace, for a test that writes."""
    return copy_of(paper_home, tmp_path)


def facts(folder: Path, **account: float | None) -> str:
    """File with facts of now."""
    now = SystemClock().now_ms()
    known: dict[str, float | None] = {"capital": 1e4, "strategies": 8, "average_sharpe": 1.0}
    known |= {"daily_return": 0.0, "weekly_return": 0.0, "drawdown": 0.0}
    market = {"volatility": 0.02, "correlation": 0.5, "volume_ratio": 1.0}
    context = {"as_of_ms": now, "data_ms": now, "market": market, "account": known | account}
    path = folder / "facts.json"
    path.write_text(json.dumps({"schema": 1, "context": context}))
    return str(path)


def refused(answer: Answer, code: int, *words: str) -> None:
    assert answer.code == code, answer.out + answer.err
    assert "Traceback" not in answer.out + answer.err
    told = " ".join(str(answer.error[key]) for key in ("what", "why", "fix"))
    for word in words:
        assert word in told, told


# ---- decide ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_is_decided_on_a_stored_run(paper_home: Home, kind: str) -> None:
    strategy = ("--strategy", TREND) if kind == "new_strategy_approval" else ()
    answer = paper_home.call("decide", kind, *strategy, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    told = answer.json
    assert (told["kind"], told["recorded"], told["ok"]) == (kind, False, True)
    assert told["context"]["source"] == "whole"
    assert told["reasons"]
    assert told["error"] == ""
    # Nobody has backtested this strategy: that alone is missing.
    missing = kind == "new_strategy_approval"
    assert bool(told["missing"]) == missing, told["missing"]


def test_a_dry_run_leaves_no_trace(own: Home) -> None:
    before = sorted(str(path) for path in own.home.rglob("*"))
    assert own.call("decide", "emergency_shutdown", "--dry-run").code == 0
    assert own.call("decide", "emergency_shutdown").code == 0  # bars of another time
    assert sorted(str(path) for path in own.home.rglob("*")) == before


def test_a_run_of_stored_bars_is_not_of_now(own: Home) -> None:
    told = own.call("decide", "risk_adjustment", "--json").json
    assert (told["recorded"], told["decision"]) == (False, "")
    assert "--record" in told["note"]
    told = own.call("decide", "risk_adjustment", "--record", "--json").json
    assert told["recorded"] is True
    state = read_operations(own.home)
    assert state.in_force["risk_adjustment", ""].value == told["value"]


def test_an_approval_is_about_one_strategy_and_is_recorded(own: Home) -> None:
    told = own.call("decide", "new_strategy_approval", "--json").json
    assert told["strategy"] == TREND  # the only one of the run
    mode = ("--mode", "backtest-validation", "--run", "both", "--json")
    both = own.call("paper", "run", own.file("trend"), own.file("counter"), *DATASET, *mode)
    assert both.code == 0, both.err
    answer = own.call("decide", "new_strategy_approval", "--json")
    refused(answer, 2, "one strategy", TREND, COUNTER)
    told = own.call("decide", "new_strategy_approval", "--strategy", TREND[:12], "--json").json
    assert (told["recorded"], told["strategy"], told["acts"]) == (True, TREND, False)
    refused(own.call("decide", "new_strategy_approval", "--strategy", "x", "--json"), 2, "no strat")
    both = own.call("decide", "new_strategy_approval", "--strategy", "strat", "--json")
    refused(both, 2, "several")
    account = own.call("decide", "risk_adjustment", "--strategy", TREND, "--json")
    refused(account, 2, "whole account")


def test_a_run_whose_log_was_deleted_or_emptied_is_told_with_a_remedy(own: Home) -> None:
    folder = next((own.home / "trading").iterdir())
    line = ("decide", "new_strategy_approval", "--strategy", TREND, "--from-run", folder.name)
    (folder / "events.db").write_bytes(b"")
    refused(own.call(*line, "--json"), 3, f"the log of {folder.name}", "no event store", "restore")
    (folder / "events.db").unlink()
    refused(own.call(*line, "--json"), 2, "its log events.db is missing", "read from its log alone",
            "restore")  # fmt: skip
    assert read_operations(own.home).decisions == {}


def test_a_file_of_facts_is_on_record_as_one_whatever_it_says(own: Home, tmp_path: Path) -> None:
    path = str(tmp_path / "facts.json")
    kind = ("new_strategy_approval", "--strategy", TREND)
    real = own.call("decide", *kind, "--context-out", path, "--json").json
    forged = own.call("decide", *kind, "--context", path, "--json").json
    rows = read_operations(own.home).decisions
    assert rows[real["decision"]].source == "whole"
    log = rows[real["decision"]].log
    assert log is not None
    assert (log.run, log.head) == ("whole", real["context"]["log"]["head"])
    assert (rows[forged["decision"]].source, rows[forged["decision"]].log) == (f"file:{path}", None)
    assert own.call("review", "show", forged["decision"], "--json").json["replays"] is True


def test_facts_can_be_written_and_read_again(own: Home, tmp_path: Path) -> None:
    path = str(tmp_path / "facts.json")
    first = own.call("decide", "risk_adjustment", "--context-out", path, "--json").json
    again = own.call("decide", "risk_adjustment", "--context", path, "--dry-run", "--json").json
    said, known = again["context"], first["context"]
    assert (said.pop("source"), known.pop("source")) == (f"file:{path}", "whole")
    assert known.pop("log")["run"] == "whole"
    assert said == known
    assert again["value"] == first["value"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["cannot read"]),
        ("{", ["not valid JSON"]),
        ("{}", ["no context file"]),
        ('{"schema": 1, "context": {}}', ["as_of_ms"]),
        ('{"schema": 1, "context": {"as_of_ms": 1, "acount": {}}}', ["acount"]),
        ('{"schema": 1, "context": {"as_of_ms": 1, "account": {"capital": "1"}}}', ["capital"]),
        (
            '{"schema": 1, "context": {"as_of_ms": 1, "strategies": {"a": {"series":'
            ' {"started_day": 1, "first_day": 1, "equity": [0.0]}}}}}',
            ["same length"],
        ),
    ],
)
def test_bad_facts_are_refused(tmp_path: Path, content: str | None, words: list[str]) -> None:
    path = tmp_path / "facts.json"
    if content is not None:
        path.write_text(content)
    answer = call(tmp_path / "home", "decide", "risk_adjustment", "--context", str(path), "--json")
    refused(answer, 2, *words)


def test_options_that_contradict_each_other_are_refused(own: Home, tmp_path: Path) -> None:
    file = facts(tmp_path)
    both = own.call("decide", "risk_adjustment", "--context", file, "--from-run", "whole", "--json")
    refused(both, 2, "both")
    dry = own.call("decide", "risk_adjustment", "--dry-run", "--record", "--json")
    refused(dry, 2, "contradict")
    refused(own.call("decide", "risk_adjustment", "--from-run", "nope", "--json"), 2, "nope")
    assert own.call("decide", "risk_adjustmnt").code == 2


@pytest.mark.parametrize("text", ["", "schema: 1", "schema: ["])
def test_without_valid_rules_nothing_is_decided(own: Home, tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    answer = own.call("decide", "risk_adjustment", "--rules", str(path), "--json")
    refused(answer, 2, str(path))
    missing = own.call("decide", "risk_adjustment", "--rules", str(path) + "x", "--json")
    refused(missing, 2, "cannot read the decision rules")


def test_rules_of_ones_own(own: Home, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    text = SHIPPED.read_text().replace("name: default", "name: mine")
    path.write_text(
        text.replace("high_volatility: 0.05       # of", "high_volatility: 0.0001 # of")
    )
    told = own.call("decide", "risk_adjustment", "--rules", str(path), "--json").json
    assert told["value"] == {"size_factor": 1.0}


# ---- shutdown --------------------------------------------------------------------------------


def test_a_shutdown_kills_first_and_is_reviewed_later(tmp_path: Path) -> None:
    home = tmp_path / "home"
    file = facts(tmp_path, daily_return=-0.051, weekly_return=None)
    told = call(home, "decide", "emergency_shutdown", "--context", file, "--json").json
    assert (told["action"], told["acts"], told["review"]) == ("shutdown", True, "after")
    assert "the kill latch is set" in told["done"][0]
    assert "loss of a day" in KillLatch(home).closed()
    state = read_operations(home)
    assert state.kill_of("anything") is not None
    hold = state.hold_of("strat_x")
    assert hold is not None
    # It is late from the start, and can be reviewed all the same.
    rows = call(home, "review", "list", "--json").json["reviews"]
    assert [(row["decision"], row["late"]) for row in rows] == [(told["decision"], True)]
    answer = call(home, "review", "reject", told["decision"], "--reason", "bad feed", "--json")
    assert answer.code == 0
    assert read_operations(home).hold_of("strat_x") is None
    assert KillLatch(home).closed()  # only a person who re-arms takes it away


def test_a_shutdown_kills_although_another_command_holds_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    file = facts(tmp_path, drawdown=0.2)
    defaults = OperationsLog.open.__func__.__kwdefaults__  # type: ignore[attr-defined]
    monkeypatch.setitem(defaults, "wait_s", 0.05)
    with OperationsLog.open(home, SystemClock()):
        answer = call(home, "decide", "emergency_shutdown", "--context", file, "--json")
        refused(answer, 3, "another command holds")
        assert KillLatch(home).closed()


def test_no_shutdown_leaves_no_latch_and_a_doubt_holds_without_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    told = call(home, "decide", "emergency_shutdown", "--context", facts(tmp_path), "--json").json
    assert (told["action"], told["done"]) == ("continue", [])
    file = facts(tmp_path, drawdown=None)
    told = call(home, "decide", "emergency_shutdown", "--context", file, "--json").json
    assert (told["action"], told["acts"], told["holds"]) == ("shutdown", False, ["all"])
    assert KillLatch(home).closed() == ""
    # Whoever approves it, kills.
    call(home, "review", "approve", told["decision"], "--reason", "no data since noon")
    assert "no data since noon" in KillLatch(home).closed()


# ---- retirement ------------------------------------------------------------------------------


def test_a_retirement_ends_the_deployments_of_its_strategies(own: Home) -> None:
    made = _register(own, TREND)
    told = own.call("decide", "strategy_retirement", "--record", "--json").json
    assert told["value"]["retire"] == [TREND]
    assert told["done"] == [f"{made} was candidate and is retired"]
    state = read_operations(own.home)
    assert state.deployments[made].stage == "retired"
    again = own.call("decide", "strategy_retirement", "--record", "--json").json
    assert again["done"] == []


@contextmanager
def busy_after(monkeypatch: pytest.MonkeyPatch, sittings: int) -> Iterator[None]:
    """Another command holds the log, once there were some sittings at it."""
    real = OperationsLog.open.__func__  # type: ignore[attr-defined]
    count = 0

    def opened(cls: Any, home: Path, clock: Any, **more: Any) -> OperationsLog:
        nonlocal count
        count += 1
        if count > sittings:
            raise RefusedError("another command holds the log of operations")
        return real(cls, home, clock, **more)

    with monkeypatch.context() as patch:
        patch.setattr(OperationsLog, "open", classmethod(opened))
        yield


def test_a_retirement_that_found_the_log_busy_is_told_and_made_up_for(
    own: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _register(own, TREND)
    with busy_after(monkeypatch, 1):
        answer = own.call("decide", "strategy_retirement", "--record", "--json")
        refused(answer, 3, "decided and not carried out", made, "another command holds")
        refused(own.call("retire", TREND, "--reason", "x", "--json"), 3, "another command holds")
    assert read_operations(own.home).deployments[made].stage == "candidate"
    # Whatever is written next carries it out first, even if it is refused itself.
    answer = own.call("promote", TREND, "--to", "canary", "--account", "0x" + "ab" * 20,
                      "--target", "testnet")  # fmt: skip
    assert answer.code == 2  # the strategy of this test is in no store
    assert f"{made} was candidate and is retired" in answer.err
    row = read_operations(own.home).deployments[made]
    assert row.stage == "retired"
    again = own.call("decide", "strategy_retirement", "--record", "--json").json
    assert again["done"] == []


def test_a_command_that_decides_finishes_what_the_last_one_could_not(
    own: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _register(own, TREND)
    with busy_after(monkeypatch, 1):
        own.call("decide", "strategy_retirement", "--record", "--json")
    kind = ("new_strategy_approval", "--strategy", TREND)
    told = own.call("decide", *kind, "--json").json
    assert told["done"] == [f"{made} was candidate and is retired"]


def test_a_retirement_that_is_rejected_before_it_was_carried_out_is_not_carried_out(
    own: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _register(own, TREND)
    with busy_after(monkeypatch, 1):
        own.call("decide", "strategy_retirement", "--record", "--json")
    (row,) = read_operations(own.home).open_reviews()
    told = own.call("review", "reject", row.decision, "--reason", "wrong data", "--json").json
    assert told["done"] == []
    assert read_operations(own.home).deployments[made].stage == "candidate"


def test_what_was_registered_after_a_retirement_is_not_its_business(own: Home) -> None:
    assert own.call("decide", "strategy_retirement", "--record", "--json").json["done"] == []
    made = _register(own, TREND)
    told = own.call("decide", "new_strategy_approval", "--strategy", TREND, "--json").json
    assert told["done"] == []
    assert read_operations(own.home).deployments[made].stage == "candidate"


def _register(own: Home, strategy: str) -> str:
    from genesis.decision.ports import Wish
    from genesis.decision.stages import Target
    from genesis.system.promotion import deployment_manager
    from genesis.system.workspace import Workspace

    wish = Wish(strategy, "0x" + "ab" * 20, Target.TESTNET, ("SYN1",), Decimal(1000))
    return deployment_manager(Workspace(own.home)).register(wish, "ann").id


# ---- reviews ---------------------------------------------------------------------------------


def pending(home: Path, age_ms: int = 0, **changes: Any) -> str:
    """A decision that waits, made some time ago."""
    then = SystemClock().now_ms() - age_ms
    with OperationsLog.open(home, HandClock(then)) as log:
        name = log.new_id("DEC")
        body = {"value": {"strategies": 12}, "cautious": {"strategies": 8}}
        body |= {"cautious_action": "keep", "context": None, "error": "none"}
        fields = {"kind": "strategy_pool_sizing", "strategy": "", "action": "grow", "body": body}
        fields |= {"deadline_ms": then + DAY_MS}
        log.append(decided(name, **fields | changes))
    return name


def test_a_review_says_who_and_when(tmp_path: Path) -> None:
    name = pending(tmp_path)
    refused(call(tmp_path, "review", "approve", name, "--json"), 2, "no reason")
    refused(call(tmp_path, "review", "approve", name, "--reason", " ", "--json"), 2, "no reason")
    answer = call(tmp_path, "review", "approve", name[-8:], "--reason", "more capital", "--json")
    assert answer.json["value"] == {"strategies": 12}
    row = read_operations(tmp_path).decisions[name]
    assert (row.state, row.reason) == ("approved", "more capital")
    assert row.who
    assert row.resolved_ms is not None
    second = call(tmp_path, "review", "reject", name, "--reason", "no", "--json")
    refused(second, 3, f"was approved by {row.who}", "more capital")
    assert call(tmp_path, "review", "list", "--json").json["reviews"] == []
    every = call(tmp_path, "review", "list", "--all", "--json").json["reviews"]
    assert [one["state"] for one in every] == ["approved"]


def test_after_its_deadline_the_cautious_holds_and_nobody_approves(tmp_path: Path) -> None:
    name = pending(tmp_path, age_ms=DAY_MS + HOUR_MS)
    listed = call(tmp_path, "review", "list", "--json").json["reviews"]
    assert listed[0]["late"] is True
    answer = call(tmp_path, "review", "approve", name, "--reason", "overlooked", "--json")
    refused(answer, 3, "was expired by decision rules", "nobody looked in time")
    state = read_operations(tmp_path)
    assert state.decisions[name].state == "expired"
    assert state.in_force["strategy_pool_sizing", ""].value == {"strategies": 8}


def test_an_expired_doubt_about_an_emergency_kills(tmp_path: Path) -> None:
    stop = {"value": {"shutdown": True}, "cautious": {"shutdown": True}}
    body = stop | {"cautious_action": "shutdown"}
    pending(tmp_path, age_ms=DAY_MS, kind="emergency_shutdown", action="shutdown", body=body,
            deadline_ms=SystemClock().now_ms() - HOUR_MS)  # fmt: skip
    other = pending(tmp_path)
    assert KillLatch(tmp_path).closed() == ""
    assert call(tmp_path, "review", "reject", other, "--reason", "no").code == 0
    assert KillLatch(tmp_path).closed()


def test_names_of_decisions(tmp_path: Path) -> None:
    names = [pending(tmp_path), pending(tmp_path)]
    refused(call(tmp_path, "review", "show", "DEC", "--json"), 2, "fits 2", names[1])
    refused(call(tmp_path, "review", "show", "nope", "--json"), 2, "no decision")
    refused(call(tmp_path, "review", "show", "", "--json"), 2, "no decision")


def test_a_decision_is_shown_with_its_reasons_and_taken_again(own: Home) -> None:
    told = own.call("decide", "strategy_retirement", "--record", "--json").json
    shown = own.call("review", "show", told["decision"], "--json").json
    assert shown["replays"] is True
    assert shown["decision"]["reasons"] == told["reasons"]
    text = own.call("review", "show", told["decision"]).out
    assert "replay     the same" in text
    assert "days of negative sharpe" in text
    listed = own.call("decide", "history", "--type", "strategy-retirement", "--json").json
    assert [row["decision"] for row in listed["decisions"]] == [told["decision"]]
    assert own.call("decide", "history", "--strategy", "x", "--json").json["decisions"] == []
    refused(own.call("decide", "history", "--type", "risk", "--json"), 2, "unknown type")


def test_a_stored_decision_that_does_not_follow_from_its_facts_is_noticed(own: Home) -> None:
    told = own.call("decide", "risk_adjustment", "--record", "--json").json
    with OperationsLog.open(own.home, SystemClock()) as log:
        from genesis.decision.operations import read_event

        event = read_event(own.home, log.state.seq)
        assert event is not None
        body = dict(event.data.body) | {"value": {"size_factor": 3.0}}  # type: ignore[attr-defined]
        log.append(decided("DEC_forged", kind="risk_adjustment", body=body))
    assert told["value"] != {"size_factor": 3.0}
    assert own.call("review", "show", "DEC_forged", "--json").json["replays"] is False


def test_texts_for_people(own: Home, tmp_path: Path) -> None:
    assert "nothing to review" in own.call("review", "list").out
    assert "no decision on record" in own.call("decide", "history").out
    file = facts(tmp_path, drawdown=None)
    text = own.call("decide", "emergency_shutdown", "--context", file).out
    for word in ("on hold    all", "missing    drawdown", "genesis", "review show DEC_"):
        assert word in text
    text = own.call("review", "list").out
    assert "keeps from steps up: all" in text
    name = read_operations(own.home).open_reviews()[0].decision
    assert "if late    shutdown" in own.call("review", "show", name).out
    assert "is rejected by" in own.call("review", "reject", name, "--reason", "known").out


# ---- calibration -----------------------------------------------------------------------------


def test_too_few_decisions_calibrate_nothing(own: Home) -> None:
    refused(own.call("decide", "calibrate", "whole", "--json"), 2, "too few")
    told = own.call("decide", "calibrate", "whole", "--dry-run", "--json").json
    assert (told["types"], told["recorded"]) == ({}, False)


def test_a_decision_replays_the_same_though_its_rules_are_told_in_other_words() -> None:
    from genesis.cli.review import _content

    old = {"action": "grow", "reasons": [{"rule": "x", "text": "size is 5", "what": "size"}]}
    new = {
        "action": "grow",
        "reasons": [{"rule": "x", "text": "new size is 5", "what": "new size"}],
    }
    assert _content(old) == _content(new)
    assert _content(old) != _content({**new, "action": "keep"})
    assert _content(old) != _content({**new, "reasons": [{"rule": "y"}]})
