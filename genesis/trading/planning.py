"""From a signal to a directive: causality, plans, risk; or a rejected opportunity."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from genesis.trading.deployment import Deployment
from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.guard import RiskGuard
from genesis.trading.money import by_side
from genesis.trading.payloads import (
    Causality,
    OpportunityRejected,
    Origin,
    SignalGenerated,
    TradeIntent,
)
from genesis.trading.planners import StrategyPlanner

NONE = "none"


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
            wanted = size.size if signal.quantity > 0.0 else -size.size
            decision = self._guard.judge(deployment, wanted, None, reduce_only=False)
            risk_ids = (self._guard.assess(deployment, signal.signal_id, decision),)
            if not decision.approved:
                self._reject(deployment, signal, decision.text, risk_ids[0])
                return None
            size = self._planner.cut(deployment, size, decision, signal.values["close"])
            if not size.size:
                why = f"too little is left: {decision.text}"
                self._reject(deployment, signal, why, risk_ids[0])
                return None
        causality = Causality(
            signal.origin, (signal.signal_id,), risk_ids, desk.new_id("STR"), desk.new_id("TPL")
        )
        return self._planner.enter(
            deployment, signal, size, causality, desk.new_id("INT"), _decided_ms(event)
        )

    def release(self, event: Event, deployment: Deployment, *, void: str) -> None:
        """The position is flat: send the entry that waited for it, or say why it is void."""
        intent, deployment.waiting = deployment.waiting, None
        if intent is None:
            return
        assert intent.entry is not None
        assert intent.size is not None
        signal = intent.causality.signal_ids[-1]
        why = void
        risk_ids: tuple[str, ...] = ()
        if not why:
            wanted = by_side(intent.entry.side, intent.size.size)
            decision = self._guard.judge(deployment, wanted, None, reduce_only=False)
            risk_ids = (self._guard.assess(deployment, signal, decision),)
            why = "" if decision.approved else decision.text
            if not why:
                price = float(intent.entry.reference)
                size = self._planner.cut(deployment, intent.size, decision, price)
                why = "" if size.size else f"too little is left: {decision.text}"
                if size is not intent.size:
                    intent = self._planner.resized(deployment, intent, size)
        if why:
            self._desk.emit(
                OpportunityRejected(deployment.id, signal, "execution", why, *risk_ids),
                deployment.id,
                intent.causality.plan_id,
            )
            return
        fresh = replace(
            intent,
            reason="reversal",
            causality=replace(intent.causality, risk_ids=risk_ids),
            expires_ms=_decided_ms(event) + deployment.options.intent_ttl_ms,
        )
        self._desk.emit(fresh, deployment.id, intent.causality.plan_id)

    def _reject(
        self, deployment: Deployment, signal: SignalGenerated, why: str, risk_id: str = ""
    ) -> None:
        self._desk.emit(
            OpportunityRejected(deployment.id, signal.signal_id, "planning", why, risk_id),
            deployment.id,
            signal.origin.id,
        )


def _decided_ms(event: Event) -> int:
    """When what an entry is based on happened, by the clock that was behind.

    Not when it was handled: a signal that waited for a consumer, or for a process to come back, is
    as old as its bar, and its entry must not get a new lease of life.
    """
    return min(event.ts_ms, event.recorded_ms)
