"""The evaluator: strategies in, numbers out, on one symbol at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.backtest.accounting import Records, account, engine_name
from genesis.backtest.detail import SymbolBacktest, symbol_backtest
from genesis.backtest.equity import FOLD_SUMS, TOTALS, order_hash, rebuild
from genesis.backtest.frame import Frame, Truth, frame_of
from genesis.backtest.levels import stop_levels
from genesis.backtest.needs import Needs
from genesis.backtest.passes import (
    BOOK_FULL,
    MOST_PER_BAR,
    O_PRICE,
    O_SIZE,
    T_BAR,
    T_REASON,
    orders_of,
)
from genesis.backtest.result import (
    METRICS,
    NO_TRADES,
    NOT_FINITE,
    OVER_BUDGET,
    RAISED,
    STATUS,
    TOO_SHORT,
    VALID,
    BlockResult,
)
from genesis.backtest.scales import scales_by_place
from genesis.backtest.setup import EvaluationSetup
from genesis.backtest.summary import fold_ratios, metrics_row
from genesis.domain.errors import GenesisError, InfrastructureError, StrategyError
from genesis.market.panel import Panel
from genesis.strategy.cache import NodeCache
from genesis.strategy.node import Node
from genesis.strategy.policy import REASON_LIQUIDATION, PolicyNumbers, new_state, policy_numbers
from genesis.strategy.policy_inputs import policy_nodes
from genesis.strategy.series import SeriesEvaluator
from genesis.strategy.strategy import NEVER, PolicyParams, Strategy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

__all__ = ["EvaluationSetup", "Evaluator", "OrderList"]


@dataclass(frozen=True, slots=True)
class OrderList:
    """Orders of one strategy on one symbol, or why there are none.

    Attributes
    ----------
    status : int
        Place in `genesis.backtest.result.STATUS`.
    reason : str
    book : float64, shape (n, 4)
        Signed size, reference price, fee and slippage rate.
    tags : int64, shape (n, 3)
        Bar, reason code, phase.
    """

    status: int
    reason: str
    book: Floats
    tags: Ints


class _Invalid(Exception):
    """A strategy that cannot be evaluated, with its status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Evaluator:
    """Evaluates strategies on the symbols of a panel.

    Parameters
    ----------
    panel : Panel
    setup : EvaluationSetup
    cache_bytes : int
        Memory for evaluated nodes of all symbols, least recently used out first.
    decide_from : int
        Bars before this one advance the rules, and nothing is decided on them.
    entry_scales : mapping of str to float64, shape (T,), optional
        By symbol: the share that is left of an entry decided at the close of each bar, 0 to 1, as
        a risk manager left it. A symbol without one trades as its strategy asks.

    Raises
    ------
    ConfigError
        If the leverage leaves a symbol no margin, or the engine is not installed.
    InputError
        If scales are of an unknown symbol, of another length, or not within 0 and 1.

    Notes
    -----
    Results are a pure function of panel, setup and strategy: the order or grouping of the
    strategies, the cache and the engine change no bit. Not thread-safe.
    """

    def __init__(
        self,
        panel: Panel,
        setup: EvaluationSetup,
        cache_bytes: int = 512 * 1024 * 1024,
        decide_from: int = 0,
        entry_scales: Mapping[str, Floats] | None = None,
    ) -> None:
        setup.require_margin(s.instrument for s in panel.symbols)
        self.panel = panel
        self.setup = setup
        self.engine = engine_name(setup.engine)
        self._decide_from = decide_from
        self._scales = scales_by_place(panel, entry_scales or {})
        self._cache = NodeCache(cache_bytes)  # entries are kept apart by symbol
        self._series: dict[int, SeriesEvaluator] = {}
        self._needs = Needs()
        self._frames: dict[int, Frame] = {}
        self._costs = setup.costs.vector()
        self._book: Floats = np.empty((0, 4))
        self._tags: Ints = np.empty((0, 3), dtype=np.int64)

    @property
    def hits(self) -> int:
        """Nodes that were served from the cache."""
        return self._cache.hits

    @property
    def misses(self) -> int:
        """Nodes that had to be computed."""
        return self._cache.misses

    def forget(self, symbol: int) -> None:
        """Free what is kept of a symbol."""
        kept = self._series.pop(symbol, None)
        if kept is not None:
            kept.forget()
        self._frames.pop(symbol, None)

    def frame(self, symbol: int) -> Frame:
        """Bars, funding, folds and marks of a symbol, laid out once."""
        if symbol not in self._frames:
            share = self.setup.capital / len(self.panel.symbols)
            self._frames[symbol] = frame_of(self.panel, symbol, share, self.setup)
        return self._frames[symbol]

    def detail(self, symbol: int, strategy: Strategy) -> SymbolBacktest:
        """Orders, trades and equity per bar of one strategy, for reports and the leaderboard.

        A symbol that is too short for the strategy's warm-up is flat, as in the search.

        Raises
        ------
        StrategyError
            If the strategy cannot be evaluated (it raises, or exceeds a budget).
        """
        frame, orders = self.frame(symbol), self.orders(symbol, strategy)
        if orders.status in (OVER_BUDGET, RAISED):
            raise StrategyError(
                f"the strategy cannot be evaluated on {frame.instrument.symbol}",
                why=f"{STATUS[orders.status]}: {orders.reason}",
            )
        (records,) = account([orders.book], engine=self.engine)
        levels = stop_levels(
            frame.close,
            frame.valid,
            self._range(symbol, strategy.policy),
            _numbers(frame, strategy.policy),
            orders.book,
            orders.tags,
        )
        return symbol_backtest(frame, orders.book, orders.tags, records, levels)

    def orders(self, symbol: int, strategy: Strategy) -> OrderList:
        """Order list of one strategy; what it raises becomes its status.

        A fault of the machine (infrastructure, memory, files) or an interrupt is not the
        strategy's: it passes through, to be retried elsewhere.
        """
        try:
            return self._orders(symbol, strategy)
        except _Invalid as invalid:
            return _no_orders(invalid.status, invalid.reason)
        except (InfrastructureError, MemoryError, OSError):
            raise
        except Exception as error:
            text = error.what if isinstance(error, GenesisError) else str(error)
            return _no_orders(RAISED, f"{type(error).__name__}: {text}")

    def evaluate(self, symbol: int, strategies: Sequence[Strategy]) -> BlockResult:
        """Evaluate a block of strategies on one symbol.

        Parameters
        ----------
        symbol : int
            Place of the symbol in the panel.
        strategies : sequence of Strategy

        Returns
        -------
        BlockResult

        Raises
        ------
        GenesisError
            If accounting did not execute an order as requested (a fault of the program).
        """
        frame = self.frame(symbol)
        lists = [self.orders(symbol, strategy) for strategy in strategies]
        live = [i for i, orders in enumerate(lists) if orders.status == VALID]
        n, days = len(lists), frame.mark_stop.size
        status = np.array([orders.status for orders in lists], dtype=np.int8)
        reasons = [orders.reason for orders in lists]
        metrics = np.full((n, len(METRICS)), np.nan)
        ratios = np.full((n, self.setup.folds), np.nan)
        trades = np.full((n, self.setup.folds), np.nan)
        marks = np.full((n, days), np.nan)
        phenotype = np.zeros(n, dtype=np.uint64)
        records = account([lists[i].book for i in live], engine=self.engine)
        for i, executed in zip(live, records, strict=True):
            folds, row, totals = _walk(frame, lists[i], executed)
            liquidated = bool(lists[i].tags[-1, T_REASON] == REASON_LIQUIDATION)
            numbers = metrics_row(frame, folds, row, totals, liquidated)
            if not np.all(np.isfinite(numbers)):
                bad = [METRICS[j] for j in np.flatnonzero(~np.isfinite(numbers))]
                status[i] = NOT_FINITE
                reasons[i] = f"not finite: {', '.join(bad)}"
                continue
            metrics[i] = numbers
            ratios[i], trades[i] = fold_ratios(frame, folds)
            marks[i] = row
            phenotype[i] = order_hash(
                np.ascontiguousarray(lists[i].tags[:, T_BAR]),
                np.ascontiguousarray(lists[i].book[:, O_SIZE]),
            )
        return BlockResult(status, tuple(reasons), metrics, ratios, trades, marks, phenotype)

    def _orders(self, symbol: int, strategy: Strategy) -> OrderList:
        frame, policy = self.frame(symbol), strategy.policy
        _, vol_node = self._check(frame, strategy)
        values = self._values(symbol)
        enter_long, enter_short, exit_long, exit_short = (
            frame.none if node == NEVER else self._decided(frame, values.value(node))
            for _, node in strategy.rules.named()
        )
        atr = self._range(symbol, policy)
        vol = frame.close if vol_node is None else values.value(vol_node)
        self._reserve(frame)
        count = orders_of(
            enter_long,
            enter_short,
            exit_long,
            exit_short,
            frame.open,
            frame.high,
            frame.low,
            frame.close,
            frame.valid,
            atr,
            vol,
            frame.due,
            frame.ts_ms,
            frame.last,
            _numbers(frame, policy),
            self._costs,
            frame.noise_key,
            self.setup.leverage,
            frame.instrument.maintenance_margin,
            new_state(),
            self._book,
            self._tags,
            self._scales.get(symbol),
        )
        if count == BOOK_FULL:
            limit = self.setup.orders_per_bar
            raise _Invalid(OVER_BUDGET, f"more than {limit:g} orders per bar")
        if count == 0:
            raise _Invalid(NO_TRADES, "no order was placed")
        return OrderList(VALID, "", self._book[:count].copy(), self._tags[:count].copy())

    def _decided(self, frame: Frame, signals: Truth) -> Truth:
        start = self._decide_from
        return np.concatenate((frame.none[:start], signals[start:])) if start else signals

    def _check(self, frame: Frame, strategy: Strategy) -> tuple[Node | None, Node | None]:
        atr_node, vol_node = policy_nodes(strategy.policy)
        nodes = [node for _, node in strategy.rules.named() if node != NEVER]
        nodes += [node for node in (atr_node, vol_node) if node is not None]
        warm_up, load = self._needs.of(nodes)
        if warm_up >= frame.active_bars:
            raise _Invalid(
                TOO_SHORT, f"warm-up of {warm_up} bars, {frame.active_bars} bars of data"
            )
        if load > self.setup.work_budget:
            raise _Invalid(
                OVER_BUDGET, f"work {load:g} per bar, the budget is {self.setup.work_budget:g}"
            )
        return atr_node, vol_node

    def _range(self, symbol: int, policy: PolicyParams) -> Floats:
        """Average true range per bar; any series where the policy reads none."""
        node, _ = policy_nodes(policy)
        return self.frame(symbol).close if node is None else self._values(symbol).value(node)

    def _values(self, symbol: int) -> SeriesEvaluator:
        if symbol not in self._series:
            self._series[symbol] = SeriesEvaluator(self.panel, symbol, self._cache)
        return self._series[symbol]

    def _reserve(self, frame: Frame) -> None:
        need = int(self.setup.orders_per_bar * frame.active_bars) + MOST_PER_BAR
        if self._book.shape[0] != need:
            self._book = np.empty((need, 4))
            self._tags = np.empty((need, 3), dtype=np.int64)


def _numbers(frame: Frame, policy: PolicyParams) -> PolicyNumbers:
    return policy_numbers(policy, frame.instrument, frame.capital, frame.periods)


def _walk(frame: Frame, orders: OrderList, records: Records) -> tuple[Floats, Floats, Floats]:
    folds = np.zeros((frame.fold_stop.size, FOLD_SUMS))
    marks = np.zeros(frame.mark_stop.size)
    totals = np.zeros(TOTALS)
    rebuild(
        records,
        np.ascontiguousarray(orders.tags[:, T_BAR]),
        np.ascontiguousarray(orders.book[:, O_PRICE]),
        frame.known,
        frame.due,
        frame.first,
        frame.last,
        frame.capital,
        frame.fold_stop,
        frame.mark_stop,
        folds,
        marks,
        totals,
    )
    return folds, marks, totals


def _no_orders(status: int, reason: str) -> OrderList:
    return OrderList(status, reason, np.empty((0, 4)), np.empty((0, 3), dtype=np.int64))
