"""GeneticPositionSizer: how large a position may be, as a share of capital.

Five methods and one set of final caps. What cannot be computed sizes to zero: there is no size to
fall back on, because any such size opens a position that nobody reasoned about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from genesis.domain.errors import ConfigError, refuse_unknown_keys
from genesis.risk.genome import RiskGenes

RISK_PARITY_ROUNDS = 500
"""Rounds of the equal-risk iteration; it stops earlier when nothing moves any more."""
_SETTLED = 1e-12


class SizingMethod(StrEnum):
    """How the size is found.

    FIXED a constant share; KELLY a capped fraction of the Kelly bet; VOLATILITY_ADJUSTED the share
    that has the target volatility; RISK_PARITY the share that carries the same risk as each other
    holding; EVOLVED a weighted blend of Kelly, volatility and momentum.
    """

    FIXED = "fixed"
    KELLY = "kelly"
    VOLATILITY_ADJUSTED = "volatility_adjusted"
    RISK_PARITY = "risk_parity"
    EVOLVED = "evolved"


@dataclass(frozen=True, slots=True)
class SizingRules:
    """Numbers of the sizer; shares are of capital.

    Attributes
    ----------
    fixed : float
        Share of method FIXED.
    kelly_fraction : float
        Fraction of the full Kelly bet, at most one half: at a fraction c the chance ever to
        lose half is ``0.5 ** (2 / c - 1)``, one half at c = 1.
    target_volatility : float
        Per year.
    scale_low, scale_high : float
        Bounds of the volatility and of the momentum scale.
    blend : tuple of float
        Weights of Kelly, volatility and momentum in method EVOLVED; they sum to 1.
    momentum : float
        Change of the momentum scale for a move of one standard deviation.
    max_position, max_total : float
        Final caps: of one position, and of all together.
    least : float
        Share below which there is no position.
    """

    fixed: float = 0.05
    kelly_fraction: float = 0.25
    target_volatility: float = 0.60
    scale_low: float = 0.1
    scale_high: float = 1.0
    blend: tuple[float, float, float] = (0.4, 0.3, 0.3)
    momentum: float = 0.25
    max_position: float = 0.25
    max_total: float = 1.0
    least: float = 0.001

    def __post_init__(self) -> None:
        bounds = {
            "fixed": (0.0, 1.0),
            "kelly_fraction": (0.0, 0.5),
            "target_volatility": (0.001, 10.0),
            "scale_low": (0.0, 1.0),
            "scale_high": (0.0, 3.0),
            "momentum": (0.0, 1.0),
            "max_position": (0.0, 1.0),
            "max_total": (0.0, 3.0),
            "least": (0.0, 1.0),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not low <= value <= high:
                raise ConfigError(
                    f"sizing.{name} = {value!r} is not within its bounds",
                    fix=f"write a number from {low:g} to {high:g}",
                )
        weights = tuple(self.blend)
        sound = len(weights) == 3 and all(0.0 <= weight <= 1.0 for weight in weights)
        if not (sound and math.isclose(sum(weights), 1.0, abs_tol=1e-9)):
            raise ConfigError(
                f"sizing.blend = {self.blend!r} must be three shares that sum to 1",
                fix="write for example [0.4, 0.3, 0.3]",
            )
        if self.scale_low > self.scale_high:
            raise ConfigError("sizing.scale_low is above sizing.scale_high")
        object.__setattr__(self, "blend", weights)

    @classmethod
    def from_genes(cls, genes: RiskGenes) -> SizingRules:
        """Rules whose target and caps are those of a risk genome."""
        return cls(
            target_volatility=genes.target_volatility,
            max_position=genes.max_position,
            max_total=genes.max_gross,
        )

    def plain(self) -> dict[str, Any]:
        """Fields as a mapping that JSON can hold."""
        return {**asdict(self), "blend": list(self.blend)}

    @classmethod
    def from_plain(cls, value: Mapping[str, Any]) -> SizingRules:
        """Read back what `plain` wrote.

        Raises
        ------
        ConfigError
            For an unknown key or a value out of range.
        """
        refuse_unknown_keys("sizing", value, [f.name for f in fields(cls)])
        return cls(**{**value, **({"blend": tuple(value["blend"])} if "blend" in value else {})})


@dataclass(frozen=True, slots=True)
class SizingInputs:
    """What a size is computed from.

    Attributes
    ----------
    strength : float
        Conviction of the signal, 0 to 1; scales the result.
    win_rate : float
        Share of winning trades, NaN where not known.
    payoff : float
        Mean win over mean loss, both positive; NaN where not known.
    volatility : float
        Of the symbol, per year.
    momentum : float
        Return over the trend window in standard deviations, in the direction of the trade.
    used : float
        Share of capital that other positions and working entries take already.
    volatilities : sequence of float
        Of all holdings with this one, per year; `RISK_PARITY` only.
    correlations : sequence of sequences of float
        Of the same holdings.
    place : int
        Which of them this one is.
    """

    strength: float = 1.0
    win_rate: float = math.nan
    payoff: float = math.nan
    volatility: float = math.nan
    momentum: float = 0.0
    used: float = 0.0
    volatilities: Sequence[float] = ()
    correlations: Sequence[Sequence[float]] = ()
    place: int = 0


@dataclass(frozen=True, slots=True)
class Sizing:
    """A size and where it comes from.

    Attributes
    ----------
    share : float
        Share of capital, at least 0.
    method : SizingMethod
    text : str
        One readable sentence.
    """

    share: float
    method: SizingMethod
    text: str


def kelly(win_rate: float, payoff: float) -> float:
    """Kelly bet ``(b p - q) / b`` as a share of capital, at least 0; NaN where not known.

    Parameters
    ----------
    win_rate : float
        p, 0 to 1.
    payoff : float
        b, positive.
    """
    if not (0.0 <= win_rate <= 1.0 and 0.0 < payoff < math.inf):
        return math.nan
    return max(0.0, (payoff * win_rate - (1.0 - win_rate)) / payoff)


def ever_halve(fraction: float) -> float:
    """Chance that capital ever falls to one half of its start at a fraction of the Kelly bet.

    ``0.5 ** (2 / c - 1)`` for continuous betting (Thorp 2006); 0 without a bet, 1 from twice
    Kelly on.
    """
    if fraction <= 0.0:
        return 0.0
    return math.pow(0.5, max(2.0 / fraction - 1.0, 0.0))


def equal_risk(
    volatilities: Sequence[float], correlations: Sequence[Sequence[float]]
) -> tuple[float, ...]:
    """Weights of a portfolio in which each holding carries the same risk; they sum to 1.

    Cyclical coordinate descent on ``w' S w / 2 - sum(log w) / n`` (Griveau-Billion, Richard and
    Roncalli 2013), without a linear algebra library so that every machine gets the same bits.

    Parameters
    ----------
    volatilities : sequence of float, length N
        Positive.
    correlations : sequence of sequences of float, N x N
        Symmetric, ones on the diagonal.

    Raises
    ------
    ValueError
        If an input is no such number or the shapes disagree.
    """
    n = len(volatilities)
    if n == 0 or len(correlations) != n or any(len(row) != n for row in correlations):
        raise ValueError("volatilities and correlations do not fit together")
    if not all(0.0 < v < math.inf for v in volatilities):
        raise ValueError("a volatility is no positive number")
    if not all(-1.0 <= c <= 1.0 for row in correlations for c in row):
        raise ValueError("a correlation is not within -1 and 1")
    budget = 1.0 / n
    weights = [1.0 / v for v in volatilities]
    for _ in range(RISK_PARITY_ROUNDS):
        moved = 0.0
        for i, own in enumerate(volatilities):
            others = 0.0
            for j, other in enumerate(volatilities):
                if j != i:
                    others += correlations[i][j] * own * other * weights[j]
            root = math.sqrt(others * others + 4.0 * own * own * budget)
            new = (root - others) / (2.0 * own * own)
            moved = max(moved, abs(new - weights[i]) * own)
            weights[i] = new
        if moved < _SETTLED:
            break
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


class GeneticPositionSizer:
    """Turns what is known of a trade into a share of capital.

    Parameters
    ----------
    rules : SizingRules
    method : SizingMethod
    """

    def __init__(
        self, rules: SizingRules | None = None, method: SizingMethod = SizingMethod.EVOLVED
    ) -> None:
        self.rules = rules or SizingRules()
        self.method = SizingMethod(method)

    def size(self, inputs: SizingInputs) -> Sizing:
        """Share of capital for a position; zero with its reason where nothing can be said."""
        rules = self.rules
        try:
            base = self._base(inputs)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            return Sizing(0.0, self.method, f"no size: {error}")
        if not (math.isfinite(base) and 0.0 <= inputs.strength <= 1.0):
            return Sizing(0.0, self.method, "no size: an input is missing or impossible")
        wanted = max(base, 0.0) * inputs.strength
        free = rules.max_total - inputs.used
        if not free > 0.0 or not inputs.used >= 0.0:
            return Sizing(0.0, self.method, "no size: no capital is free")
        share = min(wanted, rules.max_position, free)
        if share < rules.least:
            text = f"no size: {share:.3%} of capital is below the least, {rules.least:.3%}"
            return Sizing(0.0, self.method, text)
        capped = "" if share == wanted else f", cut from {wanted:.2%} by the caps"
        return Sizing(share, self.method, f"{share:.2%} of capital by {self.method}{capped}")

    def _base(self, inputs: SizingInputs) -> float:
        rules = self.rules
        if self.method is SizingMethod.FIXED:
            return rules.fixed
        if self.method is SizingMethod.KELLY:
            return self._kelly(inputs)
        if self.method is SizingMethod.VOLATILITY_ADJUSTED:
            return rules.max_position * self._scale(inputs)
        if self.method is SizingMethod.RISK_PARITY:
            parts = equal_risk(inputs.volatilities, inputs.correlations)
            return rules.max_total * parts[inputs.place]
        kelly_weight, volatility_weight, momentum_weight = rules.blend
        bet = self._kelly(inputs)
        scale = self._scale(inputs)
        push = min(max(1.0 + rules.momentum * inputs.momentum, rules.scale_low), rules.scale_high)
        blend = kelly_weight * bet
        blend += (volatility_weight * scale + momentum_weight * push) * rules.max_position
        # Without an edge there is no bet, whatever volatility and momentum say.
        return blend if bet > 0.0 else 0.0 * bet

    def _kelly(self, inputs: SizingInputs) -> float:
        return self.rules.kelly_fraction * kelly(inputs.win_rate, inputs.payoff)

    def _scale(self, inputs: SizingInputs) -> float:
        rules = self.rules
        if not 0.0 < inputs.volatility < math.inf:
            return math.nan
        scale = rules.target_volatility / inputs.volatility
        return min(max(scale, rules.scale_low), rules.scale_high)
