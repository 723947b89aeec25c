"""Facts for decisions from a stored trading run: its own log, and what a search knew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.decision.strategy_approval import KIND as APPROVAL
from genesis.domain.errors import InputError

if TYPE_CHECKING:
    from genesis.decision.context import DecisionContext
    from genesis.decision.history import BookHistory, StrategyHistory
    from genesis.decision.rules import DecisionRules
    from genesis.domain.clock import Clock
    from genesis.paper.logged import LoggedRun
    from genesis.system.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Facts:
    """A context, and whether it is of the present.

    Attributes
    ----------
    context : DecisionContext
    present : bool
        False for a run of stored or simulated bars.
    caveat : str
        What of a run is no answer to whether a strategy may trade, and why; empty if all is.
    """

    context: DecisionContext
    present: bool
    caveat: str = ""


def facts_of_run(workspace: Workspace, name: str, rules: DecisionRules, clock: Clock) -> Facts:
    """Facts of a stored trading run, the latest where no name is given.

    A run in real time is judged as of now: if it stands still its data grow old, and count as
    missing. One of stored or simulated bars is judged as of its last bar.

    Raises
    ------
    InputError
        If there is no such run, or it holds no bar.
    RefusedError
        If its log is damaged.
    """
    from genesis.paper.began import REAL_TIME
    from genesis.paper.logged import started_of
    from genesis.trading.run_folders import find_run

    folder = find_run(workspace.home, name)
    history = history_of(workspace, folder)
    started, _ = started_of(folder)
    present = started is not None and started.mode in REAL_TIME
    as_of_ms = clock.now_ms() if present else int(history.ends_ms[-1])
    sized = [name for name, one in history.strategies.items() if not one.own_size]
    caveat = (
        f"a sizer made the entries of {', '.join(sized)} smaller in {folder.name}: what they came"
        " to on paper does not count; a run without --sizing does"
        if sized
        else ""
    )
    return Facts(history.context(as_of_ms, rules.file.data), present, caveat)


def history_of(workspace: Workspace, folder: Path) -> BookHistory:
    """What the strategies of a run did, from the events of its log, whose chain is verified.

    Raises
    ------
    InputError
        If it holds no strategy or no bar.
    RefusedError
        If an event was edited, removed or moved.
    """
    import numpy as np

    from genesis.decision.grounds import RunRef
    from genesis.decision.history import BookHistory
    from genesis.paper.logged import panel_of, read_logged, traded_symbols

    whole = read_logged(folder, lambda _: True)
    if whole is None or not any(whole.bars.values()):
        raise InputError(
            f"the run {folder.name} holds no bar of a strategy yet",
            fix="wait for its first bars, or name another run: genesis paper list",
        )
    panel = panel_of(whole)
    ends = panel.ts_ms + panel.interval_ms
    traded = np.flatnonzero(ends > whole.trade_from_ms)
    first = int(traded[0]) if traded.size else 0
    strategies: dict[str, StrategyHistory] = {}
    for strategy, part in _parts(whole):
        equity = np.zeros(ends.size)
        for symbol in traded_symbols(part, panel):
            if symbol.symbol in part.symbols:
                equity += np.nan_to_num(symbol.equity)
        strategies[strategy] = _strategy(workspace, strategy, part, equity[first:])
    return BookHistory(
        source=folder.name,
        ends_ms=ends[first:],
        closes={s.symbol: np.where(s.valid, s.close, np.nan)[first:] for s in panel.symbols},
        volumes={s.symbol: np.where(s.valid, s.volume, np.nan)[first:] for s in panel.symbols},
        strategies=strategies,
        log=RunRef(whole.run, whole.events, whole.head),
    )


def _parts(whole: LoggedRun) -> Iterator[tuple[str, LoggedRun]]:
    """The run as each of its strategies traded it."""
    for strategy in dict.fromkeys(one.strategy_id for one in whole.added):
        added = [one for one in whole.added if one.strategy_id == strategy]
        pairs = {(one.account, one.symbol) for one in added}
        names = {one.deployment for one in added}
        yield (
            strategy,
            replace(
                whole,
                added=added,
                fills=[one for one in whole.fills if (one.account, one.symbol) in pairs],
                funding=[
                    (t, one) for t, one in whole.funding if (one.account, one.symbol) in pairs
                ],
                trades=[one for one in whole.trades if one.deployment in names],
            ),
        )


def _strategy(workspace: Workspace, strategy: str, part: LoggedRun, equity: Any) -> StrategyHistory:
    import numpy as np

    from genesis.decision.history import StrategyHistory
    from genesis.paper.logged import other_sizing

    trades = sorted(part.trades, key=lambda one: one.exit_ms)
    net = [one.pnl - one.fees - one.funding for one in trades]
    return StrategyHistory(
        capital=part.capital,
        equity=equity / part.capital,
        exit_ms=np.array([one.exit_ms for one in trades], dtype=np.int64),
        won=np.array([one > 0 for one in net], dtype=bool),
        backtest_sharpe=_backtest_sharpe(workspace, strategy),
        own_size=not other_sizing(part.added),
    )


def _backtest_sharpe(workspace: Workspace, strategy: str) -> float | None:
    """Sharpe ratio of a stored strategy's backtest, None for one that is not in the store."""
    from genesis.evolution.store import StrategyStore

    try:
        value = StrategyStore(workspace.strategies).get(strategy).measures.get("sharpe")
    except InputError:
        return None
    return None if value is None else float(value)


def strategy_in(context: DecisionContext, kind: str, name: str) -> str:
    """Whole id of a strategy of a context, from its beginning.

    Raises
    ------
    InputError
        If there is none or several, or the type of decision is not about a strategy.
    """
    if kind not in (APPROVAL, "strategy_retirement"):
        if name:
            raise InputError(f"{kind} is about the whole account", fix="leave --strategy out")
        return ""
    if not name and kind == APPROVAL:
        names = list(context.strategies)
        if len(names) == 1:
            return names[0]
        raise InputError(
            "an approval is about one strategy",
            why=f"there are {', '.join(names[:8]) or 'none'}",
            fix="add --strategy ID",
        )
    fitting = [one for one in context.strategies if one.startswith(name)] if name else []
    if name and len(fitting) != 1:
        known = ", ".join(list(context.strategies)[:8]) or "none"
        word = "several strategies" if fitting else "no strategy"
        raise InputError(f"{name!r} is the beginning of {word} there", why=f"there are {known}")
    return fitting[0] if fitting else ""
