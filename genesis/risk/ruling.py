"""What the genes say of an order that may add risk: refused, cut, or left as it is."""

from __future__ import annotations

from dataclasses import dataclass

from genesis.risk import formulas
from genesis.risk.assessment import RiskMetrics
from genesis.risk.book import Book
from genesis.risk.breakers import CONSEQUENCES
from genesis.risk.genome import RiskGenes
from genesis.risk.levels import RiskLevel
from genesis.risk.limits import OrderFacts, RiskView
from genesis.risk.regime import MarketRegime, MarketState, SymbolMarket
from genesis.risk.snapshot import book_correlation
from genesis.risk.state import RiskState


@dataclass(frozen=True, slots=True)
class Case:
    """An order and all that is known when it is judged."""

    order: OrderFacts
    view: RiskView
    state: RiskState
    market: MarketState
    book: Book
    metrics: RiskMetrics

    @property
    def side(self) -> float:
        """+1 buy, -1 sell."""
        return 1.0 if self.order.size > 0 else -1.0

    @property
    def permitted_by(self) -> str:
        """Who approved new risk at level HIGH, empty if nobody did."""
        permit = self.view.permit
        return permit.by if permit is not None and permit.holds(self.order.ts_ms) else ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is left of an order.

    Attributes
    ----------
    keep : float
        Share of the asked size; 0 for none.
    rule, value, limit, text
        As of `genesis.risk.limits.Verdict`.
    level : RiskLevel
        Of the account, MODERATE at least where the market of the symbol falls or is volatile.
    multipliers : tuple of (str, float)
    """

    keep: float
    rule: str
    value: float
    limit: float
    text: str
    level: RiskLevel
    multipliers: tuple[tuple[str, float], ...] = ()


def rule_on(genes: RiskGenes, case: Case) -> Ruling:
    """Judge an order by the genes alone; pure."""
    seen = case.market.symbol(case.order.symbol, case.order.ts_ms)
    level = case.metrics.level
    if level < RiskLevel.MODERATE and (seen.trend < 0 or seen.volatile):
        level = RiskLevel.MODERATE
    refusal = _refusal(genes, case, seen)
    if refusal is not None:
        rule, value, limit, text = refusal
        return Ruling(0.0, rule, value, limit, text, level)
    share, multipliers = (1.0, ()) if case.order.scaled else _multipliers(genes, case, seen, level)
    name, used, limit, free = _caps(genes, case, seen)
    asked = abs(float(case.order.size)) * float(case.order.reference) / case.book.capital
    keep = min(share, free / asked, 1.0)
    if keep == 1.0:
        return Ruling(1.0, "size", 1.0, 1.0, "nothing cuts the size", level, multipliers)
    if share <= free / asked:
        causes = ", ".join(name for name, value in multipliers if value < 1.0)
        text = f"{share:.1%} of the size is left by {causes}"
        return Ruling(keep, "size", share, 1.0, text, level, multipliers)
    text = f"{name} leaves {keep:.1%} of the size: {used:.4g} of {limit:.4g} is in use"
    return Ruling(keep, name, used, limit, text, level, multipliers)


def _refusal(
    genes: RiskGenes, case: Case, seen: SymbolMarket
) -> tuple[str, float, float, str] | None:
    """Rule, value, limit and sentence of what forbids new risk; None if nothing does."""
    symbol, level = case.order.symbol, case.metrics.level
    if level.reduces_only or (level.needs_permit and not case.permitted_by):
        trip = next(t for t in case.metrics.breakers if CONSEQUENCES[t.breaker].level is level)
        text = f"level {level.name}: {level.meaning} ({trip.text})"
        return trip.breaker, trip.value, trip.limit, text
    if seen.regime is MarketRegime.UNKNOWN:
        return "regime", 0.0, 1.0, f"the market of {symbol} is unknown: {seen.why}"
    unknown = case.book.holdings[symbol].unknown
    if unknown:
        text = f"the fate of {unknown} orders in {symbol} is unknown"
        return "unknown_orders", float(unknown), 0.0, text
    orders, most = case.metrics.orders_in_hour + 1.0, genes.max_trades_per_hour
    if formulas.exceeds(orders, most):
        text = f"this is order {orders:.0f} of the hour, the limit is {most:.0f}"
        return "max_trades_per_hour", orders, most, text
    return None


def _multipliers(
    genes: RiskGenes, case: Case, seen: SymbolMarket, level: RiskLevel
) -> tuple[float, tuple[tuple[str, float], ...]]:
    """Share of size that is left, and what each cause leaves of it."""
    side, losses = case.side, float(case.state.losses)
    extreme, sharpe = case.metrics.sentiment.extreme, case.metrics.sharpe
    together = book_correlation(case.order.symbol, side, case.book, case.market)
    share = formulas.size_multiplier(
        genes, side, seen.volatility, seen.trend, extreme, together, losses, sharpe, int(level)
    )
    volatility = formulas.volatility_multiplier(
        seen.volatility, genes.target_volatility, genes.volatility_exponent
    )
    return share, (
        ("volatility", volatility),
        ("bear", formulas.bear_multiplier(seen.trend, side, genes.bear_cut)),
        ("sentiment", formulas.sentiment_multiplier(extreme, genes.sentiment_cut)),
        ("correlation", formulas.correlation_multiplier(together, genes.correlation_penalty)),
        ("losing_streak", formulas.streak_multiplier(losses, genes.max_consecutive_losses)),
        ("sharpe", formulas.sharpe_multiplier(sharpe, genes.min_sharpe)),
        ("level", formulas.level_multiplier(int(level))),
    )


def _caps(genes: RiskGenes, case: Case, seen: SymbolMarket) -> tuple[str, float, float, float]:
    """Name of the narrowest cap, what of it is in use, its limit, and what all leave free.

    All are shares of capital.
    """
    book, market, symbol = case.book, case.market, case.order.symbol
    own = book.holdings[symbol]
    position = (own.net[0] if case.side > 0.0 else own.net[1]) / book.capital
    # A symbol without bars has no known correlation with anything.
    cluster = market.cluster(symbol) | (book.holdings.keys() - set(market.symbols))
    gross, net = book.gross, book.net(case.side)
    one_way = book.one_way(case.side, cluster)
    traded = seen.turnover / book.capital
    caps = (
        ("max_position", position, genes.max_position),
        ("max_gross", gross, genes.max_gross),
        ("max_net", net, genes.max_net),
        ("cluster_cap", one_way, genes.cluster_cap),
        ("liquidity_cap", 0.0, genes.liquidity_cap * traded),
    )
    name, used, limit = min(caps, key=lambda cap: formulas.room(cap[2], cap[1]))
    return name, used, limit, formulas.admitted(genes, position, gross, net, one_way, traded)
