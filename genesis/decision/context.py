"""What a decision is taken on: facts of the market, the account, and each strategy by itself.

Every value may be absent. A rule that needs an absent one does not decide without a person.
A value that cannot be (not finite, or out of its range) counts as absent too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from genesis.decision.grounds import RunRef
from genesis.domain.broken_text import broken_text
from genesis.domain.errors import InputError
from genesis.domain.timeline import DAY_MS

SCHEMA: Final = 1


class _Facts(Struct, frozen=True, forbid_unknown_fields=True):
    """Facts, each of which may be absent."""


class MarketFacts(_Facts, frozen=True):
    """The market, over the symbols that are traded.

    Attributes
    ----------
    volatility : float, optional
        Standard deviation of daily returns over the window, mean of the symbols, a fraction.
    correlation : float, optional
        Mean correlation of the pairs of symbols over the window, -1 to 1.
    volume_ratio : float, optional
        Volume of the last day over its mean in the window, mean of the symbols.
    fear_greed : float, optional
        Index of fear and greed, 0 to 100.
    """

    volatility: float | None = None
    correlation: float | None = None
    volume_ratio: float | None = None
    fear_greed: float | None = None


class AccountFacts(_Facts, frozen=True):
    """The account; returns are fractions of its reference capital.

    Attributes
    ----------
    capital : float, optional
        Reference capital of all strategies, quote units.
    strategies : int, optional
        Strategies that run now.
    average_sharpe, best_sharpe, worst_sharpe : float, optional
        Annualised, of the strategies over the window.
    losers : int, optional
        Strategies with a loss over the window.
    daily_return, weekly_return : float, optional
        Of the last 24 hours and the last seven days; negative is a loss.
    drawdown : float, optional
        Fall from the highest equity, not negative.
    uptime : float, optional
        Share of the last day in which the trader was healthy.
    api_error_rate : float, optional
        Share of requests to the exchange that failed.
    latency_ms : float, optional
        Of an order, from signal to exchange.
    """

    capital: float | None = None
    strategies: int | None = None
    average_sharpe: float | None = None
    best_sharpe: float | None = None
    worst_sharpe: float | None = None
    losers: int | None = None
    daily_return: float | None = None
    weekly_return: float | None = None
    drawdown: float | None = None
    uptime: float | None = None
    api_error_rate: float | None = None
    latency_ms: float | None = None


class DailySeries(_Facts, frozen=True):
    """A strategy at the end of each complete UTC day.

    Attributes
    ----------
    started_day : int
        Day (since 1970) on which the strategy began, with equity 0 and no trade before it.
    first_day : int
        Day of the first entry; later than ``started_day`` where old days were left out.
    equity : tuple of float or None, length n
        Net profit since the start over capital; None on a day that nobody measured (a gap).
    drawdown : tuple of float or None, length n
        Highest equity so far less equity, over capital.
    trades, wins : tuple of int or None, length n
        Closed since the start, and those with a profit.
    """

    started_day: int
    first_day: int
    equity: tuple[float | None, ...] = ()
    drawdown: tuple[float | None, ...] = ()
    trades: tuple[int | None, ...] = ()
    wins: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        if len({len(self.equity), len(self.drawdown), len(self.trades), len(self.wins)}) > 1:
            raise ValueError("equity, drawdown, trades and wins must have the same length")
        if self.first_day < self.started_day:
            raise ValueError("first_day must not be before started_day")

    @property
    def last_day(self) -> int:
        """Day of the last entry; the day before ``first_day`` where there is none."""
        return self.first_day + len(self.equity) - 1

    def latest(self, days: int) -> Self:
        """The last so many days of it."""
        cut = max(len(self.equity) - days, 0)
        return type(self)(
            self.started_day,
            self.first_day + cut,
            self.equity[cut:],
            self.drawdown[cut:],
            self.trades[cut:],
            self.wins[cut:],
        )


class StrategyFacts(_Facts, frozen=True):
    """One strategy.

    Attributes
    ----------
    series : DailySeries, optional
        Its latest days.
    backtest_sharpe : float, optional
        Annualised, of the backtest that it was chosen by.
    paper_days : int, optional
        Days of paper trading that were measured.
    paper_sharpe : float, optional
        Annualised, of its daily returns on paper.
    paper_drawdown : float, optional
        Greatest fall on paper, a fraction of capital.
    """

    series: DailySeries | None = None
    backtest_sharpe: float | None = None
    paper_days: int | None = None
    paper_sharpe: float | None = None
    paper_drawdown: float | None = None


class DecisionContext(_Facts, frozen=True):
    """Everything that the six types of decisions may need.

    Attributes
    ----------
    as_of_ms : int
        Instant for which is decided; only values before it are in.
    data_ms : int, optional
        Instant of the latest data.
    source : str
        Where the facts come from: a run, or ``file:NAME``.
    log : RunRef, optional
        Log of the run that they were measured on, as it was; those of a file have none.
    market : MarketFacts
    account : AccountFacts
    strategies : mapping of str to StrategyFacts
    """

    as_of_ms: int
    data_ms: int | None = None
    source: str = ""
    market: MarketFacts = MarketFacts()
    account: AccountFacts = AccountFacts()
    strategies: Mapping[str, StrategyFacts] = {}
    log: RunRef | None = None

    @property
    def last_day(self) -> int:
        """The last UTC day (since 1970) that is complete."""
        return self.as_of_ms // DAY_MS - 1

    def plain(self) -> dict[str, Any]:
        """Context as JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        if self.log is None:  # as in logs of before there was one
            del plain["log"]
        return plain

    @classmethod
    def from_plain(cls, raw: Any) -> Self:
        """Context from what `plain` gave.

        Raises
        ------
        InputError
            Naming the key that is wrong.
        """
        try:
            return msgspec.convert(raw, cls, strict=True)
        except msgspec.ValidationError as error:
            raise InputError(
                "this is no context of a decision",
                why=str(error),
                fix="genesis decide TYPE --from-run RUN --context-out FILE writes one",
            ) from None


def read_context(text: str, name: str) -> DecisionContext:
    """Context from the text of a JSON file, ``{"schema": 1, "context": {…}}``.

    Its source is the file, whatever it says itself: anybody can have written it.

    Raises
    ------
    InputError
        Naming the file, and what is wrong in it.
    """
    try:
        raw = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        what, why = broken_text(name, text, error, json_only=True)
        raise InputError(
            what,
            why=why,
            fix="genesis decide TYPE --from-run RUN --context-out FILE writes a whole one",
        ) from None
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA or "context" not in raw:
        raise InputError(
            f"{name} is no context file",
            why=f'it is {{"schema": {SCHEMA}, "context": {{…}}}}',
            fix="genesis decide TYPE --from-run RUN --context-out FILE writes one",
        )
    try:
        found = DecisionContext.from_plain(raw["context"])
    except InputError as error:
        raise InputError(f"{name}: {error.what}", why=error.why, fix=error.fix) from None
    return msgspec.structs.replace(found, source=f"file:{name}", log=None)


_RANGES: Final[dict[str, tuple[float, float]]] = {
    "volatility": (0.0, math.inf),
    "correlation": (-1.0, 1.0),
    "volume_ratio": (0.0, math.inf),
    "fear_greed": (0.0, 100.0),
    "capital": (0.0, math.inf),
    "strategies": (0.0, math.inf),
    "losers": (0.0, math.inf),
    "drawdown": (0.0, math.inf),
    "uptime": (0.0, 1.0),
    "api_error_rate": (0.0, 1.0),
    "latency_ms": (0.0, math.inf),
    "paper_days": (0.0, math.inf),
    "paper_drawdown": (0.0, math.inf),
}


def known(facts: Struct | None, name: str) -> float | None:
    """Value of a fact, None where it is absent or cannot be."""
    value = getattr(facts, name) if facts is not None else None
    if value is None or not math.isfinite(value):
        return None
    low, high = _RANGES.get(name, (-math.inf, math.inf))
    return float(value) if low <= value <= high else None
