"""From a signal to an execution directive: entry, size, exit and execution planners."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from msgspec.structs import replace

from genesis.domain.instrument import Instrument
from genesis.risk.decision import RiskDecision
from genesis.trading.deployment import Deployment
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.money import exact
from genesis.trading.payloads import (
    Causality,
    EntryPlan,
    ExecutionPlan,
    ExitPlan,
    SignalGenerated,
    SizePlan,
    TradeIntent,
)

NEW, CLOSE = "NEW", "CLOSE"
_NOISE, _GRAIN = Decimal("1e-9"), Decimal("1e-8")


def round_size(size: Decimal, instrument: Instrument) -> Decimal:
    """Size on the lot grid, rounded down; a size within a billionth of a step counts as on it.

    Sizes arrive from kernels as floats that were already put on the grid, 0.30000000000000004 for
    three steps of 0.1, and 0.7999999999999999 for eight: the grid is what was meant.
    """
    if instrument.lot <= 0.0:
        return size
    lot = exact(instrument.lot)
    steps = (size / lot + _NOISE).to_integral_value(rounding=ROUND_DOWN)
    return steps * lot


class EntryPlanner:
    """How to get in: a market order at the next price."""

    def plan(self, signal: SignalGenerated) -> EntryPlan:
        """Plan the entry that a signal asks for."""
        side = Side.BUY if signal.quantity > 0.0 else Side.SELL
        return EntryPlan(side, OrderKind.MARKET, exact(signal.values["close"]))


class SizePlanner:
    """How much: what the policy wants, on the lot grid, and nothing below the least notional."""

    def plan(self, deployment: Deployment, signal: SignalGenerated) -> SizePlan:
        """Plan the size of an entry; size 0 where none can be made."""
        wanted = abs(exact(signal.quantity))
        size = round_size(wanted, deployment.instrument)
        # The policy has judged the notional before; here only what rounding took away counts.
        least = exact(deployment.instrument.min_notional) * (1 - _NOISE)
        if size * exact(signal.values["close"]) < least:
            size = Decimal(0)
        return SizePlan(wanted, size, "policy")


class ExitPlanner:
    """How to get out: the policy's distances, measured in the range of the decision bar."""

    def plan(self, deployment: Deployment, signal: SignalGenerated) -> ExitPlan:
        """Plan the exits of a position that does not exist yet."""
        policy = deployment.strategy.policy
        return ExitPlan(
            stop_atr=policy.stop_atr,
            target_atr=policy.target_atr,
            trail_atr=policy.trail_atr,
            breakeven_atr=policy.breakeven_atr,
            time_stop=policy.time_stop,
            atr=signal.values["atr"],
        )


class ExecutionPlanner:
    """How to execute: one order, a TWAP of equal parts in time, or an iceberg of resting parts."""

    def plan(self, deployment: Deployment, size: Decimal) -> ExecutionPlan:
        """Slices of a size, every one on the lot grid; the last takes what rounding left."""
        options = deployment.options
        count = options.slices if options.algorithm != "single" else 1
        part = round_size(size / count, deployment.instrument)
        if deployment.instrument.lot == 0.0:
            # A third has no last digit, and an exchange keeps no more.
            part = part.quantize(_GRAIN, ROUND_DOWN).normalize()
        if count == 1 or part == 0:
            return ExecutionPlan("single", (size,))
        slices = (*[part] * (count - 1), size - part * (count - 1))
        spacing = options.spacing_ms if options.algorithm == "twap" else 0
        return ExecutionPlan(options.algorithm, slices, spacing)


class StrategyPlanner:
    """Puts the plans of the four trade planners together and hands causality on."""

    def __init__(self) -> None:
        self._entry = EntryPlanner()
        self._size = SizePlanner()
        self._exit = ExitPlanner()
        self._execution = ExecutionPlanner()

    def sized(self, deployment: Deployment, signal: SignalGenerated) -> SizePlan:
        """Size of the entry that a signal asks for."""
        return self._size.plan(deployment, signal)

    def cut(
        self, deployment: Deployment, size: SizePlan, decision: RiskDecision, price: float
    ) -> SizePlan:
        """Size that the risk manager left, on the lot grid; 0 where that is below the least."""
        if decision.size == decision.asked:
            return size
        left = round_size(decision.size.copy_abs(), deployment.instrument)
        if left * exact(price) < exact(deployment.instrument.min_notional):
            left = Decimal(0)
        return replace(size, size=left, method=f"risk: {decision.rule}")

    def resized(self, deployment: Deployment, intent: TradeIntent, size: SizePlan) -> TradeIntent:
        """The same directive for another size."""
        execution = self._execution.plan(deployment, size.size)
        return replace(intent, size=size, execution=execution)

    def enter(
        self,
        deployment: Deployment,
        signal: SignalGenerated,
        size: SizePlan,
        causality: Causality,
        intent_id: str,
        now_ms: int,
    ) -> TradeIntent:
        """Directive to open a position."""
        return TradeIntent(
            intent_id=intent_id,
            deployment=deployment.id,
            scope=NEW,
            reason="entry",
            causality=causality,
            expires_ms=now_ms + deployment.options.intent_ttl_ms,
            entry=self._entry.plan(signal),
            size=size,
            exit=self._exit.plan(deployment, signal),
            execution=self._execution.plan(deployment, size.size),
        )

    def leave(
        self,
        deployment: Deployment,
        reason: str,
        size: Decimal,
        reference: float,
        causality: Causality,
        intent_id: str,
        now_ms: int,
    ) -> TradeIntent:
        """Directive to close the whole position; at once, unless a signal of the strategy asks."""
        side = Side.SELL if deployment.position > 0.0 else Side.BUY
        by_signal = bool(causality.signal_ids)
        return TradeIntent(
            intent_id=intent_id,
            deployment=deployment.id,
            scope=CLOSE,
            reason=reason,
            causality=causality,
            expires_ms=now_ms + deployment.options.intent_ttl_ms,
            entry=EntryPlan(side, OrderKind.MARKET, exact(reference)),
            size=SizePlan(size, size, "position"),
            execution=(
                self._execution.plan(deployment, size)
                if by_signal
                else ExecutionPlan("single", (size,))
            ),
        )
