"""GeneticRiskManager: judges every order by hard limits, breakers, level and genes. Pure.

It holds no memory and reads no clock: the same order, snapshot, account state and market state give
the same decision, so that a replay can compare each one.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_DOWN, Context, Decimal
from enum import StrEnum

from genesis.risk.assessment import RiskMetrics, assess_account
from genesis.risk.decision import _SEAL, Clearance, RiskDecision
from genesis.risk.genome import RiskGenome
from genesis.risk.limits import HardLimits, OrderFacts, RiskView, Verdict
from genesis.risk.regime import MarketState
from genesis.risk.ruling import Case, Ruling, rule_on
from genesis.risk.snapshot import account_book
from genesis.risk.state import RiskState

ZERO = Decimal(0)
_EXACT = Context(prec=80, rounding=ROUND_DOWN)
_STEP = Decimal("1e-12")


class RiskProfile(StrEnum):
    """Whether decisions change orders.

    OBSERVE records what would be done and keeps the size that was asked for; the hard limits refuse
    all the same. ENFORCE applies the decision.
    """

    OBSERVE = "observe"
    ENFORCE = "enforce"


class GeneticRiskManager:
    """Judges orders; pure.

    Parameters
    ----------
    genome : RiskGenome
    limits : HardLimits
        Asked first and last; no gene loosens them.
    profile : RiskProfile
    flatten : bool
        Whether EMERGENCY closes positions, besides cancelling entries.
    """

    def __init__(
        self,
        genome: RiskGenome | None = None,
        limits: HardLimits | None = None,
        profile: RiskProfile = RiskProfile.ENFORCE,
        *,
        flatten: bool = True,
    ) -> None:
        self.genome = genome or RiskGenome()
        self.limits = limits or HardLimits()
        self.profile = profile
        self.flatten = flatten

    def assess(
        self,
        state: RiskState,
        market: MarketState,
        view: RiskView,
        now_ms: int,
        *,
        past: bool = False,
    ) -> RiskMetrics:
        """Level of the account and its active breakers.

        The caller keeps `RiskMetrics.tripped` with `RiskState.latch`, and acts on `cancel_open`
        and `flatten`.

        Parameters
        ----------
        state : RiskState
        market : MarketState
        view : RiskView
            Of any deployment of the account; `exposures` hold all its symbols.
        now_ms : int
        past : bool
            Bars of the past are being told, and nothing new is allowed until they are: their age
            trips nothing.
        """
        genes = self.genome.genes
        book = account_book(view)
        return assess_account(genes, state, market, book, now_ms, flatten=self.flatten, past=past)

    def evaluate_trade_risk(
        self, order: OrderFacts, view: RiskView, state: RiskState, market: MarketState
    ) -> RiskDecision:
        """Judge an order that is about to be made.

        An order that only reduces a position is refused by nothing but the price collar.

        Parameters
        ----------
        order : OrderFacts
        view : RiskView
        state : RiskState
        market : MarketState

        Returns
        -------
        RiskDecision
        """
        genes = self.genome.genes
        book = account_book(view, order)
        metrics = assess_account(genes, state, market, book, order.ts_ms, flatten=self.flatten)
        if not order.size.is_finite() or order.size == 0:
            hard = Verdict(False, "size", 0.0, 0.0, f"a size of {order.size} is no order")
        else:
            hard = self.limits.check(order, view)
        if order.reduce_only or not hard.approved:
            size = order.size if hard.approved else ZERO
            return _decision(order, hard, hard, size, size, metrics, None)
        case = Case(order, view, state, market, book, metrics)
        ruling = rule_on(genes, case)
        verdict, would = self._enforced(case, ruling, hard)
        final, size = verdict, would
        if self.profile is RiskProfile.OBSERVE:
            text = hard.text if verdict is hard else f"{hard.text}; enforced: {verdict.text}"
            final, size = replace(hard, text=text), order.size
        return _decision(order, final, verdict, size, would, metrics, ruling, case.permitted_by)

    def _enforced(self, case: Case, ruling: Ruling, hard: Verdict) -> tuple[Verdict, Decimal]:
        """Verdict and size of profile `enforce`: the ruling, and the hard limits once more."""
        if ruling.keep == 1.0:
            return hard, case.order.size
        size = scaled(case.order.size, ruling.keep)
        if size != 0:
            last = self.limits.check(replace(case.order, size=size), case.view)
            if not last.approved:
                return last, ZERO
        return Verdict(size != 0, ruling.rule, ruling.value, ruling.limit, ruling.text), size


def scaled(size: Decimal, keep: float) -> Decimal:
    """A share of a size, rounded towards zero to twelve decimals.

    Parameters
    ----------
    size : Decimal
    keep : float
        0 to 1; what is no positive number leaves nothing.
    """
    if not keep > 0.0:
        return ZERO
    return _EXACT.multiply(size, Decimal(keep)).quantize(_STEP, context=_EXACT)


def _decision(
    order: OrderFacts,
    verdict: Verdict,
    enforced: Verdict,
    size: Decimal,
    would: Decimal,
    metrics: RiskMetrics,
    ruling: Ruling | None,
    permitted_by: str = "",
) -> RiskDecision:
    level = metrics.level if ruling is None else ruling.level
    clearance = Clearance(_SEAL, replace(order, size=size)) if verdict.approved else None
    return RiskDecision(
        approved=verdict.approved,
        size=size,
        asked=order.size,
        would=would,
        rule=verdict.rule,
        value=verdict.value,
        limit=verdict.limit,
        text=verdict.text,
        level=level,
        breakers=metrics.breakers,
        multipliers=() if ruling is None else ruling.multipliers,
        would_rule=enforced.rule if would != order.size else "",
        permitted_by=permitted_by if level.needs_permit else "",
        flatten=metrics.flatten,
        cancel_open=metrics.cancel_open,
        clearance=clearance,
    )
