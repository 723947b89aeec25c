"""Past bars at a start and after a pause: their age is no alarm, and silence afterwards is one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.risk.manager import RiskProfile
from genesis.trading.desk import WARM_UP
from genesis.trading.payloads import (
    AlertRaised,
    BreakerTripped,
    ConnectionChanged,
    RiskLevelChanged,
)
from genesis.trading.safety import LONG_WARM_UP_MS
from tests.unit.trading.core_rig import ACCOUNT, HOUR, Rig, Script
from tests.unit.trading.test_risk_in_loop import manager, warmed

SCOPE = f"stage:{WARM_UP}"


def warm_up(rig: Rig, *, done: bool) -> None:
    rig.say(ConnectionChanged(WARM_UP, done, "past bars"))


def levels(rig: Rig) -> list[str]:
    return [one.level for one in rig.all(AlertRaised)]


def stale(rig: Rig) -> list[BreakerTripped]:
    return [one for one in rig.all(BreakerTripped) if one.breaker == "stale_data"]


@pytest.mark.parametrize("marked", [True, False])
def test_old_bars_of_a_start_trip_nothing_and_allow_nothing(marked: bool) -> None:
    rig = Rig(risk=manager())
    rig.clock.advance(rig.open_ms + 800 * HOUR)
    if marked:
        warm_up(rig, done=False)
    rig.bar()
    verdict = rig.core.guard.judge(rig.deployment, Decimal(1), None, reduce_only=False)
    assert not verdict.approved
    assert bool(stale(rig)) is not marked
    if not marked:
        return
    assert verdict.rule == "halted"
    assert rig.core.guard.judge(rig.deployment, Decimal(-1), None, reduce_only=True).approved
    assert rig.all(RiskLevelChanged) == []
    warm_up(rig, done=True)
    assert rig.core.desk.halts == {}
    assert levels(rig) == ["info", "info"]
    # What is old once live bars are in is too old.
    verdict = rig.core.guard.judge(rig.deployment, Decimal(1), None, reduce_only=False)
    assert verdict.rule == "stale_data"


def test_a_pause_with_a_position_trips_nothing_but_silence_after_it_does() -> None:
    exchange = Script()
    rig = warmed(manager(), exchange)
    rig.bar(100.0, wish="long")
    rig.fill(exchange.submitted[0])
    rig.clock.advance(rig.open_ms + 6 * HOUR)
    warm_up(rig, done=False)
    for _ in range(6):
        rig.bar(100.0)
    warm_up(rig, done=True)
    assert stale(rig) == []
    assert "critical" not in levels(rig)
    rig.clock.advance(rig.open_ms + 4 * HOUR)
    rig.quote(100.0)  # no bar came: somebody is to know
    (tripped,) = stale(rig)
    assert "bars ago" in tripped.text
    assert levels(rig)[-1] == "critical"


def test_a_snapshot_that_makes_no_sense_trips_meanwhile_too() -> None:
    rig = Rig(risk=manager())
    book = rig.core.guard.book
    state, view = book.accounts[ACCOUNT], rig.core.guard.view(rig.deployment)
    rig.bar()
    state.blind = 1
    found = manager().assess(state, book.market, view, rig.clock.now_ms(), past=True)
    assert [trip.breaker for trip in found.tripped] == ["stale_data"]


def test_one_that_takes_long_is_a_warning_and_counts_from_its_own_beginning() -> None:
    rig = Rig(risk=manager(RiskProfile.ENFORCE))
    warm_up(rig, done=False)
    rig.clock.advance(rig.clock.now_ms() + 10 * LONG_WARM_UP_MS)
    warm_up(rig, done=False)  # the process that began it is gone; the next begins anew
    rig.clock.advance(rig.clock.now_ms() + LONG_WARM_UP_MS)
    warm_up(rig, done=True)
    assert levels(rig) == ["info", "info"]
    warm_up(rig, done=False)
    assert rig.core.desk.halts == {SCOPE: f"{WARM_UP}: past bars"}
    kept = rig.core.plain()
    rig.core.restore(kept)
    rig.clock.advance(rig.clock.now_ms() + LONG_WARM_UP_MS + 1)
    warm_up(rig, done=True)
    assert levels(rig)[-1] == "warning"
    warm_up(rig, done=True)
    assert len(levels(rig)) == 4, "nothing is lifted twice"
