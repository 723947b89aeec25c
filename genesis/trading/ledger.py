"""StrategyLedger: what is real. TradePlan > ExecutionGroup > Order > Fill, positions and cash.

Why anything happened is not in here; `genesis.trading.journal` holds that. In memory are the
accounts, the open positions and the plans that are not over; all else is rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from genesis.domain.ids import Ids
from genesis.trading.accounts import Account, ClosedTrade, Holding, Trader, apply_fill
from genesis.trading.events import Event
from genesis.trading.gateway import Side, VenueFill
from genesis.trading.ledger_tables import (
    TABLES,
    fill_row,
    money,
    order_rows,
    posting_row,
    trade_row,
)
from genesis.trading.money import add, multiply, subtract
from genesis.trading.order_changes import EXTERNAL
from genesis.trading.orders import ZERO, Order
from genesis.trading.payloads import FundingPaid, TradeClosed, TradeIntent
from genesis.trading.tables import Row

__all__ = ["TABLES", "Booking", "Plan", "StrategyLedger"]

PROTECTION = "protection"
"""Group of a plan's orders without an intent of their own: its stop and its target."""

_FUNDING_KEPT = 16


class Plan(msgspec.Struct):
    """A trade plan that is not over.

    Attributes
    ----------
    groups : dict of str to str
        Intent (or `PROTECTION`, for orders without one) to its execution group.
    intents : dict of str to TradeIntent
        By id; the first is the one that began the plan.
    """

    plan_id: str
    deployment: str
    begun_ms: int
    seq: int
    account: str = ""
    symbol: str = ""
    reason: str = ""
    origin_kind: str = ""
    groups: dict[str, str] = {}
    intents: dict[str, TradeIntent] = {}


class Booking(msgspec.Struct, frozen=True):
    """What a fill did.

    Attributes
    ----------
    fill_id : str
        Ours, ``FIL_…``.
    realised : Decimal
        Before the fee.
    before, size, entry : Decimal
        Signed position before and after, and its average entry price after.
    closed : ClosedTrade or None
        Round trip that it ended.
    """

    fill_id: str
    realised: Decimal
    before: Decimal
    size: Decimal
    entry: Decimal
    plan_id: str
    closed: ClosedTrade | None


class StrategyLedger:
    """Books of a trading run."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.plans: dict[str, Plan] = {}
        self._held: dict[str, dict[str, Holding]] = {}
        self._funded: dict[tuple[str, str], list[int]] = {}

    # ---- what one may ask --------------------------------------------------------------------

    def account(self, name: str) -> Account:
        """Account by name; one that was never used has nothing."""
        return self.accounts.get(name) or Account(name)

    def holding(self, account: str, symbol: str) -> Holding:
        """Position of an account with its round trip; flat where there is none."""
        return self._held.get(account, {}).get(symbol) or Holding(account, symbol)

    def position(self, account: str, symbol: str) -> Decimal:
        """Signed size of a position, base units."""
        held = self._held.get(account, {}).get(symbol)
        return ZERO if held is None else held.size

    def positions(self, account: str = "") -> list[Holding]:
        """Open positions, of one account or of all."""
        names = (account,) if account else sorted(self._held)
        return [
            held
            for name in names
            for _, held in sorted(self._held.get(name, {}).items())
            if held.size
        ]

    def equity(self, account: str, marks: Mapping[str, Decimal]) -> Decimal:
        """Cash and what the open positions are worth at these prices beyond their cost.

        A position without a mark counts at its cost.
        """
        total = self.account(account).cash
        for held in self.positions(account):
            mark = marks.get(held.symbol)
            if mark is not None:
                total = add(total, subtract(multiply(held.size, mark), held.cost))
        return total

    # ---- plans, groups, orders ---------------------------------------------------------------

    def on_intent(self, data: TradeIntent, event: Event, rows: list[Row]) -> Plan:
        """Register the plan that an intent begins, or add the intent to it."""
        plan = self._plan(data.causality.plan_id, data.deployment, event)
        if not plan.intents:
            plan.reason = data.reason
            plan.origin_kind = data.causality.origin.kind
        plan.intents[data.intent_id] = data
        rows.append(_plan_row(plan, "open", 0))
        return plan

    def record_order(self, order: Order, event: Event, rows: list[Row]) -> None:
        """Write down where an order stands, after anything changed about it.

        The first time also registers its execution group, and its plan where that is new.
        """
        if not order.group_id and order.plan_id:
            self._register(order, event, rows)
        rows.extend(order_rows(order, event))

    def _register(self, order: Order, event: Event, rows: list[Row]) -> None:
        plan = self._plan(order.plan_id, order.deployment, event)
        if not plan.account:
            plan.account, plan.symbol = order.request.account, order.request.symbol
            rows.append(_plan_row(plan, "open", 0))
        key = order.intent_id or PROTECTION
        group = plan.groups.get(key)
        if group is None:
            # Named after its first order, whose id is unique in the run.
            group = plan.groups[key] = "EXG" + order.order_id[3:]
            rows.append(_group_row(group, plan, order, event))
        order.group_id = group

    def end_plan(self, plan_id: str, status: str, event: Event, rows: list[Row]) -> None:
        """Put a plan away: ``closed`` after its position, ``void`` where it never had one."""
        plan = self.plans.pop(plan_id, None)
        if plan is not None:
            rows.append(_plan_row(plan, status, event.recorded_ms or event.ts_ms))

    def _plan(self, plan_id: str, deployment: str, event: Event) -> Plan:
        plan = self.plans.get(plan_id)
        if plan is None:
            now = event.recorded_ms or event.ts_ms
            plan = Plan(plan_id, deployment, now, event.seq)
            self.plans[plan_id] = plan
        return plan

    # ---- money -------------------------------------------------------------------------------

    def deposit(self, account: str, amount: Decimal, event: Event, rows: list[Row]) -> None:
        """Put cash into an account, or take it out where the amount is negative."""
        owner = self._account(account)
        owner.deposits = add(owner.deposits, amount)
        owner.cash = add(owner.cash, amount)
        rows.append(posting_row(owner, "deposit", event, deposit=amount))

    def book(
        self,
        order: Order | None,
        fill: VenueFill,
        event: Event,
        ids: Ids,
        rows: list[Row],
        *,
        deployment: str = "",
    ) -> Booking:
        """Book a fill that `OrderManager.on_fill` found to be new.

        Without an order it belongs to the position that it meets; where there is none, to
        ``deployment`` or to nobody (`EXTERNAL`).
        """
        account = self._account(fill.account)
        holdings = self._held.setdefault(fill.account, {})
        held = holdings.get(fill.symbol)
        if held is None:
            held = holdings[fill.symbol] = Holding(fill.account, fill.symbol)
        before = held.size
        trader = self._trader(order, held, deployment)
        realised, closed = apply_fill(account, held, fill, trader)
        fill_id = ids.new("FIL", event.ts_ms)
        rows.append(fill_row(fill_id, fill, order, trader, realised, held.size, event))
        posting = posting_row(
            account,
            "fill" if fill.cause == "order" else fill.cause,
            event,
            symbol=fill.symbol,
            reference=fill_id,
            realised=realised,
            fee=fill.fee,
        )
        rows.append(posting)
        if order is not None:
            rows.extend(order_rows(order, event))
        if not held.size:
            del holdings[fill.symbol]
        return Booking(fill_id, realised, before, held.size, held.entry, trader.plan_id, closed)

    def _trader(self, order: Order | None, held: Holding, deployment: str) -> Trader:
        if order is not None:
            return Trader(order.deployment, order.plan_id, order.reference)
        return Trader(held.deployment or deployment or EXTERNAL, held.plan_id)

    def funded(self, account: str, symbol: str, ts_ms: int) -> bool:
        """Whether funding of an instant was booked, or is older than what is remembered."""
        times = self._funded.get((account, symbol), ())
        return ts_ms in times or (len(times) == _FUNDING_KEPT and ts_ms < min(times))

    def fund(self, data: FundingPaid, event: Event, rows: list[Row]) -> bool:
        """Book funding once per account, symbol and instant; False for a repetition."""
        key = (data.account, data.symbol)
        funded = self._funded.setdefault(key, [])
        if self.funded(data.account, data.symbol, event.ts_ms):
            return False
        funded.append(event.ts_ms)
        del funded[:-_FUNDING_KEPT]
        account = self._account(data.account)
        account.funding = add(account.funding, data.amount)
        account.cash = subtract(account.cash, data.amount)
        held = self._held.get(data.account, {}).get(data.symbol)
        if held is not None:
            held.funding = add(held.funding, data.amount)
        plan = held.plan_id if held is not None else ""
        row = posting_row(
            account, "funding", event, symbol=data.symbol, reference=plan, funding=data.amount
        )
        rows.append(row)
        return True

    def settle(
        self,
        closed: ClosedTrade,
        event: Event,
        ids: Ids,
        rows: list[Row],
        *,
        reason: str,
        exit_class: str,
        mfe: float,
        mae: float,
    ) -> TradeClosed:
        """Write down a round trip and end its plan; returns what is to be emitted."""
        plan = self.plans.get(closed.plan_id)
        words = (
            plan.reason if plan else EXTERNAL,
            reason,
            exit_class,
            plan.origin_kind if plan else EXTERNAL,
        )
        trade_id = ids.new("TRD", event.ts_ms)
        rows.append(trade_row(trade_id, closed, words, (mfe, mae), event))
        self.end_plan(closed.plan_id, "closed", event, rows)
        return TradeClosed(
            deployment=closed.deployment,
            plan_id=closed.plan_id,
            side=closed.side,
            size=closed.size,
            entry=closed.entry,
            exit=closed.exit,
            pnl=closed.pnl,
            fees=closed.fees,
            funding=closed.funding,
            slippage=closed.slippage,
            entry_ms=closed.entry_ms,
            exit_ms=closed.exit_ms,
            reason=reason,
            exit_class=exit_class,
            mfe=mfe,
            mae=mae,
        )

    def _account(self, name: str) -> Account:
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account(name)
        return account

    # ---- snapshots ---------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """State as canonical JSON can hold it."""
        plain = msgspec.to_builtins
        return {
            "accounts": [plain(self.accounts[name]) for name in sorted(self.accounts)],
            "holdings": [
                plain(held)
                for _, holdings in sorted(self._held.items())
                for _, held in sorted(holdings.items())
            ],
            "plans": [plain(plan) for plan in self.plans.values()],
            "funded": [[*key, list(times)] for key, times in sorted(self._funded.items())],
        }

    def restore(self, plain: dict[str, Any]) -> None:
        """Take over what `plain` wrote."""
        accounts = [msgspec.convert(row, Account) for row in plain["accounts"]]
        holdings = [msgspec.convert(row, Holding) for row in plain["holdings"]]
        plans = [msgspec.convert(row, Plan) for row in plain["plans"]]
        self.accounts = {account.name: account for account in accounts}
        self._held = {}
        for held in holdings:
            self._held.setdefault(held.account, {})[held.symbol] = held
        self.plans = {plan.plan_id: plan for plan in plans}
        self._funded = {(name, symbol): times for name, symbol, times in plain["funded"]}


def _plan_row(plan: Plan, status: str, ended_ms: int) -> Row:
    first = next(iter(plan.intents.values()), None)
    entry = first.entry if first else None
    size = first.size if first else None
    leave = first.exit if first else None
    sized = (money(size.wanted), money(size.size), size.method) if size else (None, None, "")
    side: Side | None = entry.side if entry else None
    exits: tuple[Any, ...] = (None,) * 6
    if leave is not None:
        exits = (
            leave.stop_atr,
            leave.target_atr,
            leave.trail_atr,
            leave.breakeven_atr,
            leave.time_stop,
            leave.atr,
        )
    return "trade_plans", (
        plan.plan_id,
        plan.deployment,
        plan.account,
        plan.symbol,
        side.value if side else "",
        status,
        plan.reason,
        money(entry.reference) if entry else None,
        *sized,
        *exits,
        plan.begun_ms,
        ended_ms,
        plan.seq,
    )


def _group_row(group: str, plan: Plan, order: Order, event: Event) -> Row:
    intent = plan.intents.get(order.intent_id)
    execution = intent.execution if intent else None
    return "execution_groups", (
        group,
        plan.plan_id,
        order.intent_id,
        intent.scope if intent else "",
        intent.reason if intent else "",
        order.purpose if order.intent_id else PROTECTION,
        execution.algorithm if execution else "single",
        len(execution.slices) if execution else 1,
        execution.spacing_ms if execution else 0,
        event.recorded_ms or event.ts_ms,
        event.seq,
    )
