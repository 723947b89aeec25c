"""A scenario: one path with one strategy on each symbol, as the arrays that the simulator reads.

A deployment owns its account and symbol, so an account is one strategy a symbol. Their signals are
computed anew on every path, by the kernels that also trade: a simulated stop that closes a position
early meets the entry signals that really follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from genesis.domain.timeline import bars_per_year
from genesis.evolution.risk.features import MarketFeatures, market_features
from genesis.evolution.risk.law import MarketLaw
from genesis.evolution.risk.paths import ROLES, MarketPath, PathKey, draw_path
from genesis.evolution.risk.source import SourceMarket
from genesis.evolution.risk.strategies import Found
from genesis.market.panel import Panel, SymbolSeries
from genesis.risk.track import Windows
from genesis.strategy.cache import NodeCache
from genesis.strategy.node import Node, series
from genesis.strategy.policy import PolicyNumbers, policy_numbers
from genesis.strategy.policy_inputs import policy_nodes
from genesis.strategy.series import SeriesEvaluator
from genesis.strategy.strategy import NEVER, Strategy

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

START_MS = 1_578_268_800_000
"""A Monday, 00:00 UTC: the first traded bar of every path begins a day and an ISO week."""

RISK_ATR = 14
"""Window of the average true range that the genes' distances are measured in, bars."""

ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT = 1, 2, 4, 8
_CACHE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """How an account trades in every scenario.

    Attributes
    ----------
    capital : float
        Reference capital, quote units.
    exposure : float
        Gross notional over capital when every strategy is in position at its plain size: what
        the manager would let through if it cut nothing.
    taker, maker, slippage : float
        Costs as fractions of notional.
    leverage : float
        Sets the liquidation level of each position.
    interval_ms : int
    warm_up : int
        Bars before the first traded one.
    bars : int
        Traded bars of a path.
    books : int
        Scenarios of a path, each with other strategies.
    """

    capital: float
    exposure: float
    taker: float
    maker: float
    slippage: float
    leverage: float
    interval_ms: int
    warm_up: int
    bars: int
    books: int


# Columns of `Tape.cells`.
(
    OPEN,
    HIGH,
    LOW,
    CLOSE,
    DUE,
    RANGE,
    VOLATILITY,
    PERCENTILE,
    TURNOVER,
    TREND,
    KNOWN,
) = range(11)

# Columns of `Tape.market`.
MEAN_CORRELATION, MEAN_PERCENTILE, EXTREME, SPREAD, CLOSED = range(5)

# Columns of `Book.cells`.
SIGNALS, OWN_RANGE, OWN_VOLATILITY = range(3)

MAINTENANCE = len(PolicyNumbers._fields)
"""Column of `Book.policy` after those of `PolicyNumbers`."""


class Tape(NamedTuple):
    """What the simulator reads of a path; B counts traded bars, A symbols.

    Few arrays, bar by bar: numba counts a reference whenever it takes an array out of a tuple.

    Attributes
    ----------
    cells : float64, shape (B, A, 11)
        Prices, funding due, average true range, and what the manager knows of a symbol: annual
        volatility, its percentile, turnover as a share of capital, trend, whether it is known.
    market : float64, shape (B, 5)
        Mean correlation, mean volatility percentile, whether sentiment is extreme, multiple of
        the slippage, whether the exchange is closed.
    correlation : float64, shape (B, A, A)
    cluster : bool, shape (B, A, A)
    """

    cells: Floats
    market: Floats
    correlation: Floats
    cluster: Bools


class Book(NamedTuple):
    """The strategies of a scenario, one a symbol.

    Attributes
    ----------
    cells : float64, shape (B, A, 3)
        Bits of the rules that fire; average true range and volatility that the policies read.
    policy : float64, shape (A, P)
        `PolicyNumbers`, and the maintenance margin.
    """

    cells: Floats
    policy: Floats


@dataclass(frozen=True, slots=True, eq=False)
class PathScenarios:
    """All scenarios of one path.

    Attributes
    ----------
    key : PathKey
    tape : Tape
    books : tuple of Book
    members : tuple of tuple of str
        Ids of the strategies of each book.
    """

    key: PathKey
    tape: Tape
    books: tuple[Book, ...]
    members: tuple[tuple[str, ...], ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays: list[Any] = list(self.tape)
        for book in self.books:
            arrays += list(book)
        return sum(int(array.nbytes) for array in arrays)


class ScenarioMaker:
    """Draws scenarios of a campaign; a pure function of (seed, role, index).

    Parameters
    ----------
    panel : Panel
        Searched bars of the symbols in use.
    source : SourceMarket
        Of the same panel.
    law : MarketLaw
    strategies : sequence of Found
        With their roles.
    settings : AccountSettings
    seed : int
    windows : Windows, optional
        Of the manager's market measures.
    """

    def __init__(
        self,
        panel: Panel,
        source: SourceMarket,
        law: MarketLaw,
        strategies: Sequence[Found],
        settings: AccountSettings,
        seed: int,
        windows: Windows | None = None,
    ) -> None:
        self._panel = panel
        self._source = source
        self._law = law
        self._pools = {role: [f for f in strategies if f.role == role] for role in ROLES}
        self._settings = settings
        self._seed = seed
        self._windows = windows or Windows()

    def make(self, key: PathKey) -> PathScenarios:
        """Scenarios of a path."""
        settings = self._settings
        path = draw_path(
            self._source,
            self._law,
            key,
            self._seed,
            settings.warm_up + settings.bars,
            settings.interval_ms,
        )
        panel = path_panel(path, self._panel, key, settings)
        values = [
            SeriesEvaluator(panel, i, NodeCache(_CACHE_BYTES)) for i in range(len(panel.symbols))
        ]
        features = market_features(path, settings.interval_ms, settings.warm_up, self._windows)
        books, members = [], []
        for number in range(settings.books):
            chosen = self._draw(key, number, len(panel.symbols))
            books.append(_book(panel, values, [f.strategy for f in chosen], settings))
            members.append(tuple(f.id for f in chosen))
        tape = _tape(path, values, features, settings)
        return PathScenarios(key, tape, tuple(books), tuple(members))

    def _draw(self, key: PathKey, number: int, count: int) -> list[Found]:
        """Strategies of a book: none twice unless the role has fewer than there are symbols."""
        pool = self._pools[key.role]
        place = (ROLES.index(key.role), key.index, 1 + number)
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=place))
        chosen = rng.choice(len(pool), size=count, replace=len(pool) < count)
        return [pool[int(k)] for k in chosen]


def path_panel(path: MarketPath, base: Panel, key: PathKey, settings: AccountSettings) -> Panel:
    """A path as a panel with the instruments of the source; halted bars are missing ones."""
    start = START_MS - settings.warm_up * settings.interval_ms
    valid = ~path.halted
    symbols = []
    for i, member in enumerate(base.symbols):
        columns = {
            name: np.where(valid, getattr(path, name)[i], np.nan)
            for name in ("open", "high", "low", "close", "volume")
        }
        symbols.append(
            SymbolSeries(
                instrument=member.instrument,
                valid=valid,
                first=0,
                last=path.bars - 1,
                funding_due=path.due[i],
                funding=path.funding[i],
                sentiment=path.sentiment[i],
                has_funding=member.has_funding,
                **columns,
            )
        )
    ts_ms = start + np.arange(path.bars, dtype=np.int64) * settings.interval_ms
    name = f"{key.role} path {key.index}"
    return Panel(name, base.venue, settings.interval_ms, ts_ms, tuple(symbols), name)


def _tape(
    path: MarketPath,
    values: Sequence[SeriesEvaluator],
    features: MarketFeatures,
    settings: AccountSettings,
) -> Tape:
    """Cut the traded bars out of a path and its measures."""
    first = settings.warm_up
    node = Node("atr", (series("high"), series("low"), series("close")), (RISK_ATR,))
    columns = (
        path.open,
        path.high,
        path.low,
        path.close,
        due_when_open(path.due, path.halted),
        np.stack([one.value(node) for one in values]),
        features.volatility,
        features.percentile,
        features.turnover / settings.capital,
        features.trend,
        features.known,
    )
    market = (
        features.mean_correlation,
        features.mean_percentile,
        features.extreme,
        path.spread,
        path.halted,
    )
    return Tape(
        cells=_laid(columns, first),
        market=np.ascontiguousarray(np.stack(market, axis=-1)[first:], dtype=np.float64),
        correlation=features.correlation[first:].copy(),
        cluster=features.cluster[first:].copy(),
    )


def _laid(columns: Sequence[npt.NDArray[Any]], first: int) -> Floats:
    """Arrays of shape (A, B) as one of shape (B - first, A, columns)."""
    stacked = np.stack([np.asarray(c, dtype=np.float64)[:, first:] for c in columns], axis=-1)
    return np.ascontiguousarray(stacked.transpose(1, 0, 2))


def due_when_open(due: Floats, halted: Bools) -> Floats:
    """Funding rates, those of halted bars added to the first bar after the halt."""
    out = due.copy()
    for t in np.flatnonzero(halted).tolist():
        if t + 1 < halted.size:
            out[:, t + 1] += out[:, t]
        out[:, t] = 0.0
    return out


def _book(
    panel: Panel,
    values: Sequence[SeriesEvaluator],
    strategies: Sequence[Strategy],
    settings: AccountSettings,
) -> Book:
    """Signals and policies of the strategies, each on its symbol.

    A strategy asks for its deployment's whole capital: how much of it is at risk, also by
    volatility, is the manager's business alone.
    """
    shape = (len(strategies), values[0].value(series("close")).size)
    signals, ranges, volatilities = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    policies = np.zeros((len(strategies), MAINTENANCE + 1))
    bits = (ENTER_LONG, ENTER_SHORT, EXIT_LONG, EXIT_SHORT)
    for i, strategy in enumerate(strategies):
        for bit, (_, node) in zip(bits, strategy.rules.named(), strict=True):
            if node != NEVER:
                signals[i] += np.where(values[i].value(node) == 1, bit, 0)
        policy = replace(strategy.policy, size=1.0, vol_target=0.0)
        for target, wanted in zip((ranges, volatilities), policy_nodes(policy), strict=True):
            if wanted is not None:
                target[i] = values[i].value(wanted)
        instrument = panel.symbols[i].instrument
        policies[i, :MAINTENANCE] = policy_numbers(
            policy,
            instrument,
            settings.capital * settings.exposure / len(strategies),
            bars_per_year(settings.interval_ms),
        )
        policies[i, MAINTENANCE] = instrument.maintenance_margin
    return Book(_laid((signals, ranges, volatilities), settings.warm_up), policies)
