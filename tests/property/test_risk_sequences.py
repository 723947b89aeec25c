"""Random order and market sequences against a model account that knows the truth.

The model keeps every order that was ever approved: resting, partly filled, or of unknown fate. An
unknown one may turn out filled at any later time. The manager is fed with snapshots that count all
of them at full size. After each approval every cap must hold with all of them filled.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.canonical import canonical_json
from genesis.domain.timeline import HOUR_MS, MINUTE_MS
from genesis.risk.book import Exposure, Permit
from genesis.risk.breaker_kinds import Breaker
from genesis.risk.decision import RiskDecision
from genesis.risk.genome import GENES, RiskGenes, RiskGenome
from genesis.risk.levels import RiskLevel
from genesis.risk.limits import HardLimits, OrderFacts, RiskView
from genesis.risk.manager import GeneticRiskManager
from genesis.risk.regime import MarketState
from genesis.risk.state import RiskState
from genesis.risk.track import Windows

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
CAPITAL = 100_000.0
START = 1_735_732_800_000
WINDOWS = Windows(
    trend=6, volatility=3, correlation=6, history=8, least_history=3, least_common=3, turnover=3
)
SLACK = 1.0 + 1e-9


@cache
def warm(seed: int) -> str:
    """Market state after some bars, as text: warm for all symbols."""
    rng = random.Random(seed)
    market = MarketState(HOUR_MS, WINDOWS)
    for symbol in SYMBOLS:
        price = 100.0
        for place in range(12):
            price *= 1.0 + rng.gauss(0.0, 0.004)
            market.on_bar(symbol, START - (12 - place) * HOUR_MS, price, 1e5)
    return canonical_json(market.plain())


@dataclass
class Resting:
    """An approved order that may still fill."""

    symbol: str
    left: Decimal
    unknown: bool = False


@dataclass
class Account:
    """The truth about an account, and what its snapshots say."""

    rng: random.Random
    market: MarketState
    state: RiskState = field(default_factory=RiskState)
    now: int = START
    equity: float = CAPITAL
    positions: dict[str, Decimal] = field(
        default_factory=lambda: dict.fromkeys(SYMBOLS, Decimal(0))
    )
    prices: dict[str, float] = field(default_factory=dict)
    orders: list[Resting] = field(default_factory=list)
    recent: list[int] = field(default_factory=list)
    permit: Permit | None = None
    silent: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.prices = {s: self.market._tracks[s].close for s in SYMBOLS}
        self.state.on_mark(self.now, self.equity)

    def exposure(self, symbol: str) -> Exposure:
        mine = [order for order in self.orders if order.symbol == symbol]
        return Exposure(
            symbol,
            self.positions[symbol],
            sum((o.left for o in mine if o.left > 0), Decimal(0)),
            -sum((o.left for o in mine if o.left < 0), Decimal(0)),
            Decimal(self.prices[symbol]),
            sum(o.unknown for o in mine),
        )

    def view(self, symbol: str) -> RiskView:
        exposures = tuple(self.exposure(one) for one in SYMBOLS)
        own = self.exposure(symbol)
        gross = sum((abs(e.position) + max(e.buying, e.selling)) * e.price for e in exposures)
        return RiskView(
            capital=Decimal(CAPITAL),
            position=own.position,
            buying=own.buying,
            selling=own.selling,
            gross=Decimal(gross),
            account_capital=Decimal(CAPITAL),
            daily_pnl=Decimal(self.equity - CAPITAL),
            recent_orders=sum(ts > self.now - MINUTE_MS for ts in self.recent),
            exposures=exposures,
            unknown_orders=sum(o.unknown for o in self.orders),
            permit=self.permit,
        )

    def order(self, symbol: str, size: Decimal, *, reduce_only: bool = False) -> OrderFacts:
        price = Decimal(self.prices[symbol])
        return OrderFacts("main", symbol, size, price, price, reduce_only, self.now)

    # ---- what the world does ---------------------------------------------------------------

    def fill(self, share: float) -> None:
        if self.orders:
            order = self.rng.choice(self.orders)
            part = order.left if share > 0.7 else order.left * Decimal(share)
            self.positions[order.symbol] += part
            order.left -= part
            if order.left == 0:
                self.orders.remove(order)

    def lose(self) -> None:
        for order in self.orders:
            order.unknown |= self.rng.random() < 0.5

    def cancel(self) -> None:
        known = [order for order in self.orders if not order.unknown]
        if known:
            self.orders.remove(self.rng.choice(known))

    def answer(self) -> None:
        """The fate of an unknown order becomes known: it filled, or it never was."""
        unknown = [order for order in self.orders if order.unknown]
        if unknown:
            order = self.rng.choice(unknown)
            if self.rng.random() < 0.5:
                self.positions[order.symbol] += order.left
            self.orders.remove(order)

    def bar(self, scale: float) -> None:
        self.now += HOUR_MS
        for symbol in SYMBOLS:
            change = self.rng.gauss(0.0, scale)
            before = self.prices[symbol]
            self.prices[symbol] = before * min(max(1.0 + change, 0.5), 2.0)
            self.equity += float(self.positions[symbol]) * (self.prices[symbol] - before)
            if symbol not in self.silent:
                self.market.on_bar(symbol, self.now - HOUR_MS, self.prices[symbol], 1e5)
        self.state.on_mark(self.now, self.equity)

    def result(self) -> None:
        for _ in range(self.rng.choice((1, 1, 8))):
            self.state.on_result(self.now, self.rng.gauss(-1.0, 1.0))

    def silence(self) -> None:
        """The bars of a symbol stop, or those of all, for the rest of the sequence."""
        self.silent |= set(self.rng.sample(SYMBOLS, self.rng.choice((1, 1, 4))))
        for _ in range(4):
            self.bar(0.001)

    def sentiment(self) -> None:
        self.market.on_sentiment(self.now - 1, self.rng.uniform(-20.0, 120.0))


def random_genome(rng: random.Random) -> RiskGenome:
    values = []
    for gene in GENES:
        place = rng.choice((rng.random(), 1.0 if gene.looser > 0 else 0.0))
        values.append(gene.from_unit(place))
    return RiskGenome(RiskGenes(*values))


def random_limits(rng: random.Random) -> HardLimits:
    return HardLimits(
        max_order=rng.uniform(0.05, 1.0),
        max_position=rng.uniform(0.05, 1.0),
        max_gross=rng.uniform(0.1, 3.0),
        max_orders_per_minute=rng.choice((1, 3, 60)),
        max_daily_loss=rng.choice((0.001, 0.02, 0.3)),
    )


def check_caps(
    account: Account, genes: RiskGenes, limits: HardLimits, symbol: str, buy: bool
) -> None:
    """Every cap with all that works on the order's side filled: from the orders themselves."""
    long, short, net, gross = {}, {}, 0.0, 0.0
    for one in SYMBOLS:
        price, position = account.prices[one], float(account.positions[one])
        ups = sum(float(o.left) for o in account.orders if o.symbol == one and o.left > 0)
        downs = -sum(float(o.left) for o in account.orders if o.symbol == one and o.left < 0)
        long[one] = (position + ups) * price / CAPITAL
        short[one] = (downs - position) * price / CAPITAL
        net += long[one] if buy else short[one]
        gross += (abs(position) + max(ups, downs)) * price / CAPITAL
    side = long if buy else short
    assert side[symbol] <= min(genes.max_position, limits.max_position) * SLACK
    assert gross <= min(genes.max_gross, limits.max_gross) * SLACK
    assert net <= genes.max_net * SLACK
    cluster = account.market.cluster(symbol)
    assert sum(max(side[one], 0.0) for one in cluster) <= genes.cluster_cap * SLACK


def step(account: Account, manager: GeneticRiskManager, seen: list[RiskDecision]) -> None:
    """One random thing happens; if it is an order, it is judged and, approved, made."""
    rng = account.rng
    what = rng.choices(
        (
            "order",
            "fill",
            "lose",
            "cancel",
            "answer",
            "bar",
            "result",
            "sentiment",
            "permit",
            "silence",
        ),
        (20, 8, 1, 2, 4, 6, 3, 2, 2, 1),
    )[0]
    if what == "fill":
        account.fill(rng.random())
    elif what == "bar":
        account.bar(rng.choice((0.002, 0.004, 0.02, 0.1, 0.3)))
    elif what == "permit":
        account.permit = Permit("ann", account.now + HOUR_MS)
    elif what != "order":
        getattr(account, what)()
    else:
        submit(account, manager, seen)
    metrics = manager.assess(account.state, account.market, account.view("AAA"), account.now)
    account.state.latch(metrics.tripped)


def submit(account: Account, manager: GeneticRiskManager, seen: list[RiskDecision]) -> None:
    rng, genes, limits = account.rng, manager.genome.genes, manager.limits
    symbol = rng.choice(SYMBOLS)
    asked = Decimal(rng.choice((1, -1)) * round(rng.choice((5, 50, 500, 5000)) * rng.random(), 4))
    held = account.positions[symbol]
    reduce_only = bool(held) and rng.random() < 0.3
    if reduce_only:
        asked = -held * Decimal(rng.random())
    order = account.order(symbol, asked, reduce_only=reduce_only)
    decision = manager.evaluate_trade_risk(
        order, account.view(symbol), account.state, account.market
    )
    seen.append(decision)
    if not decision.approved:
        assert decision.size == 0
        assert decision.clearance is None
        assert not reduce_only or asked == 0
        return
    assert abs(decision.size) <= abs(asked)
    assert decision.size * asked > 0
    assert decision.clearance is not None
    decision.clearance.spend("main", symbol, decision.size, None, reduce_only=reduce_only)
    if reduce_only:  # the exchange fills no more of it than reduces
        account.positions[symbol] += decision.size
        return
    assert decision.level < RiskLevel.CRITICAL
    assert decision.level < RiskLevel.HIGH or decision.permitted_by == "ann"
    assert not any(order.unknown and order.symbol == symbol for order in account.orders)
    account.orders.append(Resting(symbol, decision.size))
    account.recent.append(account.now)
    account.state.on_order(account.now)
    price = account.prices[symbol]
    assert abs(float(decision.size)) * price / CAPITAL <= limits.max_order * SLACK
    assert account.state.orders_in_hour(account.now) <= genes.max_trades_per_hour
    check_caps(account, genes, limits, symbol, asked > 0)


def run(seed: int) -> list[RiskDecision]:
    """One random sequence; the decisions of its orders."""
    rng = random.Random(seed)
    market = MarketState.restore(json.loads(warm(rng.randrange(20))))
    account = Account(rng, market)
    manager = GeneticRiskManager(random_genome(rng), random_limits(rng))
    seen: list[RiskDecision] = []
    for _ in range(rng.randrange(5, 30)):
        step(account, manager, seen)
    return seen


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=500, deadline=None)
@given(seeds)
def test_limits_hold_in_random_sequences(seed: int) -> None:
    run(seed)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, database=None)
@given(seeds)
def test_limits_hold_in_ten_thousand_random_sequences(seed: int) -> None:
    run(seed)


def test_the_sequences_reach_every_rule_and_level() -> None:
    """Else the properties above would say nothing."""
    decisions = [decision for seed in range(1500) for decision in run(seed)]
    approved = [decision for decision in decisions if decision.approved]
    assert 0.2 < len(approved) / len(decisions) < 0.8
    cut = {d.rule for d in approved if d.size != d.asked}
    caps = {"max_position", "max_gross", "max_net", "cluster_cap", "liquidity_cap", "size"}
    assert cut == caps
    refused = {d.rule for d in decisions if not d.approved}
    assert refused >= caps - {"size", "liquidity_cap"} | {
        "max_order", "max_orders_per_minute", "max_daily_loss", "max_trades_per_hour", "regime",
    }  # fmt: skip
    assert {trip.breaker for decision in decisions for trip in decision.breakers} == set(Breaker)
    assert {decision.level for decision in decisions} == set(RiskLevel)
    assert any(decision.permitted_by for decision in approved)
