"""The position sizer in the loop: what it leaves of an entry, on record, and alike in a replay."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from genesis.domain.canonical import canonical_json
from genesis.domain.errors import InputError
from genesis.risk.book import Exposure
from genesis.risk.genome import GENES, RiskGenes, RiskGenome
from genesis.risk.limits import HardLimits
from genesis.risk.manager import GeneticRiskManager, RiskProfile
from genesis.risk.regime import MarketState
from genesis.risk.results import LEAST_TRADES, TradeResults
from genesis.risk.sizer import GeneticPositionSizer, SizingInputs, SizingMethod, SizingRules
from genesis.trading.core import TradingCore
from genesis.trading.deployment import SIZINGS, DeploymentOptions, read_options
from genesis.trading.order_manager import OrderSettings
from genesis.trading.payloads import (
    DeploymentAdded,
    OpportunityRejected,
    RiskAssessed,
    TradeClosed,
    TradeIntent,
)
from genesis.trading.replay import Refold
from genesis.trading.session import read_state, write_state
from tests.unit.trading.core_rig import (
    HOUR,
    NAKED,
    NAME,
    START,
    STEPPED,
    Rig,
    Script,
    of,
    sized,
)

WARM = 260
"""Bars after which the market of a symbol is known."""
METHODS = [method.value for method in SizingMethod]
LOOSEST = RiskGenes(**{gene.name: gene.loosest for gene in GENES})
GENOME = RiskGenome(LOOSEST).replace(max_position=0.3, target_volatility=0.1, max_gross=0.8)
"""Caps that a sizer runs into, in a market that is wilder than its target."""
RULES = SizingRules.from_genes(GENOME.genes)
EDGE = {"win_rate": 0.6, "payoff": 2.0}
WHOLE = sized(NAKED, 1.0)
"""Asks for 100 units at 100 of a capital of 10,000."""


def manager(
    genome: RiskGenome = GENOME, profile: RiskProfile = RiskProfile.OBSERVE, **limits: Any
) -> GeneticRiskManager:
    return GeneticRiskManager(genome, HardLimits(**limits), profile)


def rig_of(method: str, policy: Any = WHOLE, bars: int = WARM, **more: Any) -> Rig:
    """A market that rises and falls by one and has risen by a third, long enough to be known."""
    options = DeploymentOptions(sizing=method, **more.pop("edge", EDGE))
    rig = Rig(policy, options=options, **{"exchange": Script(), "risk": manager(), **more})
    for number in range(bars):
        base = 75.0 + 25.0 * number / bars
        rig.bar(base + number % 2, base + 1 - number % 2)
    return rig


def inputs_of(rig: Rig, side: float, **more: Any) -> SizingInputs:
    """What is known, put together by hand."""
    seen = rig.core.guard.book.market.symbol("BTC", rig.clock.now_ms())
    told = SizingInputs(
        volatility=seen.volatility,
        momentum=side * seen.strength,
        volatilities=[seen.volatility],
        correlations=[[1.0]],
        **EDGE,
    )
    return replace(told, **more)


def last(rig: Rig, kind: type) -> Any:
    return rig.all(kind)[-1]


def opened(rig: Rig) -> TradeIntent:
    (intent,) = [one for one in rig.all(TradeIntent) if one.scope == "NEW"]
    return intent


# ---- shares ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["long", "short"])
@pytest.mark.parametrize("method", METHODS)
def test_an_entry_has_the_share_that_the_sizer_alone_gives(method: str, wish: str) -> None:
    rig = rig_of(method)
    rig.bar(100.0, wish=wish)
    side = 1.0 if wish == "long" else -1.0
    found = GeneticPositionSizer(RULES, SizingMethod(method)).size(inputs_of(rig, side))
    assert 0.0 < found.share < 0.5
    size = opened(rig).size
    assert size is not None
    assert float(size.size) == pytest.approx(found.share * 10_000 / 100, rel=1e-9)
    assert (size.wanted, size.method) == (100, method)
    assert size.sizing == f"{found.text}; 100.00% was asked for"
    assert last(rig, RiskAssessed).asked == size.size.copy_sign(Decimal(side))
    assert rig.exchange.submitted[0].size == pytest.approx(size.size)


def test_methods_differ_and_a_trend_makes_the_evolved_one_larger() -> None:
    sizes = {}
    for method in METHODS:
        for wish in ("long", "short"):
            rig = rig_of(method)
            rig.bar(100.0, wish=wish)
            sizes[method, wish] = opened(rig).size.size  # type: ignore[union-attr]
    assert len({sizes[method, "long"] for method in METHODS}) == len(METHODS)
    assert sizes["evolved", "short"] < sizes["evolved", "long"]


@pytest.mark.parametrize("method", [*METHODS, "strategy"])
def test_it_is_never_larger_than_what_the_strategy_asks_for(method: str) -> None:
    rig = rig_of(method, sized(NAKED, 0.0101))
    rig.bar(100.0, wish="long")
    size = opened(rig).size
    assert size is not None
    assert size.size == size.wanted == pytest.approx(Decimal("1.01"))
    assert size.method == "policy"
    assert bool(size.sizing) == (method != "strategy")
    assert rig.exchange.submitted[0].size == size.size


def test_a_size_lies_on_the_grid_of_lots_and_too_little_is_none() -> None:
    rig = rig_of("fixed", instrument=STEPPED, policy=sized(NAKED, 0.5))
    rig.bar(101.0, wish="long")
    assert opened(rig).size.size == Decimal("4.95")  # type: ignore[union-attr]
    dear = replace(STEPPED, min_notional=600.0)
    rig = rig_of("fixed", instrument=dear, policy=sized(NAKED, 0.5))
    rig.bar(101.0, wish="long")
    rejected = last(rig, OpportunityRejected)
    assert rejected.stage == "sizing"
    assert rejected.reason == "too little is left: 5.00% of capital by fixed; 49.99% was asked for"


def beside(rig: Rig, monkeypatch: pytest.MonkeyPatch, *held: Exposure) -> MarketState:
    """Let the account hold something in other markets, which have bars of their own."""
    guard = rig.core.guard
    market, view = guard.book.market, guard.view
    gross = Decimal(0)
    for place, one in enumerate(held):
        gross += (one.position.copy_abs() + max(one.buying, one.selling)) * one.price
        for number in range(WARM):
            price = 50.0 + (number * number + number // (5 + place)) % (7 + 4 * place)
            assert market.on_bar(one.symbol, START + number * HOUR, price, 1.0)
    monkeypatch.setattr(guard, "view", lambda one: replace(view(one), exposures=held, gross=gross))
    return market


@pytest.mark.parametrize("side", [1, -1])
def test_risk_is_shared_with_what_the_account_holds(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short counts as what it is: its correlation with a long has the other sign."""
    genome = GENOME.replace(max_position=0.5, max_gross=0.6)
    rig = rig_of("risk_parity", risk=manager(genome))
    nothing, price = Decimal(0), Decimal(100)
    market = beside(
        rig,
        monkeypatch,
        Exposure("ETH", Decimal(5 * side), nothing, nothing, price),
        Exposure("AVAX", nothing, Decimal(7), nothing, price),
    )
    rig.bar(100.0, wish="long")
    now, sides = rig.clock.now_ms(), {"AVAX": 1, "BTC": 1, "ETH": side}
    told = SizingInputs(
        used=0.12,
        volatilities=[market.symbol(name, now).volatility for name in sides],
        correlations=[
            [market.correlation(one, two) * sides[one] * sides[two] for two in sides]
            for one in sides
        ],
        place=1,
    )
    assert abs(told.correlations[1][2]) > 0.01
    rules = SizingRules.from_genes(genome.genes)
    found = GeneticPositionSizer(rules, SizingMethod.RISK_PARITY).size(told)
    other = [[abs(cell) for cell in row] for row in told.correlations]
    wrong = GeneticPositionSizer(rules, SizingMethod.RISK_PARITY).size(
        replace(told, correlations=other)
    )
    size = opened(rig).size
    assert size is not None
    assert float(size.size) == pytest.approx(found.share * 100, rel=1e-9)
    assert found.share != wrong.share or side == 1
    assert found.share < 0.48, "no cap has the last word"


@pytest.mark.parametrize(("working", "left"), [(0, 5.0), (60, 2.0), (80, 0.0)])
def test_what_others_hold_and_have_at_work_leaves_less(
    working: int, left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rig_of("fixed")
    held = Exposure("ETH", Decimal(18), Decimal(working), Decimal(0), Decimal(100))
    beside(rig, monkeypatch, held)
    rig.bar(100.0, wish="long")
    if left:
        assert float(opened(rig).size.size) == pytest.approx(left)  # type: ignore[union-attr]
    else:
        assert last(rig, OpportunityRejected).reason == "no size: no capital is free"


# ---- what is not known -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "more", "why"),
    [
        ("kelly", {"edge": {}}, "no size: an input is missing or impossible"),
        ("evolved", {"edge": {}}, "no size: an input is missing or impossible"),
        ("evolved", {"bars": 50}, "no size: an input is missing or impossible"),
        ("volatility_adjusted", {"bars": 50}, "no size: an input is missing or impossible"),
        ("risk_parity", {"bars": 50}, "no size: a volatility is no positive number"),
        ("kelly", {"edge": {"win_rate": 0.3, "payoff": 1.0}}, "no size: 0.000% of capital is"),
    ],
)
def test_what_is_not_known_is_not_traded(method: str, more: dict[str, Any], why: str) -> None:
    rig = rig_of(method, **more)
    rig.bar(100.0, wish="long")
    assert rig.exchange.submitted == []
    assert rig.all(RiskAssessed) == []
    rejected = last(rig, OpportunityRejected)
    assert rejected.reason.startswith(why)
    assert (rejected.stage, rejected.risk_id) == ("sizing", "")
    (row,) = [row for row in rig.table("journal") if "rejected_opportunity" in row]
    assert rejected.reason in row


def test_a_fixed_share_needs_nothing_to_be_known() -> None:
    rig = rig_of("fixed", bars=50, edge={})
    rig.bar(100.0, wish="long")
    assert float(opened(rig).size.size) == pytest.approx(5.0)  # type: ignore[union-attr]


# ---- risk comes after --------------------------------------------------------------------------


def test_the_hard_limits_judge_what_the_sizer_left() -> None:
    rig = rig_of("fixed", risk=manager(max_order=0.06))
    rig.bar(100.0, wish="long")
    assert last(rig, RiskAssessed).approved
    rig = rig_of("fixed", risk=manager(max_order=0.04))
    rig.bar(100.0, wish="long")
    assert last(rig, RiskAssessed).rule == "max_order"
    assert rig.exchange.submitted == []


def test_the_manager_cuts_what_the_sizer_left_and_both_are_on_record() -> None:
    """A position cap of 2 % with a fixed 5 %: the rules take the cap, a narrower one cuts again."""
    genome = GENOME.replace(cluster_cap=0.05, volatility_exponent=1.0, max_position=0.5)
    rig = rig_of("volatility_adjusted", risk=manager(genome, RiskProfile.ENFORCE))
    rig.bar(100.0, wish="long")
    size, assessed = opened(rig).size, last(rig, RiskAssessed)
    assert size is not None
    assert size.method == f"risk: {assessed.rule}"
    assert size.sizing.endswith("100.00% was asked for")
    assert assessed.size < assessed.asked < 100
    assert size.size == assessed.size


# ---- reversals ---------------------------------------------------------------------------------


def test_the_entry_of_a_reversal_is_sized_when_it_is_sent() -> None:
    """While the old position is held nothing would be free; and it waits at its full size."""
    rig = rig_of("fixed", risk=manager(GENOME.replace(max_gross=0.1)))
    rig.bar(100.0, wish="long")
    rig.fill(rig.exchange.submitted[0])
    rig.bar(100.0, wish="short")
    close = rig.exchange.submitted[-1]
    assert close.reduce_only
    assert rig.deployment.waiting.size.size > 5
    made = rig.fill(close)
    (intent,) = of(made, TradeIntent)
    assert intent.reason == "reversal"
    assert intent.size is not None
    assert float(intent.size.size) == pytest.approx(5.0)
    assert intent.execution is not None
    assert sum(intent.execution.slices) == intent.size.size
    assert intent.size.sizing.startswith("5.00% of capital by fixed")
    assert intent.causality.risk_ids == (of(made, RiskAssessed)[0].risk_id,)


def test_a_reversal_without_a_size_is_rejected_with_the_sizers_words() -> None:
    rig = rig_of("fixed")
    rig.bar(100.0, wish="long")
    rig.fill(rig.exchange.submitted[0])
    rig.bar(100.0, wish="short")
    rig.core.desk.market.prices["BTC"] = 0.0
    made = rig.fill(rig.exchange.submitted[-1])
    (rejected,) = of(made, OpportunityRejected)
    assert (rejected.stage, rejected.reason) == ("sizing", "no size: no price of BTC is known")
    assert rig.deployment.waiting is None


# ---- results -----------------------------------------------------------------------------------


def trades(rig: Rig, count: int) -> None:
    """Round trips: two that win 2 % follow on one that loses 1 %."""
    for number in range(count):
        rig.bar(100.0, wish="long")
        rig.fill(rig.exchange.submitted[-1])
        rig.bar(100.0, wish="exit_long")
        rig.fill(rig.exchange.submitted[-1], 99.0 if number % 3 == 0 else 102.0)


def test_own_results_count_from_enough_trades_on() -> None:
    rig = rig_of("kelly", edge={"win_rate": 0.5, "payoff": 1.5})
    trades(rig, LEAST_TRADES - 1)
    assert rig.deployment.edge() == (0.5, 1.5)
    assert rig.deployment.results.wins + rig.deployment.results.losses == LEAST_TRADES - 1
    trades(rig, 1)
    assert len(rig.all(TradeClosed)) == LEAST_TRADES
    results = rig.deployment.results
    assert rig.deployment.edge() == pytest.approx(
        (results.wins / LEAST_TRADES, (results.won / results.wins) * results.losses / results.lost)
    )
    assert rig.deployment.edge()[1] == pytest.approx(2.0)
    rig.bar(100.0, wish="long")
    win_rate, payoff = rig.deployment.edge()
    told = inputs_of(rig, 1.0, win_rate=win_rate, payoff=payoff)
    found = GeneticPositionSizer(RULES, SizingMethod.KELLY).size(told)
    made = [one for one in rig.all(TradeIntent) if one.scope == "NEW"][-1]
    assert made.size is not None
    assert made.size.sizing.startswith(found.text)


def test_results_of_stakes_are_counted_and_what_has_never_lost_is_not_known() -> None:
    results = TradeResults()
    for share in (0.02, -0.01, 0.0, 0.04):
        results.take(share)
    assert results.plain() == [2, 2, 0.06, 0.01]
    assert results.edge((0.4, 3.0)) == (0.4, 3.0)
    assert all(map(math.isnan, results.edge((0.4, 0.0))))
    always = TradeResults(wins=LEAST_TRADES, won=1.0)
    assert all(map(math.isnan, always.edge((0.4, 3.0))))
    never = TradeResults(losses=LEAST_TRADES, lost=1.0)
    assert never.edge((0.4, 3.0)) == (0.0, 1.0)
    assert TradeResults.restored(results.plain()) == results


# ---- the fold ----------------------------------------------------------------------------------


def fresh() -> TradingCore:
    return TradingCore("run", manager(), orders=OrderSettings(ack_ms=0))


@pytest.mark.parametrize("method", METHODS)
def test_a_replay_and_a_restored_state_size_alike(method: str) -> None:
    rig = rig_of(method)
    trades(rig, 4)
    rig.bar(100.0, wish="long")
    core = fresh()
    refold = Refold(core)
    for event in rig.log.events:
        refold.handle(event)
    assert refold.divergences == []
    assert core.state_hash == rig.core.state_hash
    middle = len(rig.log.events) - 40
    half = fresh()
    for event in rig.log.events[:middle]:
        half.handle(event)
    again = fresh()
    again.restore(read_state(write_state(half.plain())))
    assert canonical_json(again.plain()) == canonical_json(half.plain())
    made = []
    for event in rig.log.events[middle:]:
        again.handle(event)
        made += again.emitted
    assert any(isinstance(one.data, TradeIntent) for one in made)
    assert again.state_hash == rig.core.state_hash
    assert again.desk.deployments[NAME].results == rig.deployment.results
    assert rig.deployment.results.plain() != [0, 0, 0.0, 0.0]


def test_a_log_that_knows_no_sizing_leads_to_the_state_that_it_led_to() -> None:
    """Nothing of the sizer is in a state or an event where the strategy sizes alone."""
    rig = rig_of("strategy", edge={}, policy=sized(NAKED, 0.2))
    trades(rig, 2)
    (added,) = rig.all(DeploymentAdded)
    old = {k: v for k, v in added.options.items() if k not in ("sizing", "win_rate", "payoff")}
    assert len(old) == len(added.options) - 3
    assert read_options(old) == DeploymentOptions()
    assert "results" not in rig.deployment.plain()
    assert '"sizing":""' not in str(write_state(rig.core.plain()))
    rig.bar(100.0, wish="long")
    work = rig.deployment.plain()["work"]
    assert work is None or "sizing" not in work["size"]


def test_options_that_cannot_be() -> None:
    assert read_options({"sizing": "kelly", "win_rate": 0.5, "payoff": 2.0}).sizing == "kelly"
    with pytest.raises(InputError, match=r"kely.*kelly") as caught:
        read_options({"sizing": "kely"})
    assert all(name in caught.value.fix for name in SIZINGS)
    for wrong in ({"win_rate": 1.5}, {"payoff": -1.0}, {"payoff": math.inf}):
        with pytest.raises(InputError, match="payoff"):
            read_options(wrong)
