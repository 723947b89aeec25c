"""Halts, stalled stages, lost connections and operator commands: what takes risk away at once."""

from __future__ import annotations

from genesis.domain.timeline import MINUTE_MS
from genesis.risk.book import MOST_PERMIT_MS
from genesis.trading.deployment import Deployment
from genesis.trading.desk import WARM_UP, Desk
from genesis.trading.events import Event
from genesis.trading.guard import RiskGuard
from genesis.trading.payloads import (
    AlertRaised,
    ConnectionChanged,
    DeploymentStopped,
    OperatorCommand,
    Origin,
    QueueOverflowed,
    Quote,
    StageRecovered,
    StageStalled,
    StopLossTriggered,
    SymbolEnded,
    TakeProfitTriggered,
    TradeClosed,
    TradingHalted,
    TradingResumed,
)
from genesis.trading.planning import Planning
from genesis.trading.worker import STOP, ExecutionWorker

LONG_WARM_UP_MS = 5 * MINUTE_MS
"""Past bars that take longer than this are worth a look."""


class Safety:
    """Handles what may not wait.

    Parameters
    ----------
    desk : Desk
    worker : ExecutionWorker
    planning : Planning
    guard : RiskGuard
    """

    def __init__(
        self, desk: Desk, worker: ExecutionWorker, planning: Planning, guard: RiskGuard
    ) -> None:
        self._desk = desk
        self._worker = worker
        self._planning = planning
        self._guard = guard

    # ---- halts -----------------------------------------------------------------------------

    def halt(self, scope: str, reason: str, level: str = "critical") -> None:
        """Allow no new risk in a scope, until it is resumed; tells once."""
        desk = self._desk
        if scope in desk.halts:
            return
        desk.halts[scope] = reason
        desk.emit(TradingHalted(scope, reason), scope)
        desk.emit(AlertRaised(level, "halt", f"new risk is halted: {scope}", reason), scope)

    def resume(self, scope: str, reason: str) -> None:
        """Allow new risk again."""
        if self._desk.halts.pop(scope, None) is not None:
            self._desk.emit(TradingResumed(scope, reason), scope)

    def on_stalled(self, event: Event) -> None:
        """A stage makes no progress: nothing new is opened until it moves again."""
        data = event.data
        assert isinstance(data, StageStalled)
        age = f"{data.lag} waiting, the oldest for {data.oldest_ms / 1000:.1f} s"
        self.halt(f"stage:{data.stage}", f"stage {data.stage} stalled: {age}")

    def on_recovered(self, event: Event) -> None:
        """A stage moves again."""
        data = event.data
        assert isinstance(data, StageRecovered)
        self.resume(f"stage:{data.stage}", "it moves again")

    def on_connection(self, event: Event) -> None:
        """A feed or gateway went away or came back."""
        data = event.data
        assert isinstance(data, ConnectionChanged)
        scope = f"stage:{data.source}"
        if data.source == WARM_UP:
            self._on_warm_up(data, scope)
        elif data.connected:
            self.resume(scope, data.why or "connected")
        else:
            self.halt(scope, f"{data.source} is not connected: {data.why}")

    def _on_warm_up(self, data: ConnectionChanged, scope: str) -> None:
        """Bars of the past are told from here on, or have been: no alarm, but no new risk.

        Until then age says nothing about the data, see `RiskGuard`; afterwards it does at once.
        """
        desk = self._desk
        if not data.connected:
            desk.warming_ms = desk.now_ms
            self.halt(scope, f"{WARM_UP}: {data.why}", level="info")
        elif scope in desk.halts:
            took, desk.warming_ms = desk.now_ms - desk.warming_ms, 0
            level = "warning" if took > LONG_WARM_UP_MS else "info"
            self.resume(scope, data.why)
            text = f"{data.why}; it took {took / 1000:.1f} s"
            desk.emit(AlertRaised(level, "halt", f"the halt is over: {scope}", text), scope)

    def on_overflow(self, event: Event) -> None:
        """A lane was full."""
        data = event.data
        assert isinstance(data, QueueOverflowed)
        text = f"{data.waiting} events waited; {data.archive or 'no archive folder was given'}"
        self._desk.emit(AlertRaised("warning", "queue", f"lane {data.lane} was full", text))

    # ---- risk ------------------------------------------------------------------------------

    def look_at_risk(self, event: Event) -> None:
        """Mark every account, and do what tripped breakers and its level ask for."""
        for account in self._desk.by_account:
            self._look(event, account)

    def on_trade_closed(self, event: Event) -> None:
        """See how an account stands after a trade: what it lost may be all it had at risk."""
        data = event.data
        assert isinstance(data, TradeClosed)
        deployment = self._desk.deployments.get(data.deployment)
        if deployment is not None:
            self._look(event, deployment.account)

    def _look(self, event: Event, account: str) -> None:
        metrics = self._guard.look(account)
        if metrics is None or not self._guard.book.enforced:
            return
        for deployment in self._desk.by_account[account] if metrics.cancel_open else ():
            self._worker.call_off(deployment)
        if not metrics.flatten:
            return
        why = "; ".join(trip.text for trip in metrics.breakers)
        self.halt(f"account:{account}", f"risk level {metrics.level.name}: {why}")
        for deployment in self._desk.by_account[account]:
            if deployment.position != 0.0 and self._worker.give_way(deployment):
                origin = Origin("operator", self._desk.new_id("OPR"), event.seq)
                self._planning.leave(event, deployment, "risk", origin)

    # ---- stops that the loop watches -------------------------------------------------------

    def on_quote(self, event: Event) -> None:
        """Trigger stops and targets that no resting order stands for; see how accounts stand."""
        quote = event.data
        assert isinstance(quote, Quote)
        for deployment in self._desk.by_symbol.get(quote.symbol, ()):
            if deployment.position != 0.0 and self._guard.book.due(deployment.account):
                self._look(event, deployment.account)
            if deployment.position != 0.0 and (
                not deployment.closing or self._worker.slow(deployment)
            ):
                self._watch(deployment, quote)

    def _watch(self, deployment: Deployment, quote: Quote) -> None:
        desk, state = self._desk, deployment.state
        long = deployment.position > 0.0
        adverse, favourable = (quote.low, quote.high) if long else (quote.high, quote.low)
        side = 1.0 if long else -1.0
        if (adverse - state.stop) * side <= 0.0:
            if deployment.options.stops == "venue" and self._rests(deployment.stop_order):
                return
            desk.emit(
                StopLossTriggered(deployment.id, state.stop, adverse, "loop"),
                deployment.id,
                deployment.plan_id,
            )
        elif deployment.options.stops == "loop" and (favourable - state.target) * side >= 0.0:
            desk.emit(
                TakeProfitTriggered(deployment.id, state.target, favourable, "loop"),
                deployment.id,
                deployment.plan_id,
            )
        else:
            return
        self._worker.give_way(deployment)  # a close that takes its time protects nothing
        deployment.closing = "triggered"

    def _rests(self, order_id: str) -> bool:
        order = self._desk.orders.get(order_id) if order_id else None
        return order is not None and order.live and bool(order.accepted_ms)

    def on_triggered(self, event: Event) -> None:
        """Close a position whose level the loop saw broken."""
        data = event.data
        assert isinstance(data, StopLossTriggered | TakeProfitTriggered)
        if data.by != "loop":
            return
        deployment = self._desk.deployments[data.deployment]
        reason = STOP if isinstance(data, StopLossTriggered) else "target"
        deployment.closing = ""
        if deployment.position != 0.0:
            origin = Origin("tick", self._desk.new_id("TCK"), event.seq)
            self._planning.leave(event, deployment, reason, origin)

    def on_stop_timer(self, event: Event, timer: str) -> None:
        """Close a position whose stop did not reach the exchange in time."""
        deployment = self._worker.unprotected(timer)
        if deployment is None:
            return
        within = deployment.options.stop_within_ms / 1000
        text = f"{deployment.id}: no stop rests at the exchange {within:g} s after the entry"
        self._worker.alarm("critical", "position without a stop", text, deployment.id)
        if self._worker.give_way(deployment):
            origin = Origin("operator", self._desk.new_id("OPR"), event.seq)
            self._planning.leave(event, deployment, "unprotected", origin)

    # ---- the end of deployments ------------------------------------------------------------

    def on_symbol_ended(self, event: Event) -> None:
        """A symbol has no further bar: its deployments take no further decision."""
        data = event.data
        assert isinstance(data, SymbolEnded)
        self._guard.book.on_symbol_ended(data.symbol)
        for deployment in self._desk.by_symbol.get(data.symbol, ()):
            self._stop(event, deployment, "the symbol ended", flatten=False)

    def on_deployment_stopped(self, event: Event) -> None:
        """A deployment is to stop."""
        data = event.data
        assert isinstance(data, DeploymentStopped)
        deployment = self._desk.deployments.get(data.deployment)
        if deployment is not None:
            self._stop(event, deployment, data.reason, flatten=data.flatten)

    def _stop(self, event: Event, deployment: Deployment, reason: str, *, flatten: bool) -> None:
        deployment.stopped = deployment.stopped or reason
        self._worker.call_off(deployment)
        if flatten and deployment.position != 0.0 and self._worker.give_way(deployment):
            origin = Origin("operator", self._desk.new_id("OPR"), event.seq)
            self._planning.leave(event, deployment, reason, origin)

    # ---- operator --------------------------------------------------------------------------

    def on_command(self, event: Event) -> None:
        """Carry out a person's command: halt, resume, flatten, stop, cancel_all, cancel_entries."""
        data = event.data
        assert isinstance(data, OperatorCommand)
        desk = self._desk
        desk.journal.on_operator(data, event, desk.rows)
        scope = str(data.arguments.get("scope", "run"))
        name = str(data.arguments.get("deployment", ""))
        if data.command == "halt":
            self.halt(scope, f"{data.who}: {data.reason}")
        elif data.command == "resume":
            self.resume(scope, f"{data.who}: {data.reason}")
        elif data.command == "permit":
            self._permit(data, event.recorded_ms)
        elif data.command == "rearm":
            self._rearm(data)
        elif data.command in ("flatten", "stop", "cancel_all", "cancel_entries"):
            for deployment in list(self._desk.deployments.values()):
                if name in ("", deployment.id):
                    self._carry_out(event, deployment, data)
        elif data.command not in ("reconcile", "quarantine"):
            text = f"{data.command!r} from {data.who}; nothing was done"
            self._desk.emit(AlertRaised("warning", "operator", "unknown command", text))

    def _permit(self, data: OperatorCommand, now_ms: int) -> None:
        """A person lets new risk through at level HIGH, for a while."""
        asked = data.arguments.get("for_ms")  # whoever wrote the command: no number is no permit
        lasts = min(asked, MOST_PERMIT_MS) if isinstance(asked, int) else 0
        for account in self._accounts(data):
            self._guard.book.permit(account, data.who, now_ms + lasts, data.reason)

    def _rearm(self, data: OperatorCommand) -> None:
        """A person re-arms a breaker that does not do so by itself, and lifts its halt."""
        breaker = str(data.arguments.get("breaker", ""))
        for account in self._accounts(data):
            if self._guard.book.rearm(account, breaker):
                self.resume(f"account:{account}", f"{data.who}: {data.reason}")

    def _accounts(self, data: OperatorCommand) -> list[str]:
        wanted = str(data.arguments.get("account", ""))
        return [name for name in self._desk.by_account if wanted in ("", name)]

    def _carry_out(self, event: Event, deployment: Deployment, data: OperatorCommand) -> None:
        if data.command == "cancel_all":
            for order in self._desk.orders.open_orders(deployment.account, deployment.symbol):
                self._worker.cancel(order.order_id, f"{data.who}: {data.reason}")
            return
        if data.command == "stop":
            self._stop(event, deployment, f"stopped by {data.who}: {data.reason}", flatten=False)
            return
        self._worker.call_off(deployment)
        if data.command == "cancel_entries":
            return
        if deployment.position != 0.0 and self._worker.give_way(deployment):
            origin = Origin("operator", data.command_id, event.seq)
            self._planning.leave(event, deployment, "manual", origin)
