"""StrategyJournal: why. One entry for each order, fill, refusal and decision, with its causes.

What is real is not in here; `genesis.trading.ledger` holds that, and both are joined by order and
fill ids. An entry of an order points to the intent's entry, one of a fill to the order's latest:
causes are carried from entry to entry, so that a fill finds its origin whenever it comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from genesis.domain.ids import Ids
from genesis.trading.events import Event
from genesis.trading.gateway import VenueFill
from genesis.trading.orders import Order, OrderState
from genesis.trading.payloads import (
    Causality,
    IntentExpired,
    OperatorCommand,
    OpportunityRejected,
    Origin,
    RiskAssessed,
    SignalGenerated,
    TradeIntent,
)
from genesis.trading.tables import Row, Table

JOURNAL = Table(
    "journal",
    {
        "entry_id": "TEXT",
        "previous_id": "TEXT",
        "kind": "TEXT",
        "deployment": "TEXT",
        "plan_id": "TEXT",
        "intent_id": "TEXT",
        "order_id": "TEXT",
        "fill_id": "TEXT",
        "origin_kind": "TEXT",
        "origin_id": "TEXT",
        "origin_seq": "INTEGER",
        "signal_ids": "TEXT",
        "risk_ids": "TEXT",
        "directive_id": "TEXT",
        "context": "TEXT",
        "text": "TEXT",
        "ts_ms": "INTEGER",
        "recorded_ms": "INTEGER",
        "seq": "INTEGER",
    },
    ("entry_id",),
    (("order_id",), ("fill_id",), ("plan_id",), ("intent_id",), ("kind", "seq")),
)
TABLES = (JOURNAL,)
"""Tables of the journal, for the store that holds them."""

RETAINED = 512
PLANS = 3

_JSON = msgspec.json.Encoder().encode
_NO_ORIGIN = Origin("", "", 0)
_NO_CAUSE = Causality(_NO_ORIGIN, (), (), "", "")
EXTERNAL = Causality(Origin("external", "", 0), (), (), "", "")
"""Cause of what nobody here decided: a person's trade, a liquidation, an adoption."""


class Chain(msgspec.Struct):
    """Causes of one intent or order, the latest entry about it, and whether the order is over."""

    causality: Causality
    entry_id: str
    over: bool = False


class StrategyJournal:
    """Writer of the journal, and its short memory.

    In memory are, of each deployment, its latest signal with its risk assessments and the chains
    of its latest plans (it has one open, and one that waits for a reversal); the chain of an
    order stays until `RETAINED` later orders are over too.
    """

    def __init__(self) -> None:
        self._ids = Ids()
        self._signals: dict[str, SignalGenerated] = {}
        self._risks: dict[str, dict[str, RiskAssessed]] = {}
        self._plans: dict[str, dict[str, dict[str, Chain]]] = {}
        self._orders: dict[str, Chain] = {}
        self._done: deque[str] = deque()

    # ---- decisions ---------------------------------------------------------------------------

    def on_signal(self, data: SignalGenerated) -> None:
        """Keep what a signal saw until it is acted on; the next one replaces it."""
        self._signals[data.deployment] = data
        self._risks.pop(data.deployment, None)

    def on_risk(self, data: RiskAssessed) -> None:
        """Keep an assessment until its order or refusal is written."""
        self._risks.setdefault(data.deployment, {})[data.risk_id] = data

    def on_intent(self, data: TradeIntent, event: Event, rows: list[Row]) -> str:
        """Write what was decided, with the values that the decision saw."""
        context: dict[str, Any] = self._seen(data.deployment)
        context["scope"] = data.scope
        for name in ("entry", "size", "exit", "execution"):
            plan = getattr(data, name)
            if plan is not None:
                context[name] = plan
        entry = self._write(
            "intent",
            event,
            rows,
            data.causality,
            deployment=data.deployment,
            intent_id=data.intent_id,
            context=context,
            text=data.reason,
        )
        plans = self._plans.setdefault(data.deployment, {})
        chains = plans.setdefault(data.causality.plan_id, {})
        if len(plans) > PLANS:
            del plans[next(iter(plans))]
        chains[data.intent_id] = Chain(data.causality, entry)
        return entry

    def on_rejected_opportunity(
        self, data: OpportunityRejected, event: Event, rows: list[Row]
    ) -> str:
        """Write down a signal that led to no order."""
        signal = self._signals.get(data.deployment)
        mine = signal is not None and signal.signal_id == data.signal_id
        origin = signal.origin if signal is not None and mine else _NO_ORIGIN
        risks = (data.risk_id,) if data.risk_id else ()
        signals = (data.signal_id,) if data.signal_id else ()
        context = self._seen(data.deployment) if mine else {}
        context["stage"] = data.stage
        return self._write(
            "rejected_opportunity",
            event,
            rows,
            Causality(origin, signals, risks, "", ""),
            deployment=data.deployment,
            context=context,
            text=data.reason,
        )

    def on_intent_expired(
        self,
        data: IntentExpired,
        event: Event,
        rows: list[Row],
        causality: Causality | None = None,
    ) -> str:
        """Write down an intent that was not sent in time; its causes where no entry has them."""
        chain = self._intent(data) or Chain(causality or _NO_CAUSE, "")
        return self._write(
            "expired_intent",
            event,
            rows,
            chain.causality,
            deployment=data.deployment,
            intent_id=data.intent_id,
            previous=chain.entry_id,
            context={"late_ms": data.late_ms},
            text=f"{data.late_ms} ms too late",
        )

    def on_operator(self, data: OperatorCommand, event: Event, rows: list[Row]) -> str:
        """Write down what a person did."""
        origin = Origin("operator", data.command_id, event.seq)
        return self._write(
            "operator",
            event,
            rows,
            Causality(origin, (), (), "", ""),
            deployment=str(data.arguments.get("deployment", "")),
            context={"command": data.command, "who": data.who, **data.arguments},
            text=data.reason,
        )

    # ---- orders and fills --------------------------------------------------------------------

    def on_order(self, order: Order, event: Event, rows: list[Row]) -> str:
        """Write an order that is sent, with the causes of its intent."""
        chain = self._of_order(order)
        request = order.request
        seen = {
            "purpose": order.purpose,
            "side": request.side.value,
            "kind": request.kind.value,
            "size": request.size,
            "price": request.price,
            "reference": order.reference,
        }
        return self._about(order, "order", event, rows, chain, seen, order.purpose)

    def on_order_over(self, order: Order, event: Event, rows: list[Row]) -> str:
        """Write that an order ended without being filled completely."""
        kind = "rejection" if order.state is OrderState.REJECTED else order.state.value
        chain = self._of_order(order)
        seen = {"state": order.state.value, "filled": order.filled}
        return self._about(order, kind, event, rows, chain, seen, order.reason)

    def on_fill(
        self,
        order: Order | None,
        fill: VenueFill,
        fill_id: str,
        event: Event,
        rows: list[Row],
        *,
        deployment: str = "",
        plan_id: str = "",
    ) -> str:
        """Write a fill with the causes of its order, found through the order's previous entry."""
        seen: dict[str, Any] = {
            "size": fill.size,
            "price": fill.price,
            "reference": fill.reference,
            "maker": fill.maker,
        }
        if order is not None:
            seen["intended"] = order.reference
            chain = self._of_order(order)
            return self._about(order, "fill", event, rows, chain, seen, order.purpose, fill_id)
        cause = msgspec.structs.replace(
            EXTERNAL, origin=Origin("external", fill.fill_id, event.seq), plan_id=plan_id
        )
        return self._write(
            "external_fill",
            event,
            rows,
            cause,
            deployment=deployment,
            fill_id=fill_id,
            context=seen,
            text=fill.cause,
        )

    def note(
        self,
        kind: str,
        event: Event,
        rows: list[Row],
        *,
        deployment: str = "",
        context: Mapping[str, Any] | None = None,
        text: str = "",
    ) -> str:
        """Write an entry without a decision behind it: a reconciliation, an adoption."""
        return self._write(
            kind, event, rows, EXTERNAL, deployment=deployment, context=context, text=text
        )

    # ---- how an entry is written -------------------------------------------------------------

    def _seen(self, deployment: str) -> dict[str, Any]:
        """Signal and assessments of the decision that is being taken."""
        context: dict[str, Any] = {}
        signal = self._signals.get(deployment)
        if signal is not None:
            context["signal"] = {
                "id": signal.signal_id,
                "bar": signal.bar,
                "rules": signal.rules,
                "values": signal.values,
                "close_reason": signal.close_reason,
                "quantity": signal.quantity,
            }
        risks = self._risks.get(deployment)
        if risks:
            context["risks"] = [_risk(risk) for risk in risks.values()]
        return context

    def _intent(self, data: IntentExpired) -> Chain | None:
        for chains in self._plans.get(data.deployment, {}).values():
            if data.intent_id in chains:
                return chains[data.intent_id]
        return None

    def _of_order(self, order: Order) -> Chain:
        """Chain of an order: its previous entry, else that of its intent or plan."""
        chain = self._orders.get(order.order_id)
        if chain is not None:
            return chain
        chains = self._plans.get(order.deployment, {}).get(order.plan_id, {})
        # A protective order has no intent of its own: the plan's first one wanted it.
        start = chains.get(order.intent_id) or next(iter(chains.values()), None)
        if start is None:
            cause = msgspec.structs.replace(_NO_CAUSE, plan_id=order.plan_id)
            return Chain(cause, "")
        return start

    def _about(
        self,
        order: Order,
        kind: str,
        event: Event,
        rows: list[Row],
        chain: Chain,
        context: Mapping[str, Any],
        text: str,
        fill_id: str = "",
    ) -> str:
        entry = self._write(
            kind,
            event,
            rows,
            chain.causality,
            deployment=order.deployment,
            intent_id=order.intent_id,
            order_id=order.order_id,
            fill_id=fill_id,
            previous=chain.entry_id,
            context=context,
            text=text,
        )
        over = not order.live
        self._orders[order.order_id] = Chain(chain.causality, entry, over)
        if over and not chain.over:
            self._done.append(order.order_id)
            if len(self._done) > RETAINED:
                self._orders.pop(self._done.popleft(), None)
        return entry

    def _write(
        self,
        kind: str,
        event: Event,
        rows: list[Row],
        cause: Causality,
        *,
        deployment: str = "",
        intent_id: str = "",
        order_id: str = "",
        fill_id: str = "",
        previous: str = "",
        context: Mapping[str, Any] | None = None,
        text: str = "",
    ) -> str:
        entry = self._ids.new("JRN", event.ts_ms)
        values = (
            entry,
            previous,
            kind,
            deployment,
            cause.plan_id,
            intent_id,
            order_id,
            fill_id,
            cause.origin.kind,
            cause.origin.id,
            cause.origin.seq,
            _JSON(cause.signal_ids).decode(),
            _JSON(cause.risk_ids).decode(),
            cause.strategy_directive_id,
            _JSON(context or {}).decode(),
            text,
            event.ts_ms,
            event.recorded_ms,
            event.seq,
        )
        rows.append(("journal", values))
        return entry

    # ---- snapshots ---------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """State as canonical JSON can hold it."""
        plain = msgspec.to_builtins
        return {
            "ids": self._ids.counter,
            "signals": [plain(signal) for _, signal in sorted(self._signals.items())],
            "risks": [plain(r) for _, by_id in sorted(self._risks.items()) for r in by_id.values()],
            # As lists: which plan and order came first decides which is forgotten first.
            "plans": [
                [deployment, plan, plain(chains)]
                for deployment, plans in sorted(self._plans.items())
                for plan, chains in plans.items()
            ],
            "orders": [[k, plain(chain)] for k, chain in self._orders.items()],
            "done": list(self._done),
        }

    def restore(self, plain: dict[str, Any]) -> None:
        """Take over what `plain` wrote."""
        self._ids = Ids(plain["ids"])
        signals = [msgspec.convert(row, SignalGenerated) for row in plain["signals"]]
        self._signals = {signal.deployment: signal for signal in signals}
        self._risks = {}
        for row in plain["risks"]:
            self.on_risk(msgspec.convert(row, RiskAssessed))
        self._plans = {}
        for deployment, plan, chains in plain["plans"]:
            own = self._plans.setdefault(deployment, {})
            own[plan] = msgspec.convert(chains, dict[str, Chain])
        self._orders = {k: msgspec.convert(v, Chain) for k, v in plain["orders"]}
        self._done = deque(plain["done"])


def _risk(risk: RiskAssessed) -> dict[str, str | bool | float | Decimal]:
    return {
        "id": risk.risk_id,
        "approved": risk.approved,
        "rule": risk.rule,
        "value": risk.value,
        "limit": risk.limit,
        "text": risk.text,
    }
