"""The flow of a run seen from outside: what has no answer in its log, and how old its word is."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from genesis.trading.events import Event, EventType
from genesis.trading.flow_audit import STARTING_MS, Evidence, FlowAudit, StageFinding, audit_flow
from genesis.trading.gateway import Side, VenueFill
from genesis.trading.inbox import Inbox
from genesis.trading.payloads import (
    IntentExpired,
    OperatorCommand,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    OrderSubmit,
    SignalGenerated,
    TradeIntent,
)
from genesis.trading.quarantine import quarantine
from genesis.trading.status import STALE_MS, Fault, RunStatus, read_status, write_status
from tests.integration.stalled_rig import LiveRun
from tests.unit.cli.command_answers import call
from tests.unit.trading.core_rig import ACCOUNT, COIN


@pytest.fixture
def run(tmp_path: Path) -> LiveRun:
    """A run that went in and out of a position."""
    made = LiveRun(tmp_path / "trading" / "run")
    for price, wish in ((100.0, "long"), (101.0, ""), (102.0, "exit_long"), (103.0, "")):
        made.bar(price, wish)
        made.second()
    return made


def finding(found: FlowAudit, stage: str) -> StageFinding:
    (one,) = (one for one in found.stages if one.stage == stage)
    return one


def stalled(found: FlowAudit) -> set[str]:
    return {one.stage for one in found.stages if one.verdict == "stalled"}


def add(run: LiveRun, *payloads: object, caused_by: int = 0) -> list[int]:
    """Store events that nobody handles: the process died before it could."""
    events = [
        Event(data, run.clock.ms, caused_by=caused_by)  # type: ignore[arg-type]
        for data in payloads
    ]
    run.session.store.commit(events, [])
    return [event.seq for event in events]


def first(run: LiveRun, kind: EventType) -> Event:
    return run.log(kind)[0]


def died(run: LiveRun) -> FlowAudit:
    """Verdict after the process is gone."""
    run.loop.flush()
    run.session.store.close()
    return audit_flow(run.folder, run.clock.ms)


def fill(number: int) -> VenueFill:
    return VenueFill(
        f"late{number}", "", "", ACCOUNT, COIN.symbol, Side.BUY, Decimal(1), Decimal(100),
        Decimal(0), False, 5, Decimal(100),
    )  # fmt: skip


# ---- by the log --------------------------------------------------------------------------------


def test_a_run_that_ended_between_two_bars_has_nothing_in_flight(run: LiveRun) -> None:
    latest = run.log(EventType.ORDER_SUBMIT)[-1]
    found = died(run)
    assert (found.source, found.pid, found.healthy) == ("log", "", True)
    assert [one.lag for one in found.stages] == [0] * len(found.stages)
    last = finding(found, "execution").last
    assert last == Evidence(latest.seq, "order_submit", latest.ts_ms, latest.recorded_ms)


@pytest.mark.parametrize(
    ("stage", "kind"),
    [("decisions", EventType.SIGNAL_GENERATED), ("execution", EventType.TRADE_INTENT)],
)
def test_what_led_to_nothing_is_found(run: LiveRun, stage: str, kind: EventType) -> None:
    again = first(run, kind).data
    run.clock.ms += 7_000
    seq, _, _ = add(run, again, again, again)
    run.clock.ms += 40_000
    add(run, OrderAccepted("0x1", "v1"))
    found = died(run)
    assert stalled(found) == {stage}
    one = finding(found, stage)
    assert (one.lag, one.oldest_ms) == (3, 40_000)
    assert f"the first is event {seq}" in one.why


def test_expiry_rejection_and_quarantine_are_ends_too(run: LiveRun) -> None:
    intent, signal = (
        first(run, kind).data for kind in (EventType.TRADE_INTENT, EventType.SIGNAL_GENERATED)
    )
    assert isinstance(intent, TradeIntent)
    assert isinstance(signal, SignalGenerated)
    (seq,) = add(run, intent)
    add(run, IntentExpired(intent.intent_id, intent.deployment, 5), caused_by=seq)
    for seq in add(run, intent, signal):
        quarantine(run.folder, seq, "test", "me", 0)
    assert died(run).healthy


def test_an_order_without_an_answer_is_found_unless_it_was_never_to_be_sent(run: LiveRun) -> None:
    submit = first(run, EventType.ORDER_SUBMIT).data
    assert isinstance(submit, OrderSubmit)

    def other(number: int) -> OrderSubmit:
        order = msgspec.structs.replace(submit.order, order_id=f"O{number}", client_id=f"c{number}")
        return msgspec.structs.replace(submit, order=order)

    add(run, other(1), other(2), other(3))
    add(run, OrderAccepted("c1", "v9"), OrderRejected("c3", "cancel", "not_open"))
    found = died(run)
    assert stalled(found) == {"gateway"}
    assert finding(found, "gateway").lag == 2  # c3: the refusal is about a cancel


def test_a_fill_that_is_not_in_the_ledger_is_found(run: LiveRun) -> None:
    booked = first(run, EventType.ORDER_FILLED).data
    add(run, booked, OrderFilled(fill(1)))
    found = died(run)
    assert stalled(found) == {"ledger"}
    assert finding(found, "ledger").lag == 1


def test_a_command_that_nobody_took_is_found(run: LiveRun) -> None:
    Inbox(run.folder).send(OperatorCommand("CMD_9", "halt", "x", "me"), 5)
    found = died(run)
    assert stalled(found) == {"inbox"}
    assert finding(found, "inbox").lag == 1


def test_the_event_that_a_run_is_halted_on_stalls_its_loop_until_it_is_taken_out(
    run: LiveRun,
) -> None:
    status = run.status
    head = run.session.head_seq
    fault = Fault(head - 1, "bar_closed", "KeyError: 'x'")
    write_status(run.folder, msgspec.structs.replace(status, state="failed", fault=fault))
    found = died(run)
    assert stalled(found) == {"loop"}
    assert finding(found, "loop").lag == 2
    quarantine(run.folder, head - 1, "test", "me", 0)
    assert audit_flow(run.folder, 0).healthy


# ---- by the heartbeat --------------------------------------------------------------------------


def later(run: LiveRun, ms: int) -> FlowAudit:
    return audit_flow(run.folder, run.clock.ms + ms)


def test_a_run_that_is_traded_is_judged_by_its_heartbeat(run: LiveRun) -> None:
    found = later(run, 500)
    assert (found.source, found.healthy, found.heartbeat_ms) == ("heartbeat", True, 500)
    assert finding(found, "watch").verdict == "ok"
    last = finding(found, "gateway").last
    assert last is not None
    assert last.type == "order_filled"
    run.running = False
    run.bar(104.0, "long")
    run.second()
    waits = later(run, 0)
    assert finding(waits, "bus:normal").verdict == "waiting"
    assert waits.healthy
    run.seconds(7)
    found = later(run, 0)
    assert "bus:normal" in stalled(found)
    assert not found.healthy


def test_a_heartbeat_that_is_old_is_a_stall_itself(run: LiveRun) -> None:
    assert later(run, STALE_MS).healthy
    found = later(run, STALE_MS + 1)
    assert stalled(found) == {"watch"}
    assert "is 10 s old" in finding(found, "watch").why


def test_a_process_that_is_starting_may_take_its_time(run: LiveRun) -> None:
    write_status(run.folder, msgspec.structs.replace(run.status, pid=1))
    held_since = int((run.folder / "writer.lock").stat().st_mtime * 1000)
    found = audit_flow(run.folder, held_since + STARTING_MS - 1_000)
    assert (finding(found, "watch").verdict, found.healthy) == ("waiting", True)
    found = audit_flow(run.folder, held_since + STARTING_MS + 2_000)
    assert stalled(found) == {"watch"}


def test_halts_are_shown_and_an_event_that_halts_the_run_is_a_stall(run: LiveRun) -> None:
    fault = Fault(7, "bar_closed", "KeyError: 'x'")
    changed = msgspec.structs.replace(run.status, fault=fault, halts={"run": "me: enough"})
    write_status(run.folder, changed)
    found = later(run, 0)
    assert found.halts == {"run": "me: enough"}
    assert "halted on event 7" in finding(found, "watch").why
    assert not found.healthy


def test_who_holds_a_run_without_trading_it_is_not_taken_for_a_trader(run: LiveRun) -> None:
    ended = msgspec.structs.replace(run.status, state="finished")
    write_status(run.folder, ended)
    found = later(run, 3_600_000)
    assert (found.source, found.healthy) == ("log", True)
    assert found.pid


# ---- the command -------------------------------------------------------------------------------


def command(run: LiveRun, *words: str) -> tuple[int, str]:
    answer = call(run.folder.parent.parent, "audit", "flow", *words)
    return answer.code, answer.out


def now_is(run: LiveRun, patch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the command think that it is the time of the run."""
    moment = [run.clock.ms]
    patch.setattr("genesis.system.clock.SystemClock.now_ms", lambda _: moment[0])

    def move(ms: int) -> None:
        moment[0] = run.clock.ms + ms

    return move


def test_the_command_says_what_is_stalled(run: LiveRun, monkeypatch: pytest.MonkeyPatch) -> None:
    move = now_is(run, monkeypatch)
    code, text = command(run)
    assert code == 0
    assert "every stage moves" in text
    run.exchange.mute = True
    run.bar(104.0, "long")
    run.seconds(8)
    move(0)
    code, text = command(run, "run", "--json")
    plain = json.loads(text)
    assert (code, plain["ok"], plain["flow"]["healthy"]) == (1, False, False)
    (gateway,) = (s for s in plain["flow"]["stages"] if s["stage"] == "gateway")
    assert (gateway["verdict"], gateway["lag"]) == ("stalled", 1)
    assert plain["flow"]["halts"] == {"stage:gateway": plain["flow"]["halts"]["stage:gateway"]}
    code, text = command(run)
    assert code == 1
    assert "stalled: gateway" in text
    assert "halted   stage:gateway" in text
    move(60_000)
    assert "stalled: watch, gateway" in command(run)[1]


def test_the_command_on_a_run_that_is_over(run: LiveRun) -> None:
    status = read_status(run.folder)
    assert isinstance(status, RunStatus)
    write_status(run.folder, msgspec.structs.replace(status, state="stopped"))
    assert died(run).healthy
    code, text = command(run)
    assert code == 0
    assert "not being traded, it was stopped; by its log" in text
    assert call(run.folder.parent.parent, "audit", "flow", "none").code == 2


def test_the_command_says_how_a_run_that_died_goes_on(run: LiveRun) -> None:
    add(run, first(run, EventType.SIGNAL_GENERATED).data)
    write_status(run.folder, msgspec.structs.replace(run.status, state="running"))
    assert stalled(died(run)) == {"decisions"}
    code, text = command(run)
    assert code == 1
    assert "genesis paper run --resume run" in text.replace(f" --home {run.folder.parents[1]}", "")
