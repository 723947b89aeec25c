"""A strategy: four conditions and a position policy, complete without the code of its family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from genesis.domain.canonical import content_hash
from genesis.domain.errors import StrategyError, did_you_mean
from genesis.strategy import learners as _learners  # noqa: F401  (registers the learners)
from genesis.strategy import primitives as _primitives  # noqa: F401  (registers the primitives)
from genesis.strategy.node import Node, const

SCHEMA = 1
DIRECTIONS = ("both", "long", "short")
_LATER = ("tighten_bars",)


@dataclass(frozen=True, slots=True)
class PolicyParams:
    """How a position is entered, sized, protected and left. Zero switches a rule off.

    Attributes
    ----------
    direction : {"both", "long", "short"}
    size : float
        Notional of an entry as a fraction of the symbol's reference capital.
    vol_target : float
        Annualised volatility that scales the size: ``size * clip(vol_target / realised, 0.1, 3)``.
    vol_window : int
        Bars of the realised volatility.
    atr_window : int
        Bars of the average true range that stops and targets are measured in.
    stop_atr, target_atr : float
        Distance of the stop and of the target from the fill price, in ATR of the decision bar;
        the distance is held within `STOP_BOUNDS` and `TARGET_BOUNDS` as a fraction of price.
    trail_atr : float
        Trailing distance in ATR from the best close since entry.
    breakeven_atr : float
        Move in ATR in favour after which the stop goes to the entry price.
    time_stop : int
        Bars after which the position is closed.
    cooldown : int
        Bars without an entry after an exit.
    tighten_bars : int
        Bars after each of which the stop comes nearer to the entry price by a quarter of its
        initial distance, until it is there after four times as many. Needs a stop.
    """

    direction: str = "both"
    size: float = 0.02
    vol_target: float = 0.0
    vol_window: int = 56
    atr_window: int = 14
    stop_atr: float = 0.0
    target_atr: float = 0.0
    trail_atr: float = 0.0
    breakeven_atr: float = 0.0
    time_stop: int = 0
    cooldown: int = 0
    tighten_bars: int = 0

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise StrategyError(
                f"unknown direction '{self.direction}'{did_you_mean(self.direction, DIRECTIONS)}"
            )
        if not 0 < self.size <= 1:
            raise StrategyError(f"position size must be within (0, 1], not {self.size}")
        for spec in fields(self)[1:]:
            value = getattr(self, spec.name)
            if not 0 <= value < float("inf"):
                raise StrategyError(f"policy.{spec.name} must be finite and not negative")
            # One spelling per value, so that size=1 and size=1.0 are the same strategy.
            whole = isinstance(spec.default, int)
            if whole and value != int(value):
                raise StrategyError(f"policy.{spec.name} is a whole number of bars, not {value}")
            object.__setattr__(self, spec.name, int(value) if whole else float(value))
        if self.vol_window < 2 or self.atr_window < 2:
            raise StrategyError("policy windows are at least 2 bars")
        if self.tighten_bars and not self.stop_atr:
            raise StrategyError(
                "policy.tighten_bars brings a stop nearer, and there is none",
                fix="set policy.stop_atr, or leave tighten_bars at 0",
            )

    def plain(self) -> dict[str, Any]:
        """Parameters by name; what was added later is left out while it is off.

        A strategy that does not use a later rule keeps the id it had before there was one.
        """
        values = asdict(self)
        for name in _LATER:
            if not values[name]:
                del values[name]
        return values


STOP_BOUNDS = (0.02, 0.15)
TARGET_BOUNDS = (0.015, 0.25)

NEVER = const(1.0) < const(0.0)


@dataclass(frozen=True, slots=True)
class Rules:
    """Four truth nodes; a missing one never fires.

    An entry against an open position is a reversal: a close and an open. Where both entries hold,
    or an entry and the exit of the same side, nothing is entered.
    """

    long: Node = NEVER
    short: Node = NEVER
    exit_long: Node = NEVER
    exit_short: Node = NEVER

    def __post_init__(self) -> None:
        for name, node in self.named():
            if not node.boolean:
                raise StrategyError(f"the rule '{name}' is not a condition: {node.text}")

    def named(self) -> tuple[tuple[str, Node], ...]:
        """Pairs of rule name and node, in fixed order long, short, exit_long, exit_short."""
        return (
            ("long", self.long),
            ("short", self.short),
            ("exit_long", self.exit_long),
            ("exit_short", self.exit_short),
        )


@dataclass(frozen=True, slots=True)
class Strategy:
    """Rules and policy, with the genome it came from where it was bred.

    Attributes
    ----------
    rules : Rules
    policy : PolicyParams
    family : str
        Seed family, ``custom`` for hand-written rules.
    genome : mapping, optional
        Plain form of the genome (see `genesis.strategy.genome`); not part of the identity.
    """

    rules: Rules
    policy: PolicyParams
    family: str = "custom"
    genome: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """``strat_`` and 12 hex digits of the content hash of rules and policy."""
        return "strat_" + content_hash(self.identity())[:12]

    def identity(self) -> dict[str, Any]:
        """What the id is computed from."""
        return {
            "schema": SCHEMA,
            "rules": {name: node.text for name, node in self.rules.named()},
            "policy": self.policy.plain(),
        }
