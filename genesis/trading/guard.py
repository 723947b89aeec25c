"""Risk in the submit path: every order of every mode is judged on a snapshot of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from genesis.domain.timeline import DAY_MS, MINUTE_MS
from genesis.risk.assessment import RiskMetrics
from genesis.risk.book import Exposure
from genesis.risk.decision import RiskDecision
from genesis.risk.genome import RiskGenes
from genesis.risk.limits import OrderFacts, RiskView
from genesis.risk.manager import GeneticRiskManager
from genesis.trading.deployment import Deployment
from genesis.trading.desk import Desk
from genesis.trading.money import add, exact
from genesis.trading.orders import OrderState
from genesis.trading.payloads import DeploymentAdded, RiskAssessed
from genesis.trading.risk_book import RiskBook


class RiskGuard:
    """Builds the snapshot, asks the manager, keeps the counters that limits need.

    Parameters
    ----------
    desk : Desk
    manager : GeneticRiskManager

    Attributes
    ----------
    book : RiskBook
        Markets and accounts as the manager is told of them.
    """

    def __init__(self, desk: Desk, manager: GeneticRiskManager) -> None:
        self._desk = desk
        self._manager = manager
        self.book = RiskBook(desk, manager)

    def judge(
        self,
        deployment: Deployment,
        size: Decimal,
        price: Decimal | None,
        *,
        reduce_only: bool,
        trigger: bool = False,
        scaled: bool = False,
    ) -> RiskDecision:
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
        scaled : bool
            It is a part of what was judged, and cut, before.
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
            scaled=scaled,
        )
        account = deployment.account
        equity = self.equity(account)
        view = self._view(deployment, equity)
        if not reduce_only:  # what trips now stays so for its time, whatever is asked next
            self.book.assess(account, equity, view)
        state = self.book.accounts[account]
        return self._manager.evaluate_trade_risk(facts, view, state, self.book.market)

    def assess(self, deployment: Deployment, signal_id: str, decision: RiskDecision) -> str:
        """Put a decision on record; returns its id."""
        risk_id = self._desk.new_id("RSK")
        self._desk.emit(
            RiskAssessed(
                risk_id=risk_id,
                deployment=deployment.id,
                signal_id=signal_id,
                approved=decision.approved,
                rule=decision.rule,
                value=decision.value,
                limit=decision.limit,
                text=decision.text,
                asked=decision.asked,
                size=decision.size,
                would=decision.would,
                level=decision.level.name,
                breakers=tuple(trip.breaker for trip in decision.breakers),
                multipliers={name: value for name, value in decision.multipliers if value != 1.0},
                permitted_by=decision.permitted_by,
                would_rule=decision.would_rule,
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
        self.book.accounts[account].on_order(self._desk.now_ms)

    def look(self, account: str) -> RiskMetrics | None:
        """Mark an account and see how it stands.

        None where nobody trades it, and where it is flat with nothing at work and its equity is
        that of the last look: it is seen to when it asks for an order.
        """
        found = self._desk.by_account.get(account)
        if not found:
            return None
        equity = self.equity(account)
        entering = any(deployment.plan_id for deployment in found)
        same = self.book.accounts[account].equity == float(equity)
        if same and not entering and not self._desk.ledger.positions(account):
            self.book.mark(account, equity)
            return None
        return self.book.assess(account, equity, self._view(found[0], equity))

    @property
    def genes(self) -> RiskGenes:
        """Bounds that the manager goes by."""
        return self._manager.genome.genes

    def metrics(self, account: str) -> RiskMetrics | None:
        """How an account stands at its last mark, for whoever looks: nothing is kept of it.

        None where nobody trades it.
        """
        found = self._desk.by_account.get(account)
        if not found:
            return None
        state, view = self.book.accounts[account], self._view(found[0], self.equity(account))
        return self._manager.assess(state, self.book.market, view, self._desk.now_ms)

    def on_result(self, account: str, net: Decimal) -> None:
        """Take the result of a closed trade, costs included."""
        self.book.accounts[account].on_result(self._desk.now_ms, float(net))

    def view(self, deployment: Deployment) -> RiskView:
        """Snapshot of a deployment's account as it is now."""
        return self._view(deployment, self.equity(deployment.account))

    def _view(self, deployment: Deployment, equity: Decimal) -> RiskView:
        desk, account = self._desk, deployment.account
        recent = desk.recent.get(account, [])
        since = desk.now_ms - MINUTE_MS
        working = desk.orders.exposure(account, deployment.symbol)
        exposures = tuple(self._exposures(account))
        return RiskView(
            capital=deployment.capital,
            position=desk.ledger.position(account, deployment.symbol),
            buying=working.buy,
            selling=working.sell,
            gross=sum((_notional(one) for one in exposures), Decimal(0)),
            account_capital=desk.account_capital(account),
            daily_pnl=self._daily_pnl(account, equity),
            recent_orders=sum(1 for ts in recent if ts > since),
            halted=desk.halted(deployment),
            exposures=exposures,
            unknown_orders=sum(one.unknown for one in exposures),
            permit=self.book.permits.get(account),
        )

    def _exposures(self, account: str) -> Iterator[Exposure]:
        """Position and working entries of each symbol, whoever they belong to.

        A position without a price counts at what it cost.
        """
        desk = self._desk
        held = {one.symbol: one for one in desk.ledger.positions(account)}
        symbols = {d.symbol for d in desk.by_account.get(account, ())} | held.keys()
        for symbol in sorted(symbols):
            working = desk.orders.exposure(account, symbol)
            position = held.get(symbol)
            size = Decimal(0) if position is None else position.size
            if not (size or working.buy or working.sell):
                continue
            price = exact(desk.market.prices.get(symbol, 0.0))
            if not price and position is not None:
                price = position.entry
            unknown = 0
            if desk.orders.blocked(account, symbol):
                found = desk.orders.open_orders(account, symbol)
                unknown = sum(one.state is OrderState.UNKNOWN for one in found)
            yield Exposure(symbol, size, working.buy, working.sell, price, unknown)

    def equity(self, account: str) -> Decimal:
        """Cash of an account and its positions at the last prices, quote units."""
        prices = self._desk.market.prices
        held = self._desk.ledger.positions(account)
        marks = {h.symbol: exact(prices[h.symbol]) for h in held if h.symbol in prices}
        return self._desk.ledger.equity(account, marks)

    # ---- the loss of the day ---------------------------------------------------------------

    def on_added(self, data: DeploymentAdded, capital: Decimal, ts_ms: int) -> None:
        """Take a new deployment and the capital that comes with it."""
        self.book.on_added(data, capital)
        self._on_deposit(data.account, capital, ts_ms)

    def _on_deposit(self, account: str, amount: Decimal, ts_ms: int) -> None:
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

    def _daily_pnl(self, account: str, equity: Decimal) -> Decimal:
        begun = self._desk.day.get(account)
        return equity - Decimal(begun[1]) if begun else Decimal(0)


def _notional(one: Exposure) -> Decimal:
    return (one.position.copy_abs() + max(one.buying, one.selling)) * one.price
