"""The stages of a run's flow, from the feed to the ledger, as the watch reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from genesis.trading.bus import EventBus
from genesis.trading.events import Lane, Payload
from genesis.trading.flow import Flow, Waiting, waiting_of
from genesis.trading.inbox import Inbox
from genesis.trading.lockstep import LockStep
from genesis.trading.loop import TradingLoop
from genesis.trading.payloads import OrderFilled, SignalGenerated, TradeIntent
from genesis.trading.progress import LIMIT_S, Reading, Stage

FEED, EXCHANGE, INTAKE = "feed", "exchange", "intake"
STORE, LOOP, DECISIONS, EXECUTION = "store", "loop", "decisions", "execution"
GATEWAY, LEDGER, INBOX = "gateway", "ledger", "inbox"


def lane_stage(lane: Lane) -> str:
    """Name of the stage of a lane of the bus."""
    return f"bus:{lane.name.lower()}"


ORDER: tuple[str, ...] = (
    FEED,
    EXCHANGE,
    INTAKE,
    *(lane_stage(lane) for lane in Lane),
    STORE,
    LOOP,
    DECISIONS,
    EXECUTION,
    GATEWAY,
    LEDGER,
    INBOX,
)
"""Stages in the order of the flow."""


class _Glance:
    """One look at what waits, shared by the stages that are read in the same round."""

    def __init__(self, bus: EventBus, flow: Flow) -> None:
        self._bus = bus
        self._flow = flow
        self._seen: Waiting = waiting_of(())

    def look(self) -> Waiting:
        """Look anew."""
        # What is in work first: an event on its way from the bus is missed once, never seen twice.
        events = [*self._flow.in_work(), *self._bus.peek()]
        self._seen = waiting_of(events)
        return self._seen

    @property
    def seen(self) -> Waiting:
        """What the last look saw."""
        return self._seen


def loop_stages(
    bus: EventBus,
    loop: TradingLoop,
    *,
    limit_s: float = LIMIT_S,
    alive: Callable[[], bool] | None = None,
) -> list[Stage]:
    """Stages between the producers and the ledger.

    Parameters
    ----------
    bus : EventBus
    loop : TradingLoop
    limit_s : float
        Longest that an item may wait in any of them.
    alive : callable, optional
        Whether the thread of the loop is there.
    """
    flow = loop.flow
    glance = _Glance(bus, flow)

    def lane(one: Lane) -> Callable[[], Reading]:
        return lambda: Reading(*bus.passed[one])

    def of_type(kind: type[Payload], *, first: bool = False) -> Callable[[], Reading]:
        def read() -> Reading:
            done = flow.counts[kind]
            waiting = glance.look() if first else glance.seen
            return Reading(done + waiting.counts[kind], done)

        return read

    def store() -> Reading:
        return Reading(flow.drained, flow.committed)

    def handling() -> Reading:
        return Reading(flow.committed, flow.handled)

    def gateway() -> Reading:
        open_ = flow.unanswered(glance.seen.answered)
        return Reading(flow.sent, flow.sent - len(open_), open_[0] if open_ else 0)

    def ledger() -> Reading:
        booked = flow.booked
        done = flow.counts[OrderFilled]
        return Reading(done + glance.seen.counts[OrderFilled], booked)

    stages = [Stage(lane_stage(one), lane(one), limit_s) for one in Lane]
    stages += [
        Stage(STORE, store, limit_s),
        Stage(LOOP, handling, limit_s, alive=alive) if alive else Stage(LOOP, handling, limit_s),
        Stage(DECISIONS, of_type(SignalGenerated, first=True), limit_s),
        Stage(EXECUTION, of_type(TradeIntent), limit_s),
        Stage(GATEWAY, gateway, limit_s),
        Stage(LEDGER, ledger, limit_s),
    ]
    return stages


def lockstep_stages(driver: LockStep, *, limit_s: float = LIMIT_S) -> list[Stage]:
    """Stages before the bus, of a run that is driven in lock-step."""

    def feed() -> Reading:
        read = driver.read
        return Reading(read + driver.waits, read)

    return [
        Stage(FEED, feed, limit_s),
        Stage(EXCHANGE, lambda: Reading(driver.read, driver.shown), limit_s),
        Stage(INTAKE, lambda: Reading(driver.shown, driver.published), limit_s),
    ]


def inbox_stage(inbox: Inbox, *, limit_s: float = LIMIT_S) -> Stage:
    """Commands of a person: files that came, and files that are gone."""
    here: dict[str, None] = {}
    gone = 0

    def read() -> Reading:
        nonlocal gone
        try:
            names = inbox.waiting()
        except OSError:
            names = list(here)  # the folder cannot be read: nothing is known to have moved
        for name in set(here).difference(names):
            del here[name]
            gone += 1
        here.update(dict.fromkeys(names))
        return Reading(gone + len(here), gone)

    return Stage(INBOX, read, limit_s)


def in_order(stages: Sequence[Stage]) -> list[Stage]:
    """Stages in the order of the flow; those without a place there come last."""
    places = {name: place for place, name in enumerate(ORDER)}
    return sorted(stages, key=lambda stage: places.get(stage.name, len(places)))
