"""What became of each entry that was asked for, told from the events of a core that trades."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genesis.paper.entries import ENTRY_TYPES, Entry, EntryFold, Fate
from genesis.risk.genome import GENES, RiskGenes, RiskGenome
from genesis.risk.limits import HardLimits
from genesis.risk.manager import GeneticRiskManager, RiskProfile
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind
from genesis.trading.payloads import (
    OperatorCommand,
    OrderSubmit,
    OrderUnknown,
    RiskAssessed,
    RunResumed,
    RunStarted,
    TradeIntent,
)
from tests.unit.trading.core_rig import GUARDED, HOUR, NAKED, START, STEPPED, Rig, Script, sized

LOOSE = RiskGenes(**{gene.name: gene.loosest for gene in GENES})
SMALL = sized(NAKED, 0.05)
"""Five units at 100 of a capital of 10,000."""
WARM = 260
TWAP = DeploymentOptions(algorithm="twap", slices=2, spacing_ms=2 * HOUR)


def manager(profile: RiskProfile = RiskProfile.ENFORCE, **genes: float) -> GeneticRiskManager:
    return GeneticRiskManager(RiskGenome(LOOSE).replace(**genes), profile=profile)


def warmed(risk: GeneticRiskManager, exchange: Any = None, **more: Any) -> Rig:
    """A market that rises and falls by one until it is known."""
    rig = Rig(more.pop("policy", SMALL), risk=risk, exchange=exchange, **more)
    for number in range(WARM):
        rig.bar(100.0 + number % 2, 101.0 - number % 2)
    return rig


def scripted(policy: Any = NAKED, **more: Any) -> tuple[Rig, Script]:
    exchange = Script()
    rig = Rig(policy, exchange=exchange, **more)
    rig.warm()
    return rig, exchange


def told(rig: Rig, *before: Event) -> list[Entry]:
    """Entries of all that a rig has logged."""
    fold = EntryFold()
    for event in (*before, *rig.log.events):
        if event.type in ENTRY_TYPES:
            fold.take(event)
    return [entry for _, entry in fold.entries()]


def fates(rig: Rig, *before: Event) -> list[Fate]:
    return [entry.fate for entry in told(rig, *before)]


def person(rig: Rig, name: str, **arguments: Any) -> None:
    rig.say(OperatorCommand(f"CMD_{name}", name, "seen to", "ann", arguments))


def enforced() -> Event:
    settings = {"risk": {"profile": "enforce"}}
    return Event(RunStarted(run="r", mode="live", build="b", settings=settings), START)


# ---- risk ------------------------------------------------------------------------------------


def test_an_entry_as_it_was_asked_for_is_named_by_its_bar() -> None:
    rig = warmed(manager())
    rig.bar(100.0, wish="long")
    rig.bar(wish="exit_long")
    rig.bar()
    (entry,) = told(rig)
    assert entry == Entry("BTC", START + WARM * HOUR, Fate.MADE, 1.0, 1.0)


@pytest.mark.parametrize(
    ("profile", "scale"), [(RiskProfile.ENFORCE, 0.4), (RiskProfile.OBSERVE, 1)]
)
def test_a_cut_is_a_share_of_what_was_asked_for(profile: RiskProfile, scale: float) -> None:
    rig = warmed(manager(profile, max_position=0.02), Script())
    rig.bar(100.0, wish="long")
    (entry,) = told(rig)
    assert entry.fate is Fate.MADE
    assert entry.scale == pytest.approx(scale, rel=1e-9)
    assert entry.enforced == pytest.approx(0.4, rel=1e-9)


@pytest.mark.parametrize(
    ("profile", "fate", "scale"),
    [(RiskProfile.ENFORCE, Fate.REFUSED, 0.0), (RiskProfile.OBSERVE, Fate.MADE, 1.0)],
)
def test_a_refusal_leaves_nothing_where_it_is_enforced(
    profile: RiskProfile, fate: Fate, scale: float
) -> None:
    exchange = Script()
    rig = Rig(SMALL, risk=manager(profile), exchange=exchange)
    rig.warm()
    rig.bar(100.0, wish="long")  # four bars are no market that is known
    (entry,) = told(rig)
    assert (entry.fate, entry.scale, entry.enforced) == (fate, scale, 0.0)
    assert len(exchange.submitted) == scale


def test_a_hard_limit_refuses_whoever_observes() -> None:
    rig, _ = scripted(limits=HardLimits(max_order=0.1))
    rig.bar(wish="long")
    assert told(rig)[0] == Entry("BTC", START + 4 * HOUR, Fate.REFUSED, 0.0, 0.0)


def test_what_is_left_below_the_least_notional_is_refused() -> None:
    dear = replace(STEPPED, min_notional=300.0)
    rig = warmed(manager(max_position=0.02), Script(), instrument=dear)
    rig.bar(100.0, wish="long")
    (entry,) = told(rig)
    assert (entry.fate, entry.scale) == (Fate.REFUSED, 0.0)


def test_the_entry_of_a_reversal_is_judged_at_its_release_and_belongs_to_its_signal() -> None:
    rig = warmed(manager(max_position=0.05))
    rig.bar(100.0, wish="long")
    rig.bar(100.0, wish="short")
    rig.bar(125.0)  # five units are more than the cap allows now
    assert float(rig.position) == pytest.approx(-4.0, rel=1e-6)
    long, short = told(rig)
    assert (long.scale, short.fate) == (1.0, Fate.MADE)
    assert short.open_ms == START + (WARM + 1) * HOUR
    assert short.scale == pytest.approx(0.8, rel=1e-6)


def test_a_part_that_is_cut_or_refused_when_its_order_is_made_counts() -> None:
    """Two units by two orders under a cap of two hundred: the second has little room, or none."""
    for second, share in ((110.0, (1 + 90 / 110) / 2), (220.0, 0.5)):
        exchange = Script()
        risk = manager(max_position=0.02)
        rig = warmed(risk, exchange, policy=sized(NAKED, 0.02), options=TWAP)
        rig.bar(100.0, wish="long")
        rig.open(100.0)
        rig.fill(exchange.submitted[0])
        rig.range(second, 99.0)
        rig.close(second)
        rig.bar(second)
        sent = sum(order.size for order in exchange.submitted if order.kind is OrderKind.MARKET)
        assert float(sent) == pytest.approx(2 * share, rel=1e-6)
        (entry,) = told(rig)
        assert entry.fate is Fate.MADE
        assert entry.scale == pytest.approx(share, rel=1e-6)


# ---- what else holds back --------------------------------------------------------------------


def test_a_halt_holds_back() -> None:
    rig = Rig()
    rig.warm()
    person(rig, "halt")
    rig.bar(wish="long")
    person(rig, "resume")
    rig.bar(wish="long")
    assert fates(rig) == [Fate.HELD_BACK, Fate.MADE]


def test_a_halt_between_the_order_and_the_door_holds_back() -> None:
    rig, exchange = scripted()
    rig.core._forbidden = lambda data: "halted meanwhile"  # type: ignore[method-assign]
    rig.bar(wish="long")
    assert exchange.submitted == []
    assert len(rig.all(OrderSubmit)) == 1
    (entry,) = told(rig)
    assert (entry.fate, entry.scale) == (Fate.HELD_BACK, 0.0)


def test_an_entry_that_still_works_holds_back_the_next() -> None:
    rig, _ = scripted()
    rig.bar(wish="long")
    rig.bar(wish="long")
    assert fates(rig) == [Fate.MADE, Fate.HELD_BACK]


def test_an_order_whose_fate_is_unknown_holds_back() -> None:
    rig, exchange = scripted()
    rig.bar(wish="long")
    rig.say(OrderUnknown(exchange.submitted[0].client_id, "submit", "timeout"))
    rig.deployment.plan_id = ""
    rig.bar(wish="long")
    assert fates(rig) == [Fate.MADE, Fate.HELD_BACK]


def late_by(rig: Rig, ms: int) -> None:
    """Let every directive be handled so much later than its bar closed."""
    act = rig.core._worker.on_intent

    def late(event: Event) -> None:
        event.recorded_ms += ms
        act(event)

    handlers = rig.core._handlers
    handlers[TradeIntent] = late


def test_what_came_too_late_is_execution_but_in_a_pause_it_was_held_back() -> None:
    rig, exchange = scripted()
    late_by(rig, 10 * HOUR)
    rig.bar(wish="long")
    assert exchange.submitted == []
    assert fates(rig) == [Fate.MADE]
    rig, exchange = scripted()
    late_by(rig, 10 * HOUR)
    back = Event(RunResumed("b"), START, recorded_ms=START + 20 * HOUR)
    rig.bar(wish="long")
    assert fates(rig, back) == [Fate.HELD_BACK]


def test_an_order_that_expired_in_the_door_is_execution() -> None:
    rig, exchange = scripted(options=DeploymentOptions(order_ttl_ms=1_000))
    act = rig.core._handlers[OrderSubmit]

    def late(event: Event) -> None:
        event.recorded_ms += 5_000
        act(event)

    rig.core._handlers[OrderSubmit] = late
    rig.bar(wish="long")
    assert exchange.submitted == []
    assert fates(rig) == [Fate.MADE]
    back = Event(RunResumed("b"), START, recorded_ms=START + 20 * HOUR)
    assert fates(rig, back) == [Fate.HELD_BACK]


def test_what_an_exchange_refuses_is_execution() -> None:
    rig, exchange = scripted()
    rig.bar(wish="long")
    rig.reject(exchange.submitted[0], "no margin")
    assert fates(rig) == [Fate.MADE]


# ---- reversals -------------------------------------------------------------------------------


def test_a_stop_before_a_reversal_is_the_course_of_the_position() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    rig.bar(wish="long")
    rig.bar(wish="short")
    rig.open(97.0)
    assert rig.position == 0
    assert fates(rig) == [Fate.MADE, Fate.MADE]


def test_a_close_that_the_exchange_refuses_is_execution() -> None:
    rig, exchange = scripted()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(wish="short")
    rig.reject(exchange.submitted[-1], "busy")
    rig.bar(wish="exit_long")
    rig.fill(exchange.submitted[-1])
    assert rig.position == 0
    assert fates(rig) == [Fate.MADE, Fate.MADE]


def test_the_entry_of_a_reversal_that_a_person_calls_off_was_held_back() -> None:
    rig, exchange = scripted()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(wish="short")
    person(rig, "cancel_entries")
    rig.fill(exchange.submitted[-1])
    assert rig.position == 0
    assert fates(rig) == [Fate.MADE, Fate.HELD_BACK]


def test_an_emergency_calls_a_reversal_off_and_its_halt_refuses_what_follows() -> None:
    exchange = Script()
    rig = warmed(manager(total_drawdown=0.01, daily_drawdown=0.1, rapid_loss=0.1), exchange)
    rig.bar(100.0, wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(100.0, wish="short")
    close = exchange.submitted[-1]
    rig.bar(100.0, 70.0)
    assert rig.deployment.waiting is None
    rig.fill(close, 70.0)
    assert rig.position == 0
    rig.bar(70.0, wish="long")
    assert rig.all(RiskAssessed)[-1].rule == "halted"
    long, reversal, after = told(rig, enforced())
    assert (long.fate, reversal.fate, after.fate) == (Fate.MADE, Fate.REFUSED, Fate.REFUSED)
    assert reversal.scale == after.scale == 0.0
