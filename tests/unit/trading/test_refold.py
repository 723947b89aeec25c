"""A log folded again: equal, or the first difference by name; only what was lost is made up."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from genesis.domain.errors import InfrastructureError
from genesis.trading.core import TradingCore
from genesis.trading.events import Event, Lane
from genesis.trading.loop import HaltedOnEvent
from genesis.trading.order_manager import OrderSettings
from genesis.trading.payloads import (
    AlertRaised,
    BarClosed,
    OrderSubmit,
    SignalGenerated,
    TradeClosed,
    TradeIntent,
)
from genesis.trading.replay import Refold, require_equal, same
from tests.unit.trading.clearing import observing
from tests.unit.trading.core_rig import GUARDED, Rig
from tests.unit.trading.test_loop import course


def fresh() -> TradingCore:
    return TradingCore("run", observing(), orders=OrderSettings(ack_ms=0))


@pytest.fixture
def rig() -> Rig:
    rig = Rig(GUARDED)
    course(rig)
    assert len(rig.all(TradeClosed)) >= 2
    return rig


def copy(event: Event) -> Event:
    return msgspec.structs.replace(event)


def folded(events: list[Event], core: TradingCore | None = None, **more: object) -> Refold:
    refold = Refold(core or fresh(), **more)  # type: ignore[arg-type]
    for event in events:
        refold.handle(event)
    return refold


def test_a_log_leads_to_the_state_it_was_written_in(rig: Rig) -> None:
    core = fresh()
    refold = folded(rig.log.events, core)
    assert (refold.divergences, refold.pending()) == ([], [])
    assert refold.events == len(rig.log.events)
    assert core.state_hash == rig.core.state_hash
    require_equal(refold, "run")


def test_rows_of_a_fold_are_those_of_the_run(rig: Rig) -> None:
    rig.loop.flush()
    refold, rows = Refold(fresh()), []
    for event in rig.log.events:
        rows += refold.handle(event)
    assert rows == rig.log.rows


CHANGES: list[tuple[str, type, Callable[[Event], Event | None]]] = [
    ("another price", SignalGenerated,
     lambda e: _with(e, values={**e.data.values, "close": 1.0})),  # type: ignore[attr-defined]
    ("another side", OrderSubmit, lambda e: _with(e, purpose="entri")),
    ("another time", TradeIntent, lambda e: msgspec.structs.replace(e, ts_ms=e.ts_ms + 1)),
    ("another plan", TradeIntent, lambda e: msgspec.structs.replace(e, correlation="TPL_X")),
    ("another aggregate", TradeClosed, lambda e: msgspec.structs.replace(e, aggregate="X")),
    ("another cause", TradeIntent, lambda e: msgspec.structs.replace(e, caused_by=e.caused_by - 1)),
    ("another place", TradeIntent, lambda e: msgspec.structs.replace(e, ordinal=9)),
    ("another type", SignalGenerated,
     lambda e: msgspec.structs.replace(e, data=AlertRaised("info", "a", "b", "c"))),
]  # fmt: skip


def _with(event: Event, **fields: object) -> Event:
    return msgspec.structs.replace(event, data=msgspec.structs.replace(event.data, **fields))


@pytest.mark.parametrize(("what", "kind", "change"), CHANGES, ids=[c[0] for c in CHANGES])
def test_a_changed_emission_is_found(
    rig: Rig, what: str, kind: type, change: Callable[[Event], Event]
) -> None:
    place = next(k for k, e in enumerate(rig.log.events) if isinstance(e.data, kind))
    events = list(map(copy, rig.log.events))
    events[place] = change(events[place])
    refold = Refold(fresh())
    for event in events[: place + 1]:
        refold.handle(event)
    assert refold.divergences, what
    assert refold.divergences[0].seq == events[place].seq
    with pytest.raises(InfrastructureError) as caught:
        require_equal(refold, "run")
    assert f"event {events[place].seq}" in caught.value.why


def test_an_event_that_was_put_into_the_log_is_found(rig: Rig) -> None:
    place = next(k for k, e in enumerate(rig.log.events) if isinstance(e.data, TradeIntent))
    extra = msgspec.structs.replace(rig.log.events[place], ordinal=5)
    refold = folded([*map(copy, rig.log.events[: place + 1]), extra])
    assert "was not emitted" in refold.divergences[0].what


def test_what_was_not_stored_any_more_is_still_to_be_done(rig: Rig) -> None:
    """The run ended between a commit and the next: the rest is emitted again, nothing else."""
    for place, event in enumerate(rig.log.events):
        if not isinstance(event.data, TradeIntent | OrderSubmit):
            continue
        refold = folded(rig.log.events[:place])
        assert refold.divergences == []
        pending = refold.pending()
        assert any(same(made, event) for made in pending)
        later = rig.log.events[place:]
        assert all(any(same(made, e) for e in later) for made in pending)


def test_what_the_log_should_have_by_now_is_a_difference_not_a_task(rig: Rig) -> None:
    """A build that wants one order more must not send it for every bar of the past."""
    core = fresh()
    handle = core.handle

    def generous(event: Event) -> None:
        handle(event)
        if isinstance(event.data, BarClosed):
            core.desk.emit(AlertRaised("info", "x", "a bar", "closed"))
            core.desk.emit(rig.orders()[0])

    core.handle = generous  # type: ignore[method-assign]
    refold = folded(rig.log.events, core)
    pending = refold.pending()
    assert refold.divergences
    assert "is not in the log" in refold.divergences[0].what
    first = next(e.seq for e in rig.log.events if isinstance(e.data, BarClosed))
    assert refold.divergences[0].seq == first
    high = [e for e in pending if e.lane is Lane.HIGH]
    stored = max(e.caused_by for e in rig.log.events if e.lane is Lane.HIGH)
    assert all(e.caused_by >= stored for e in high)


def test_an_event_that_cannot_be_handled_is_named(rig: Rig) -> None:
    core = fresh()

    handle = core.handle

    def broken(event: Event) -> None:
        if isinstance(event.data, TradeIntent):
            raise ValueError("no")
        handle(event)

    place = next(k for k, e in enumerate(rig.log.events) if isinstance(e.data, TradeIntent))
    core.handle = broken  # type: ignore[method-assign]
    with pytest.raises(HaltedOnEvent) as caught:
        folded(rig.log.events, core)
    assert f"event {rig.log.events[place].seq} (trade_intent)" in caught.value.what
    assert f"quarantine run {rig.log.events[place].seq}" in caught.value.fix


def test_a_quarantined_event_is_passed_over_with_what_it_led_to(rig: Rig) -> None:
    core = fresh()
    seen: list[int] = []
    handle = core.handle
    core.handle = lambda e: (seen.append(e.seq), handle(e))[1]  # type: ignore[method-assign,func-returns-value]
    place = max(k for k, e in enumerate(rig.log.events) if isinstance(e.data, TradeClosed))
    cause = rig.log.events[place].caused_by
    refold = folded(rig.log.events[: place + 1], core, quarantined=(cause,))
    assert cause not in seen
    assert refold.divergences == []


def test_only_so_many_differences_are_listed(rig: Rig) -> None:
    core = fresh()
    refold = Refold(core)
    for number in range(1, 400):
        event = Event(AlertRaised("info", "x", "y", "z"), 0, caused_by=number, seq=number)
        refold.handle(event)
    assert len(refold.divergences) == Refold.MOST_DIVERGENCES
