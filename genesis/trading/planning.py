"""From a signal to a directive: causality, plans, risk; or a rejected opportunity."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from genesis.trading.deployment import Deployment
from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.gateway import Side
from genesis.trading.guard import RiskGuard
from genesis.trading.money import by_side
from genesis.trading.payloads import (
    Causality,
    OpportunityRejected,
    Origin,
    SignalGenerated,
    SizePlan,
    TradeIntent,
)
from genesis.trading.planners import StrategyPlanner
from genesis.trading.sizing import EntrySizer

NONE = "none"
SIZING = "sizing"
"""Stage of an opportunity that the position sizer left nothing of."""


class _Left(NamedTuple):
    """What sizer and risk manager leave of an entry, or why that is nothing."""

    size: SizePlan
    risk_id: str = ""
    why: str = ""
    stage: str = ""


class Planning:
    """Handles signals.

    Parameters
    ----------
    desk : Desk
    guard : RiskGuard
    """

    def __init__(self, desk: Desk, guard: RiskGuard) -> None:
        self._desk = desk
        self._guard = guard
        self._planner = StrategyPlanner()
        self._sizer = EntrySizer(desk, guard)

    def on_signal(self, event: Event) -> None:
        """Plan what a signal asks for: a close, an entry, or a close and then an entry."""
        signal = event.data
        assert isinstance(signal, SignalGenerated)
        deployment = self._desk.deployments[signal.deployment]
        deployment.signal_id, deployment.origin = signal.signal_id, signal.origin
        self._desk.journal.on_signal(signal)
        leaving = signal.close_reason != NONE
        if leaving and not self._close(event, deployment, signal):
            return
        if signal.quantity == 0.0:
            return
        intent = self._entry(event, deployment, signal, wait=leaving)
        if intent is None:
            return
        if leaving:
            deployment.waiting = intent
        else:
            self._desk.emit(intent, deployment.id, intent.causality.plan_id)

    def _close(self, event: Event, deployment: Deployment, signal: SignalGenerated) -> bool:
        if deployment.position == 0.0:
            self._reject(deployment, signal, "the position is flat already")
            return False
        if deployment.closing:
            self._reject(deployment, signal, f"it is being closed already: {deployment.closing}")
            return False
        self.leave(event, deployment, signal.close_reason, signal.origin, (signal.signal_id,))
        return True

    def leave(
        self,
        event: Event,
        deployment: Deployment,
        reason: str,
        origin: Origin,
        signal_ids: tuple[str, ...] = (),
    ) -> None:
        """Emit the directive to close the whole position of a deployment."""
        desk = self._desk
        deployment.closing = reason
        held = desk.ledger.holding(deployment.account, deployment.symbol)
        intent = self._planner.leave(
            deployment,
            reason,
            held.size.copy_abs(),
            # A position that was taken over may be closed before its symbol has traded.
            desk.market.prices.get(deployment.symbol, deployment.entry),
            Causality(origin, signal_ids, (), desk.new_id("STR"), deployment.plan_id),
            desk.new_id("INT"),
            event.recorded_ms,
        )
        desk.emit(intent, deployment.id, deployment.plan_id)

    def _entry(
        self, event: Event, deployment: Deployment, signal: SignalGenerated, *, wait: bool
    ) -> TradeIntent | None:
        """Directive to open what a signal asks for, None with the reason on record."""
        desk = self._desk
        size = self._planner.sized(deployment, signal)
        if size.size <= Decimal(0):
            self._reject(deployment, signal, "no size is left after rounding")
            return None
        if not wait and deployment.plan_id:
            self._reject(deployment, signal, "an entry is working already")
            return None
        risk_ids: tuple[str, ...] = ()
        if not wait:  # the entry of a reversal is judged when it is sent: now there is a position
            side = Side.BUY if signal.quantity > 0.0 else Side.SELL
            close = signal.values["close"]
            left = self._left(deployment, signal.signal_id, size, side, close)
            if left.why:
                stage = left.stage or "planning"
                self._reject(deployment, signal, left.why, left.risk_id, stage)
                return None
            size, risk_ids = left.size, (left.risk_id,)
        causality = Causality(
            signal.origin, (signal.signal_id,), risk_ids, desk.new_id("STR"), desk.new_id("TPL")
        )
        return self._planner.enter(
            deployment, signal, size, causality, desk.new_id("INT"), _decided_ms(event)
        )

    def _left(
        self, deployment: Deployment, signal_id: str, size: SizePlan, side: Side, price: float
    ) -> _Left:
        """Size an entry that is about to be sent, and have it judged."""
        size = self._sizer.limit(deployment, size, float(by_side(side, Decimal(1))))
        if not size.size:
            return _Left(size, why=size.sizing, stage=SIZING)
        wanted = by_side(side, size.size)
        decision = self._guard.judge(deployment, wanted, None, reduce_only=False)
        risk_id = self._guard.assess(deployment, signal_id, decision)
        if not decision.approved:
            return _Left(size, risk_id, decision.text)
        size = self._planner.cut(deployment, size, decision, price)
        why = "" if size.size else f"too little is left: {decision.text}"
        return _Left(size, risk_id, why)

    def release(self, event: Event, deployment: Deployment, *, void: str) -> None:
        """The position is flat: send the entry that waited for it, or say why it is void."""
        intent, deployment.waiting = deployment.waiting, None
        if intent is None:
            return
        assert intent.entry is not None
        assert intent.size is not None
        signal = intent.causality.signal_ids[-1]
        left = _Left(intent.size, why=void)
        if not void:
            price = float(intent.entry.reference)
            left = self._left(deployment, signal, intent.size, intent.entry.side, price)
        if left.why:
            stage = left.stage or "execution"
            self._desk.emit(
                OpportunityRejected(deployment.id, signal, stage, left.why, left.risk_id),
                deployment.id,
                intent.causality.plan_id,
            )
            return
        if left.size is not intent.size:
            intent = self._planner.resized(deployment, intent, left.size)
        fresh = replace(
            intent,
            reason="reversal",
            causality=replace(intent.causality, risk_ids=(left.risk_id,)),
            expires_ms=_decided_ms(event) + deployment.options.intent_ttl_ms,
        )
        self._desk.emit(fresh, deployment.id, intent.causality.plan_id)

    def _reject(
        self,
        deployment: Deployment,
        signal: SignalGenerated,
        why: str,
        risk_id: str = "",
        stage: str = "planning",
    ) -> None:
        self._desk.emit(
            OpportunityRejected(deployment.id, signal.signal_id, stage, why, risk_id),
            deployment.id,
            signal.origin.id,
        )


def _decided_ms(event: Event) -> int:
    """When what an entry is based on happened, by the clock that was behind.

    Not when it was handled: a signal that waited for a consumer, or for a process to come back, is
    as old as its bar, and its entry must not get a new lease of life.
    """
    return min(event.ts_ms, event.recorded_ms)
