"""Risk in the submit path: every order of every mode is judged on a snapshot of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

from genesis.domain.timeline import DAY_MS, MINUTE_MS
from genesis.risk.limits import OrderFacts, RiskView, Verdict
from genesis.trading.deployment import Deployment
from genesis.trading.desk import Desk
from genesis.trading.money import add, exact
from genesis.trading.payloads import RiskAssessed


class RiskPolicy(Protocol):
    """Judges orders; pure."""

    def check(self, order: OrderFacts, view: RiskView) -> Verdict:
        """Approve or refuse an order."""
        ...


class RiskGuard:
    """Builds the snapshot, asks the policy, keeps the counters that limits need.

    Parameters
    ----------
    desk : Desk
    policy : RiskPolicy
    """

    def __init__(self, desk: Desk, policy: RiskPolicy) -> None:
        self._desk = desk
        self._policy = policy

    def judge(
        self,
        deployment: Deployment,
        size: Decimal,
        price: Decimal | None,
        *,
        reduce_only: bool,
        trigger: bool = False,
    ) -> Verdict:
        """Judge an order that is about to be made.

        Parameters
        ----------
        deployment : Deployment
        size : Decimal
            Signed.
        price : Decimal or None
            Limit or trigger price; None for a market order.
        reduce_only : bool
        trigger : bool
            The price is that of a stop or a target.
        """
        last = exact(self._desk.market.prices.get(deployment.symbol, 0.0))
        facts = OrderFacts(
            account=deployment.account,
            symbol=deployment.symbol,
            size=size,
            price=last if price is None else price,
            reference=last,
            reduce_only=reduce_only,
            ts_ms=self._desk.now_ms,
            trigger=trigger,
        )
        return self._policy.check(facts, self._view(deployment))

    def assess(self, deployment: Deployment, signal_id: str, verdict: Verdict) -> str:
        """Put a verdict on record; returns its id."""
        risk_id = self._desk.new_id("RSK")
        self._desk.emit(
            RiskAssessed(
                risk_id=risk_id,
                deployment=deployment.id,
                signal_id=signal_id,
                approved=verdict.approved,
                rule=verdict.rule,
                value=verdict.value,
                limit=verdict.limit,
                text=verdict.text,
            ),
            deployment.id,
            signal_id or deployment.id,
        )
        return risk_id

    def count(self, account: str) -> None:
        """Remember that an order that may add risk was made now."""
        recent = self._desk.recent.setdefault(account, [])
        recent.append(self._desk.now_ms)
        while recent and recent[0] <= self._desk.now_ms - MINUTE_MS:
            del recent[0]

    def _view(self, deployment: Deployment) -> RiskView:
        desk, account = self._desk, deployment.account
        capital = desk.account_capital(account)
        recent = desk.recent.get(account, [])
        since = desk.now_ms - MINUTE_MS
        working = desk.orders.exposure(account, deployment.symbol)
        return RiskView(
            capital=deployment.capital,
            position=desk.ledger.position(account, deployment.symbol),
            buying=working.buy,
            selling=working.sell,
            gross=sum(self._exposed(account), Decimal(0)),
            account_capital=capital,
            daily_pnl=self._daily_pnl(account),
            recent_orders=sum(1 for ts in recent if ts > since),
            halted=desk.halted(deployment),
        )

    def _exposed(self, account: str) -> Iterator[Decimal]:
        """Notional of position and working entries of each symbol, whoever they belong to.

        A position without a price counts at what it cost.
        """
        desk = self._desk
        held = {one.symbol: one for one in desk.ledger.positions(account)}
        symbols = {d.symbol for d in desk.by_account.get(account, ())} | held.keys()
        for symbol in sorted(symbols):
            working = desk.orders.exposure(account, symbol)
            position = held.get(symbol)
            size = max(working.buy, working.sell)
            price = exact(desk.market.prices.get(symbol, 0.0))
            if position is not None:
                size += abs(position.size)
                price = price or position.entry
            yield size * price

    def equity(self, account: str) -> Decimal:
        """Cash of an account and its positions at the last prices, quote units."""
        prices = self._desk.market.prices
        held = self._desk.ledger.positions(account)
        marks = {h.symbol: exact(prices[h.symbol]) for h in held if h.symbol in prices}
        return self._desk.ledger.equity(account, marks)

    # ---- the loss of the day ---------------------------------------------------------------

    def on_deposit(self, account: str, amount: Decimal, ts_ms: int) -> None:
        """Measure the day's result of an account from what it has; a deposit is no profit."""
        begun = self._desk.day.get(account)
        if begun is None:
            self._desk.day[account] = (ts_ms // DAY_MS, str(self.equity(account)))
        else:
            self._desk.day[account] = (begun[0], str(add(Decimal(begun[1]), amount)))

    def roll_day(self, ts_ms: int) -> None:
        """Begin a new UTC day for the accounts that are still in an earlier one."""
        day = ts_ms // DAY_MS
        for account, (begun, _) in self._desk.day.items():
            if begun != day:
                self._desk.day[account] = (day, str(self.equity(account)))

    def _daily_pnl(self, account: str) -> Decimal:
        begun = self._desk.day.get(account)
        return self.equity(account) - Decimal(begun[1]) if begun else Decimal(0)
