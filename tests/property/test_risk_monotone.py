"""Tightening never admits more; any split of updates and any restart give the same state."""

from __future__ import annotations

import json
import random
from dataclasses import fields, replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.canonical import canonical_json
from genesis.domain.timeline import HOUR_MS, MINUTE_MS
from genesis.risk.genome import GENES, RiskGenome
from genesis.risk.limits import HardLimits
from genesis.risk.manager import GeneticRiskManager
from genesis.risk.regime import MarketState
from genesis.risk.state import RiskState
from tests.property.test_risk_sequences import (
    START,
    SYMBOLS,
    WINDOWS,
    Account,
    random_genome,
    random_limits,
    step,
    warm,
)

seeds = st.integers(0, 2**32 - 1)
# Sizes are computed in floats: at the limit itself the last digits may differ.
SLACK = Decimal("1.000000000001")


def lived(seed: int) -> tuple[random.Random, Account, GeneticRiskManager]:
    """An account with a history, and the manager that it had."""
    rng = random.Random(seed)
    account = Account(rng, MarketState.restore(json.loads(warm(rng.randrange(20)))))
    manager = GeneticRiskManager(random_genome(rng), random_limits(rng))
    for _ in range(rng.randrange(0, 25)):
        step(account, manager, [])
    return rng, account, manager


def tighter_genome(rng: random.Random, genome: RiskGenome, name: str) -> RiskGenome:
    gene = next(gene for gene in GENES if gene.name == name)
    value = getattr(genome.genes, name)
    place = gene.to_unit(value)
    bound = gene.to_unit(gene.tightest)
    moved = gene.from_unit(place + (bound - place) * rng.choice((rng.random(), 1.0)))
    between = min(moved, value) if gene.looser > 0 else max(moved, value)
    return genome.replace(**{name: between})


def sizes(
    account: Account, manager: GeneticRiskManager, tight: GeneticRiskManager, rng: random.Random
) -> tuple[Decimal, Decimal]:
    symbol = rng.choice(SYMBOLS)
    size = Decimal(rng.choice((1, -1)) * round(rng.choice((5, 50, 500)) * rng.random(), 4) or 1.0)
    order, view = account.order(symbol, size), account.view(symbol)
    loose = manager.evaluate_trade_risk(order, view, account.state, account.market)
    less = tight.evaluate_trade_risk(order, view, account.state, account.market)
    return abs(loose.size), abs(less.size)


@settings(max_examples=1500, deadline=None)
@given(seeds, st.sampled_from([gene.name for gene in GENES]))
def test_a_tighter_gene_never_admits_a_larger_size(seed: int, name: str) -> None:
    rng, account, manager = lived(seed)
    tight = GeneticRiskManager(tighter_genome(rng, manager.genome, name), manager.limits)
    loose, less = sizes(account, manager, tight, rng)
    assert less <= loose * SLACK


@settings(max_examples=500, deadline=None)
@given(seeds, st.sampled_from([spec.name for spec in fields(HardLimits)]))
def test_a_tighter_hard_limit_never_admits_a_larger_size(seed: int, name: str) -> None:
    rng, account, manager = lived(seed)
    value = getattr(manager.limits, name)
    less_of_it = rng.randint(1, value) if isinstance(value, int) else value * rng.uniform(0.01, 1)
    tight = GeneticRiskManager(manager.genome, replace(manager.limits, **{name: less_of_it}))
    loose, less = sizes(account, manager, tight, rng)
    assert less <= loose


@settings(max_examples=400, deadline=None)
@given(seeds, st.sampled_from([gene.name for gene in GENES]))
def test_a_tighter_gene_never_admits_more_along_the_same_history(seed: int, name: str) -> None:
    """The trips that each manager kept along the way included."""
    rng = random.Random(seed)
    loose = GeneticRiskManager(random_genome(rng))
    tight = GeneticRiskManager(tighter_genome(rng, loose.genome, name))
    market = MarketState.restore(json.loads(warm(rng.randrange(20))))
    account = Account(rng, market)
    states = [account.state, RiskState()]
    states[1].on_mark(START, account.equity)
    for _ in range(30):
        if rng.random() < 0.5:
            account.bar(rng.choice((0.002, 0.01)))
            account.positions[rng.choice(SYMBOLS)] = Decimal(rng.randrange(-200, 200))
            states[1].on_mark(account.now, account.equity)
        elif rng.random() < 0.5:
            result = rng.gauss(-0.5, 1.0)
            for state in states:
                state.on_result(account.now, result)
        else:
            account.sentiment()
        view = account.view("AAA")
        order = account.order("AAA", Decimal(rng.choice((1, -1)) * rng.randrange(1, 100)))
        got = []
        for manager, state in zip((loose, tight), states, strict=True):
            decision = manager.evaluate_trade_risk(order, view, state, market)
            got.append(abs(decision.size))
            state.latch(manager.assess(state, market, view, account.now).tripped)
        assert got[1] <= got[0] * SLACK


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_a_restart_anywhere_changes_no_decision(seed: int) -> None:
    rng, account, manager = lived(seed)
    market = MarketState.restore(json.loads(canonical_json(account.market.plain())))
    state = RiskState.restore(json.loads(canonical_json(account.state.plain())))
    assert canonical_json(market.plain()) == canonical_json(account.market.plain())
    assert canonical_json(state.plain()) == canonical_json(account.state.plain())
    symbol = rng.choice(SYMBOLS)
    order, view = account.order(symbol, Decimal(7)), account.view(symbol)
    assert manager.evaluate_trade_risk(order, view, state, market) == manager.evaluate_trade_risk(
        order, view, account.state, account.market
    )


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_any_batches_and_any_order_within_an_instant_give_the_same_market(seed: int) -> None:
    rng = random.Random(seed)
    bars = []
    for place in range(25):
        instant = [
            (s, START + place * HOUR_MS, rng.uniform(90.0, 110.0), rng.uniform(0.0, 9.0))
            for s in SYMBOLS
            if rng.random() < 0.9
        ]
        bars.append(instant)
    texts = []
    for _ in range(2):
        market = MarketState(HOUR_MS, WINDOWS)
        for instant in bars:
            for symbol, ts, close, volume in rng.sample(instant, len(instant)):
                market.on_bar(symbol, ts, close, volume)
                if rng.random() < 0.2:  # questions and restarts in between leave no trace
                    market.symbol(symbol, ts + HOUR_MS)
                    market.mean_correlation()
                    market = MarketState.restore(json.loads(canonical_json(market.plain())))
        texts.append(
            (canonical_json(market.plain()), market.mean_correlation(), market.mean_percentile())
        )
    assert texts[0] == texts[1]


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_any_split_of_updates_gives_the_same_account(seed: int) -> None:
    rng = random.Random(seed)
    now, updates = START, []
    for _ in range(60):
        now += rng.choice((0, 1, MINUTE_MS, HOUR_MS, 30 * HOUR_MS))
        updates.append((rng.choice(("mark", "result", "order", "flow")), now, rng.gauss(0, 1)))
    texts = []
    for restart in (0.0, 0.5):
        state = RiskState()
        state.on_mark(START, 100.0)
        for what, ts, number in updates:
            if what == "mark":
                state.on_mark(ts, 100.0 + number)
            elif what == "result":
                state.on_result(ts, number)
            elif what == "order":
                state.on_order(ts)
            else:
                state.on_flow(number)
            if rng.random() < restart:
                state = RiskState.restore(json.loads(canonical_json(state.plain())))
        texts.append(canonical_json(state.plain()))
    assert texts[0] == texts[1]
