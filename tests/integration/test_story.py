"""Stories and answers read back from a stored log, and the commands that tell them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.story import ALL_TABLES, Flows
from genesis.cli.main import dispatch
from genesis.domain.errors import InputError
from genesis.system.clock import SystemClock
from genesis.trading.events import Event
from genesis.trading.payloads import (
    DeploymentAdded,
    OpportunityRejected,
    Origin,
    RiskAssessed,
    SignalGenerated,
)
from genesis.trading.questions import answer
from genesis.trading.store.reader import EventReader
from genesis.trading.store.writer import EventStore
from genesis.trading.story import tell

TRADES = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def flows(home: Path) -> Flows:
    folder = home / "trading" / "paper_one"
    clock = SystemClock()
    with EventStore.open(
        folder, run="paper_one", tables=ALL_TABLES, clock=clock, synchronous="OFF"
    ) as store:
        flows = Flows(store)
        refuse(flows)
        for number in range(TRADES):
            flows.trade("paper/a", "BTC", win=number % 3 != 0)
        flows.commit([])
    return flows


def refuse(flows: Flows) -> None:
    """A deployment, and an entry that risk refuses before a fall, and a short."""
    added = DeploymentAdded("DEP_r", "strat_1", {}, "paper/a", "ETH", {}, 1_000.0, 3_600_000, 0, {})
    flows.commit([Event(added, flows.now, "DEP_r")])
    for number, quantity in enumerate((1.0, -1.0)):
        flows.commit(list(flows.bars("ETH", 100.0, 1)))
        signal = SignalGenerated(
            f"SIG_r{number}",
            "DEP_r",
            Origin("tick", f"TCK_r{number}", flows.head),
            1,
            {"long": 1},
            {"close": 100.0, "atr": 1.0},
            "none",
            quantity,
        )
        risk = RiskAssessed(
            f"RSK_r{number}", "DEP_r", signal.signal_id, False, "max_order", 9.0, 5.0, "too much"
        )
        why = OpportunityRejected("DEP_r", signal.signal_id, "risk", "too much", risk.risk_id)
        events = [Event(data, flows.now, "DEP_r") for data in (signal, risk, why)]
        flows.commit(events)
        flows.journal.on_signal(signal)
        flows.journal.on_risk(risk)
        flows.journal.on_rejected_opportunity(why, events[2], flows.rows)
        flows.commit(list(flows.bars("ETH", 90.0, 3)))


@pytest.fixture
def reader(home: Path, flows: Flows) -> EventReader:
    return EventReader(home / "trading" / "paper_one")


def test_a_fill_tells_why_what_how_and_outcome(reader: EventReader, flows: Flows) -> None:
    name = flows.fills[4]  # second entry fill of the second trade
    story = tell(reader, name)
    assert story.why["origin"]["kind"] == "tick"
    assert "BTC" in story.why["origin"]["text"]
    (signal,) = story.why["signals"]
    assert signal["rules"] == {"long": 1, "short": 0}
    (risk,) = story.why["risks"]
    assert (risk["rule"], risk["approved"], risk["limit"]) == ("max_order", True, 1_000.0)
    (intent,) = story.what["intents"]
    assert intent["execution"]["algorithm"] == "single"
    assert intent["exit"]["stop_atr"] == 2.0
    plan = story.what["plan"]
    assert (plan["status"], plan["wanted"], plan["size"]) == ("closed", "1.52", "1.5")
    entry, stop = (order for group in story.how for order in group["orders"])
    assert [state["state"] for state in entry["states"]] == [
        "submitted",
        "resting",
        "partial",
        "filled",
    ]
    assert [state["state"] for state in stop["states"]] == [
        "submitted",
        "trigger_wait",
        "pending_modify",
        "trigger_wait",
        "filled",
    ]
    assert [fill["focus"] for fill in story.outcome["fills"]] == [False, True, False]


def test_the_numbers_of_a_story_are_those_of_its_fills(reader: EventReader, flows: Flows) -> None:
    story = tell(reader, flows.plans[1])
    price = Decimal(102)  # of the second trade, a winning one
    bought = Decimal("0.75") * price * (Decimal("1.0002") + Decimal("1.0003"))
    sold = Decimal("1.5") * price * Decimal("1.01") * Decimal("0.9998")
    fees = (bought + sold) * Decimal("0.00045")
    trade = story.outcome["trade"]
    assert Decimal(trade["pnl"]) == sold - bought
    assert Decimal(trade["fees"]) == fees
    assert Decimal(trade["net"]) == sold - bought - fees
    assert Decimal(trade["entry"]) == bought / Decimal("1.5")
    first, second, third = story.outcome["fills"]
    assert first["intent_slippage_bp"] == pytest.approx(2.0)
    assert second["intent_slippage_bp"] == pytest.approx(3.0)
    assert third["slippage_bp"] == pytest.approx(2.0)
    entry = story.how[0]["orders"][0]
    assert 1e4 * entry["intent_slippage"] == pytest.approx(2.5)
    assert 1e4 * entry["impact"] == pytest.approx(1.0, rel=1e-3)
    assert (entry["maker_share"], entry["latency_ms"], entry["grade"]) == (0.0, 180, "excellent")


def test_every_name_of_a_plan_tells_the_same_story(reader: EventReader, flows: Flows) -> None:
    plan = tell(reader, flows.plans[3])
    order = plan.how[0]["orders"][0]
    trade = plan.outcome["trade"]["trade_id"]
    for name in (order["order_id"], order["group_id"], trade, flows.fills[9]):
        other = tell(reader, name)
        assert other.why == plan.why
        assert other.outcome["trade"] == plan.outcome["trade"]


def test_a_beginning_is_enough_where_it_is_unique(reader: EventReader, flows: Flows) -> None:
    assert tell(reader, flows.plans[0][:-1]).id == flows.plans[0]
    with pytest.raises(InputError, match="several"):
        tell(reader, "TPL_")
    with pytest.raises(InputError, match="no fill begins"):
        tell(reader, "FIL_19700101")
    with pytest.raises(InputError, match="nothing that has a story"):
        tell(reader, "XYZ_1")


def test_questions_are_answered_from_what_is_stored(reader: EventReader) -> None:
    answers = answer(reader, bars=2)
    (origin,) = answers.origins
    assert (origin.name, origin.trades) == ("tick", TRADES)
    assert origin.win_rate == pytest.approx(8 / 12)
    (signal,) = answers.signals
    assert signal.name == "long"
    (risk,) = answers.risks
    # The long was refused before a fall of a tenth, the short too: one refusal was right.
    assert (risk.rule, risk.refused, risk.judged, risk.prevented) == ("max_order", 2, 2, 1)
    assert risk.mean_move == pytest.approx(0.0)
    entry, stop = answers.slippage
    assert (entry.name, stop.name) == ("entry", "stop")
    assert entry.intent_bp == pytest.approx(2.5)
    assert stop.venue_bp == pytest.approx(2.0)
    assert {one.name for one in answers.algorithms} == {"single"}
    assert [one.name for one in answers.volatility] == ["1 calm", "2 normal", "3 wild"]
    assert sum(one.orders for one in answers.sessions) == 2 * TRADES


def run(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, str]:
    code = dispatch(["--home", str(home), *words])
    return code, capsys.readouterr().out


def test_the_command_tells_it(capsys: pytest.CaptureFixture[str], home: Path, flows: Flows) -> None:
    code, text = run(capsys, home, "story", flows.fills[0])
    assert code == 0
    for word in ("why", "signal", "risk", "what", "how", "trigger_wait", "outcome", "net"):
        assert word in text
    code, text = run(capsys, home, "story", flows.fills[0], "--json")
    assert (code, json.loads(text)["story"]["id"]) == (0, flows.fills[0])
    assert run(capsys, home, "story", "FIL_1970")[0] == 2
    code, text = run(capsys, home, "trades", "paper", "--json")
    assert json.loads(text)["answers"]["origins"][0]["trades"] == TRADES
    assert run(capsys, home, "trades")[0] == 0
