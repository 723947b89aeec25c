"""What became of each entry that a strategy asked for: made, refused or cut by risk, held back.

Read from the events of a run. Risk judges an entry when it is planned, that of a reversal when the
position is closed, and once more when its order is made; a cut at that last look shows as an order
that is smaller than its part of the plan. Whatever else keeps an entry from being sent, and is no
matter of execution, holds it back: a halt, a stop, an entry that still works, an order whose fate
is unknown, a bar of a pause that was told afterwards. What the position sizer takes is counted with
what risk takes. What an exchange refuses, fills late or does not fill, and what was sent too late,
is execution: such an entry counts as made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from genesis.domain.instrument import Instrument
from genesis.risk.levels import RiskLevel
from genesis.trading.deployment import STRATEGY_SIZE
from genesis.trading.events import Event, EventType, Payload
from genesis.trading.money import exact
from genesis.trading.order_manager import EXTERNAL, FORCED
from genesis.trading.payloads import (
    BreakerTripped,
    ConnectionChanged,
    DeploymentAdded,
    IntentExpired,
    OpportunityRejected,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderQuery,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
    RiskAssessed,
    RiskLevelChanged,
    RunResumed,
    RunStarted,
    SignalGenerated,
    TradeClosed,
    TradeIntent,
)
from genesis.trading.planners import CLOSE, NEW, round_size
from genesis.trading.planning import NONE, SIZING
from genesis.trading.store import EventReader
from genesis.trading.worker import ENTRY, STOP, TARGET

ENTRY_TYPES = (
    EventType.RUN_STARTED,
    EventType.RUN_RESUMED,
    EventType.CONNECTION_CHANGED,
    EventType.DEPLOYMENT_ADDED,
    EventType.SIGNAL_GENERATED,
    EventType.RISK_ASSESSED,
    EventType.RISK_LEVEL_CHANGED,
    EventType.BREAKER_TRIPPED,
    EventType.OPPORTUNITY_REJECTED,
    EventType.TRADE_INTENT,
    EventType.INTENT_EXPIRED,
    EventType.ORDER_SUBMIT,
    EventType.ORDER_ACCEPTED,
    EventType.ORDER_REJECTED,
    EventType.ORDER_FILLED,
    EventType.ORDER_CANCELED,
    EventType.ORDER_UNKNOWN,
    EventType.ORDER_STATUS,
    EventType.ORDER_QUERY,
    EventType.TRADE_CLOSED,
)
"""Events that an `EntryFold` reads."""

_REPLIES = (
    OrderAccepted,
    OrderRejected,
    OrderCanceled,
    OrderUnknown,
    OrderStatus,
    OrderQuery,
)
"""Any of these says that an order had left."""

_HALTED = "halted"
_BY_RISK = tuple(f"risk level {level.name}: " for level in RiskLevel)
"""Beginning of the reason of a halt that the risk manager asked for."""
_COURSE = (STOP, TARGET, EXTERNAL, "unprotected", *sorted(FORCED))
"""Why a position is closed by its own course or by what an exchange did."""
_EXECUTION = (
    "the position is flat already",
    "it is being closed already",
    *(f"closed by {cause} before" for cause in _COURSE),
)
"""Beginnings of reasons that the course of a position gave: the backtest has its own."""


class Fate(StrEnum):
    """What became of an entry; one that is MADE may have been cut."""

    MADE = "made"
    REFUSED = "refused by risk"
    HELD_BACK = "held back"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that a strategy asked for.

    Attributes
    ----------
    symbol : str
    open_ms : int
        Open time of the bar at whose close it was decided.
    fate : Fate
    scale : float
        Share of its size that might be sent.
    enforced : float
        Share that profile ``enforce`` leaves; another one than `scale` where it was only observed.
    """

    symbol: str
    open_ms: int
    fate: Fate
    scale: float
    enforced: float


@dataclass(slots=True)
class _Asked:
    """An entry under way."""

    added: DeploymentAdded
    signal: SignalGenerated
    ts_ms: int
    assessed: RiskAssessed | None = None
    intent: TradeIntent | None = None
    fate: Fate | None = None
    parts: int = 0
    lost: Decimal = Decimal(0)
    closed: bool = False
    unwanted: bool = False

    @property
    def slices(self) -> tuple[Decimal, ...]:
        """Parts of its plan."""
        execution = self.intent.execution if self.intent is not None else None
        return execution.slices if execution is not None else ()

    def _asked_size(self, assessed: RiskAssessed) -> Decimal:
        """Size that the strategy asked for: risk was asked for what the sizer left of it."""
        if self.added.options.get("sizing", STRATEGY_SIZE) == STRATEGY_SIZE:
            return assessed.asked.copy_abs()
        return round_size(exact(abs(self.signal.quantity)), Instrument(**self.added.instrument))

    def entry(self) -> Entry:
        """What became of it, as far as it was told."""
        scale = enforced = 1.0
        fate = self.fate or Fate.MADE
        if self.assessed is not None and self.assessed.asked:
            asked = self._asked_size(self.assessed)
            left = self.assessed.size.copy_abs()
            if self.intent is not None and self.intent.size is not None:
                left = self.intent.size.size - self.lost
            if left != asked:
                scale = float(left / asked)
            enforced = scale
            if self.assessed.would != self.assessed.size:
                enforced = float(self.assessed.would.copy_abs() / asked)
        if self.fate is not None and self.fate is not Fate.MADE:
            scale = enforced = 0.0
        elif scale == 0.0:
            fate = Fate.REFUSED
        bar = self.signal.bar * self.added.interval_ms
        return Entry(self.added.symbol, self.added.anchor_ms + bar, fate, scale, enforced)


class EntryFold:
    """Follows the entries of a run's log, event by event in its order."""

    def __init__(self) -> None:
        self._added: dict[str, DeploymentAdded] = {}
        self._asked: dict[str, _Asked] = {}
        self._latest: dict[str, _Asked | None] = {}
        self._assessed: dict[str, RiskAssessed] = {}
        self._working: dict[str, _Asked] = {}
        self._intents: dict[str, _Asked] = {}
        self._orders: dict[str, _Asked] = {}
        self._left: set[str] = set()
        self._grave: dict[str, bool] = {}
        self._back_ms = 0
        self._enforced = False
        self._handlers: dict[type[Payload], Callable[[Event, Any], None]] = {
            RunStarted: self._on_started,
            RunResumed: self._on_back,
            ConnectionChanged: self._on_back,
            DeploymentAdded: self._on_added,
            SignalGenerated: self._on_signal,
            RiskAssessed: self._on_assessed,
            RiskLevelChanged: self._on_level,
            BreakerTripped: self._on_tripped,
            OpportunityRejected: self._on_rejected,
            TradeIntent: self._on_intent,
            IntentExpired: self._on_expired,
            OrderSubmit: self._on_submit,
            OrderFilled: self._on_fill,
            TradeClosed: self._on_closed,
            **dict.fromkeys(_REPLIES, self._on_reply),
        }

    def take(self, event: Event) -> None:
        """Take the next event; of no other type than `ENTRY_TYPES` anything is taken."""
        handler = self._handlers.get(type(event.data))
        if handler is not None:
            handler(event, event.data)

    def entries(self) -> list[tuple[DeploymentAdded, Entry]]:
        """Every entry that was asked for, with its deployment, in the order of the log."""
        self._see_unsent()
        return [(asked.added, asked.entry()) for asked in self._asked.values()]

    # ---- the run -----------------------------------------------------------------------------

    def _on_started(self, _: Event, data: RunStarted) -> None:
        risk = data.settings.get("risk", {})
        self._enforced = isinstance(risk, dict) and risk.get("profile") == "enforce"

    def _on_back(self, event: Event, data: RunResumed | ConnectionChanged) -> None:
        if isinstance(data, RunResumed) or data.connected:
            self._back_ms = event.recorded_ms

    def _on_added(self, _: Event, data: DeploymentAdded) -> None:
        self._added[data.deployment] = data

    def _on_level(self, _: Event, data: RiskLevelChanged) -> None:
        level = RiskLevel[data.after]
        self._grave[data.account] = level.reduces_only
        if level.reduces_only:
            self._call_off(data.account)

    def _on_tripped(self, _: Event, data: BreakerTripped) -> None:
        self._call_off(data.account)

    def _call_off(self, account: str) -> None:
        """Risk wants no entry that is not sent yet: a fresh trip and a grave level say so."""
        for asked in self._latest.values():
            if asked is not None and asked.added.account == account and not asked.closed:
                asked.unwanted = True

    # ---- planning ----------------------------------------------------------------------------

    def _on_signal(self, event: Event, data: SignalGenerated) -> None:
        self._latest[data.deployment] = None
        added = self._added.get(data.deployment)
        if data.quantity != 0.0 and added is not None:
            asked = _Asked(added, data, event.ts_ms)
            asked.unwanted = self._grave.get(added.account, False)
            self._asked[data.signal_id] = self._latest[data.deployment] = asked

    def _on_assessed(self, _: Event, data: RiskAssessed) -> None:
        self._assessed[data.risk_id] = data

    def _on_rejected(self, _: Event, data: OpportunityRejected) -> None:
        if data.stage == "risk":
            self._refuse_part(data)
            return
        asked = self._asked.get(data.signal_id)
        if asked is None or data.reason.startswith(_EXECUTION):
            return
        judged = self._assessed.get(data.risk_id)
        asked.assessed = judged or asked.assessed
        asked.fate = Fate.REFUSED if data.stage == SIZING else _refusal(judged, data.reason)

    def _refuse_part(self, data: OpportunityRejected) -> None:
        """An order was refused when it was made: of an entry, if it is the next part of one.

        Orders that close or protect a position are on the other side of its entry.
        """
        asked, judged = self._working.get(data.deployment), self._assessed.get(data.risk_id)
        if asked is None or judged is None or asked.parts >= len(asked.slices):
            return
        if (judged.asked > 0) == (asked.signal.quantity > 0.0):
            if not asked.parts:
                asked.fate = _refusal(judged, data.reason)
            asked.lost += sum(asked.slices[asked.parts :], Decimal(0))
            asked.parts = len(asked.slices)

    def _on_intent(self, _: Event, data: TradeIntent) -> None:
        signals = data.causality.signal_ids
        asked = self._asked.get(signals[-1]) if signals else None
        if asked is None or data.scope not in (NEW, CLOSE):
            return
        self._intents[data.intent_id] = asked
        if data.scope == NEW:
            asked.intent = data
            risks = data.causality.risk_ids
            asked.assessed = self._assessed.get(risks[-1]) if risks else None
            self._working[data.deployment] = asked

    def _on_expired(self, _: Event, data: IntentExpired) -> None:
        asked = self._intents.get(data.intent_id)
        if asked is not None and asked.ts_ms < self._back_ms:
            asked.fate = Fate.HELD_BACK

    def _on_closed(self, _: Event, data: TradeClosed) -> None:
        asked = self._latest.get(data.deployment)
        if asked is not None and asked.signal.close_reason != NONE:
            asked.closed = data.reason not in _COURSE

    # ---- orders ------------------------------------------------------------------------------

    def _on_submit(self, event: Event, data: OrderSubmit) -> None:
        asked = self._intents.get(data.intent_id) if data.purpose == ENTRY else None
        if asked is None or asked.parts >= len(asked.slices):
            return
        asked.lost += asked.slices[asked.parts] - data.order.size
        asked.parts += 1
        self._orders[data.order.client_id] = asked
        late = 0 < data.order.expires_ms < event.recorded_ms
        if late and asked.ts_ms >= self._back_ms:
            self._left.add(data.order.client_id)  # it would have, but for its being late

    def _on_fill(self, _: Event, data: OrderFilled) -> None:
        self._left.add(data.fill.client_id)

    def _on_reply(self, _: Event, data: Payload) -> None:
        self._left.add(getattr(data, "client_id", ""))

    def _see_unsent(self) -> None:
        """Entries that were called off without a word: before they were planned, or in the door."""
        left = {id(asked) for client, asked in self._orders.items() if client in self._left}
        made = {id(asked) for asked in self._orders.values()}
        for asked in self._asked.values():
            stopped = id(asked) in made and id(asked) not in left
            silent = asked.closed and asked.intent is None and asked.assessed is None
            if asked.fate is None and (stopped or silent):
                by_risk = asked.unwanted and self._enforced
                asked.fate = Fate.REFUSED if by_risk else Fate.HELD_BACK


def _refusal(judged: RiskAssessed | None, reason: str) -> Fate:
    """Whose doing a refusal was."""
    if any(halt in reason for halt in _BY_RISK):
        return Fate.REFUSED
    by_risk = judged is not None and judged.rule != _HALTED
    return Fate.REFUSED if by_risk else Fate.HELD_BACK


def read_entries(reader: EventReader) -> dict[str, list[Entry]]:
    """Entries of each strategy of a run, by its id; the log is read as it is, not verified."""
    fold = EntryFold()
    for event in reader.events(types=ENTRY_TYPES):
        fold.take(event)
    found: dict[str, list[Entry]] = {}
    for added, entry in fold.entries():
        found.setdefault(added.strategy_id, []).append(entry)
    return found
