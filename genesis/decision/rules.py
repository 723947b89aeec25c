"""Rules of the decisions, from a file that is read strictly and hashed.

There are no rules in the code: without a readable, valid file there is no decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from msgspec import Meta, Struct

from genesis.domain.canonical import content_hash
from genesis.domain.errors import ConfigError
from genesis.evolution.configcheck import Problem, check_shape, raise_problems, read_yaml

EXAMPLE: Final = "configs/decision_rules.yaml"
SHIPPED: Final = Path(__file__).resolve().parents[2] / "configs" / "decision_rules.yaml"

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Factor = Annotated[float, Meta(gt=0.0, le=3.0)]
Count = Annotated[int, Meta(ge=1)]
Days = Annotated[int, Meta(ge=1, le=365)]
Level = Annotated[float, Meta(gt=0.0)]
Hours = Annotated[float, Meta(ge=0.0)]
Urgency = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]


class _Block(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block of keys; none of them has a default."""


class Confidence(_Block, frozen=True):
    """Bands of confidence."""

    automatic: Share
    review: Share
    incomplete: Share


class Deadlines(_Block, frozen=True):
    """Hours until a review is due, by urgency; None is no deadline."""

    LOW: Hours | None
    MEDIUM: Hours | None
    HIGH: Hours | None
    CRITICAL: Hours


class Data(_Block, frozen=True):
    """What a measurement needs to count."""

    max_age_hours: Level
    window_days: Days
    min_days: Days
    min_trades: Count


class Handling(_Block, frozen=True):
    """What happens around a decision of one type; see `configs/decision_rules.yaml`."""

    review: Literal["before", "after"]
    medium_confidence: Literal["flag", "review"]
    incomplete: Literal["wait", "cautious"]
    on_expiry: Literal["cautious", "nothing"]
    urgency: Urgency
    review_urgency: Urgency


class PoolSizing(_Block, frozen=True):
    """How many strategies run."""

    base_strategies_per_1k_capital: Level
    min_strategies: Count
    max_strategies: Count
    high_sharpe: float
    high_sharpe_change: Annotated[int, Meta(ge=0)]
    low_sharpe: float
    low_sharpe_change: Annotated[int, Meta(le=0)]
    review_above: Share
    review_below: Annotated[float, Meta(ge=1.0)]
    confidence: Share
    review_confidence: Share
    handling: Handling


class Retirement(_Block, frozen=True):
    """When a strategy ends."""

    negative_sharpe_days: Days
    max_drawdown: Share
    drawdown_days: Days
    min_win_rate: Share
    low_win_rate_days: Days
    review_above: Annotated[int, Meta(ge=0)]
    confidence: Share
    keep_confidence: Share
    handling: Handling


class Approval(_Block, frozen=True):
    """When a new strategy may trade."""

    min_backtest_sharpe: float
    min_paper_days: Count
    min_paper_sharpe: float
    max_paper_drawdown: Share
    min_passed: Annotated[int, Meta(ge=1, le=4)]
    review_below: Share
    handling: Handling


class Emergency(_Block, frozen=True):
    """When everything stops."""

    daily_loss: Annotated[float, Meta(gt=0.0, le=1.0)]
    weekly_loss: Annotated[float, Meta(gt=0.0, le=1.0)]
    max_drawdown: Annotated[float, Meta(gt=0.0, le=1.0)]
    confidence: Share
    handling: Handling


class RiskAdjustment(_Block, frozen=True):
    """Factor of all position sizes."""

    high_volatility: Level
    high_correlation: Share
    low_volume_ratio: Level
    factor_calm: Factor
    factor_one: Factor
    factor_several: Factor
    confidence: Share
    handling: Handling


class Session(_Block, frozen=True):
    """Settings of a trading session."""

    size_factor: Factor
    max_positions: Count
    risk_factor: Factor


class SessionOptimization(_Block, frozen=True):
    """Which settings a session gets."""

    high_volatility: Level
    high_correlation: Share
    normal: Session
    volatile: Session
    correlated: Session
    confidence: Share
    handling: Handling


class _File(_Block, frozen=True):
    """The file."""

    schema: Literal[1]
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    confidence: Confidence
    deadlines: Deadlines
    data: Data
    strategy_pool_sizing: PoolSizing
    strategy_retirement: Retirement
    new_strategy_approval: Approval
    emergency_shutdown: Emergency
    risk_adjustment: RiskAdjustment
    trading_session_optimization: SessionOptimization


KINDS: Final = (
    "strategy_pool_sizing",
    "strategy_retirement",
    "new_strategy_approval",
    "emergency_shutdown",
    "risk_adjustment",
    "trading_session_optimization",
)
"""The six types of decisions."""


@dataclass(frozen=True)
class DecisionRules:
    """Valid rules; made by `load_rules`, `parse_rules` or `from_plain` only."""

    file: _File

    @cached_property
    def hash(self) -> str:
        """SHA-256 over what the rules say, whatever the layout and comments of their file."""
        return content_hash(self.plain())

    def plain(self) -> dict[str, Any]:
        """Rules as JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self.file)
        return plain

    @classmethod
    def from_plain(cls, raw: Mapping[str, Any], name: str = "rules") -> Self:
        """Rules from what `plain` gave, or a file held.

        Raises
        ------
        ConfigError
            Listing every problem.
        """
        return cls._checked(dict(raw), {}, name)

    @classmethod
    def _checked(cls, raw: dict[str, Any], lines: Mapping[str, int], name: str) -> Self:
        problems: list[Problem] = []
        check_shape(_File, raw, "", problems)
        if problems:
            raise_problems(name, problems, lines, EXAMPLE)
        file = msgspec.convert(raw, _File, strict=True)
        problems = list(_contradictions(file))
        if problems:
            raise_problems(name, problems, lines, EXAMPLE)
        return cls(file)

    def handling(self, kind: str) -> Handling:
        """What happens around decisions of a type."""
        handling: Handling = getattr(self.file, kind).handling
        return handling

    def deadline_ms(self, urgency: str, now_ms: int) -> int | None:
        """When a review of this urgency is due, None for no deadline."""
        hours: float | None = getattr(self.file.deadlines, urgency)
        return None if hours is None else now_ms + round(hours * 3_600_000)


def parse_rules(text: str, name: str = "rules") -> DecisionRules:
    """Rules from the text of a file, YAML or JSON.

    Raises
    ------
    ConfigError
        Listing every problem with file, line, key, value and what is allowed.
    """
    raw, lines = read_yaml(text, name, EXAMPLE)
    return DecisionRules._checked(raw, lines, name)


def load_rules(path: Path | None = None) -> DecisionRules:
    """Rules from a file, the shipped one by default.

    Raises
    ------
    ConfigError
        If it cannot be read, or is not valid in every key.
    """
    file = path or SHIPPED
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the decision rules {file}",
            why=f"{error}; without rules nothing is decided",
            fix="name a file with --rules, or run from a checkout that has configs/",
        ) from None
    return parse_rules(text, str(file))


def _contradictions(file: _File) -> Iterator[Problem]:
    """What each key may say alone, and not together with another."""
    for low, high in _orders(file):
        if low[1] > high[1]:
            yield Problem(low[0], f"cannot be {low[1]:g}, above {high[0]} ({high[1]:g})")
    if file.confidence.incomplete >= file.confidence.review:
        yield Problem(
            "confidence.incomplete",
            f"cannot be {file.confidence.incomplete:g}: without a value somebody must look,"
            f" so it is below confidence.review ({file.confidence.review:g})",
        )
    due = file.deadlines
    hours = [due.CRITICAL, due.HIGH, due.MEDIUM, due.LOW]
    spans = [float("inf") if value is None else value for value in hours]
    if spans != sorted(spans):
        yield Problem("deadlines", "must not be longer for what is more urgent")
    handling = file.emergency_shutdown.handling
    if handling.review != "after" or handling.review_urgency != "CRITICAL":
        yield Problem(
            "emergency_shutdown.handling",
            "must be review: after and review_urgency: CRITICAL: a shutdown waits for nobody",
        )


def _orders(file: _File) -> Iterator[tuple[tuple[str, float], tuple[str, float]]]:
    """Pairs of keys of which the first may not be above the second."""
    yield _pair(file, "confidence.review", "confidence.automatic")
    pool = "strategy_pool_sizing."
    yield _pair(file, pool + "min_strategies", pool + "max_strategies")
    yield _pair(file, pool + "low_sharpe", pool + "high_sharpe")
    yield _pair(file, "data.min_days", "data.window_days")
    risk = "risk_adjustment."
    yield _pair(file, risk + "factor_several", risk + "factor_one")
    yield _pair(file, risk + "factor_one", risk + "factor_calm")
    session = "trading_session_optimization."
    for name in ("volatile", "correlated"):
        for key in ("size_factor", "max_positions", "risk_factor"):
            yield _pair(file, f"{session}{name}.{key}", f"{session}normal.{key}")


def _pair(file: _File, low: str, high: str) -> tuple[tuple[str, float], tuple[str, float]]:
    return (low, _value(file, low)), (high, _value(file, high))


def _value(file: _File, key: str) -> float:
    found: Any = file
    for name in key.split("."):
        found = getattr(found, name)
    return float(found)
