"""How much capital each deployment gets, and why: risk weights, tilt, Kelly, caps, admission."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.decision.in_force import Bound
from genesis.decision.live_measures import YEAR
from genesis.decision.stages import CENT
from genesis.decision.weights import clusters, correlation, covariance, equal_risk, hrp
from genesis.domain.errors import InputError
from genesis.evidence.measures import PromotionSettings

Floats = npt.NDArray[np.float64]
LEAST_DAYS = 30
METHODS = ("hrp", "erc")


@dataclass(frozen=True, slots=True)
class Claim:
    """A deployment that asks for capital.

    Attributes
    ----------
    deployment : str
    haircut_sharpe : float
        Annual, shrunk.
    cap : Decimal
        Full capital that was approved: never more.
    """

    deployment: str
    haircut_sharpe: float
    cap: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """What a deployment gets.

    Attributes
    ----------
    deployment : str
    cluster : int
    risk_weight, tilted : float
        Weight by risk alone, and after the tilt towards the better; each adds up to 1.
    weight : float
        Share of the whole capital after leverage and caps.
    capital : Decimal
        Full capital, quote units.
    reasons : tuple of str
        What held it back, in order.
    """

    deployment: str
    cluster: int
    risk_weight: float
    tilted: float
    weight: float
    capital: Decimal
    reasons: tuple[str, ...] = field(default=())

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "deployment": self.deployment,
            "cluster": self.cluster,
            "risk_weight": self.risk_weight,
            "tilted": self.tilted,
            "weight": self.weight,
            "capital": format(self.capital, "f"),
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Allocation:
    """Capital of every deployment.

    Attributes
    ----------
    method : str
    leverage : float
        Fraction of the full Kelly size, in capital; at most 1.
    shares : tuple of Share
    """

    method: str
    leverage: float
    shares: tuple[Share, ...]

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "method": self.method,
            "leverage": self.leverage,
            "shares": [share.to_plain() for share in self.shares],
        }


def allocate(
    claims: Sequence[Claim],
    returns: Floats,
    total: Decimal,
    settings: PromotionSettings,
    method: str = "hrp",
    factor: Bound = Bound(1.0),  # noqa: B008
) -> Allocation:
    """Divide capital among deployments.

    Risk weights by HRP or equal risk; tilted in proportion to the shrunk Sharpe ratio; the whole
    at a fraction of its Kelly leverage ``mu / sigma^2``, never above 1; then the caps of strategy,
    cluster and approval; last the factor of the decisions that hold. What a cap takes away stays
    uninvested.

    Parameters
    ----------
    claims : sequence of Claim
    returns : float64, shape (days, N)
        Daily returns of each on the same days, fractions of its capital.
    total : Decimal
        Whole capital of the account, quote units.
    settings : PromotionSettings
    method : {"hrp", "erc"}
    factor : Bound
        By what each capital is multiplied, 0 to 1.

    Raises
    ------
    InputError
        If there is nothing to divide, or fewer than 30 common days.
    """
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}", fix=f"use {' or '.join(METHODS)}")
    if not claims:
        return Allocation(method, 0.0, ())
    if returns.shape[0] < LEAST_DAYS or returns.shape[1] != len(claims):
        raise InputError(
            f"{returns.shape[0]} common days are too few to divide capital by risk",
            fix=f"at least {LEAST_DAYS} days on which all of them have returns",
        )
    cov = covariance(returns)
    risk = hrp(cov) if method == "hrp" else equal_risk(cov)
    edge = np.array([max(claim.haircut_sharpe, 0.0) for claim in claims])
    tilted = risk * edge
    if not tilted.sum() > 0.0:
        raise InputError("none of the deployments has an edge that is left after the haircut")
    tilted = tilted / tilted.sum()
    leverage = min(settings.kelly * _kelly(tilted, edge, cov), 1.0)
    groups = clusters(correlation(cov), settings.cluster_correlation)
    shares = _capped(claims, risk, tilted, leverage, groups, total, settings)
    return Allocation(method, leverage, tuple(_cut(share, factor) for share in shares))


def _cut(share: Share, factor: Bound) -> Share:
    if factor.value >= 1.0:
        return share
    capital = (share.capital * Decimal(repr(factor.value))).quantize(CENT, rounding="ROUND_DOWN")
    return replace(share, capital=capital, reasons=(*share.reasons, factor.text))


def _kelly(weights: Floats, edge: Floats, cov: Floats) -> float:
    """Leverage of the full Kelly size of a portfolio, ``mu / sigma^2`` of one day."""
    mean = float(weights @ (edge / math.sqrt(YEAR) * np.sqrt(np.diag(cov))))
    return mean / float(weights @ cov @ weights)


def _capped(
    claims: Sequence[Claim],
    risk: Floats,
    tilted: Floats,
    leverage: float,
    groups: npt.NDArray[np.int64],
    total: Decimal,
    settings: PromotionSettings,
) -> tuple[Share, ...]:
    wanted = tilted * leverage
    weights = np.minimum(wanted, settings.strategy_share)
    shares = []
    for place, claim in enumerate(claims):
        reasons = []
        if leverage < 1.0:
            reasons.append(f"{settings.kelly:g} of the Kelly size is {leverage:.3f} of the capital")
        if wanted[place] > settings.strategy_share:
            reasons.append(f"{wanted[place]:.3f} held at {settings.strategy_share:g} a strategy")
        group = groups == groups[place]
        whole = float(weights[group].sum())
        weight = float(weights[place])
        if whole > settings.cluster_share:
            weight *= settings.cluster_share / whole
            reasons.append(
                f"its cluster of {int(group.sum())} would have {whole:.3f}, held at"
                f" {settings.cluster_share:g}"
            )
        capital = (total * Decimal(repr(weight))).quantize(CENT, rounding="ROUND_DOWN")
        if capital > claim.cap:
            reasons.append(f"{capital:f} USD held at the approved {claim.cap:f} USD")
            capital = claim.cap
        if claim.haircut_sharpe <= 0.0:
            reasons.append("no edge is left after the haircut")
        shares.append(
            Share(
                claim.deployment, int(groups[place]), float(risk[place]), float(tilted[place]),
                weight, capital, tuple(reasons),
            )
        )  # fmt: skip
    return tuple(shares)


def admission_problem(
    sharpe: float, returns: Floats, book: Floats, book_sharpe: float, margin: float
) -> str:
    """Why a strategy adds nothing to a book; empty if ``SR > rho SR_book + margin``.

    Parameters
    ----------
    sharpe, book_sharpe : float
        Annual.
    returns, book : float64, shape (days,)
        On the same days.
    margin : float
    """
    if returns.size < LEAST_DAYS:
        return (
            f"it shares {returns.size} days with the book, {LEAST_DAYS} are needed to tell what it"
            " adds"
        )
    if not (np.std(returns) > 0.0 and np.std(book) > 0.0):
        return ""
    rho = float(np.corrcoef(returns, book)[0, 1])
    needed = rho * book_sharpe + margin
    if sharpe > needed:
        return ""
    return (
        f"its Sharpe ratio is {sharpe:.2f}; correlated {rho:.2f} with a book of {book_sharpe:.2f}"
        f" it needs more than {needed:.2f}: missed by {needed - sharpe:.2f}"
    )
