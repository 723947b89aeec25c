"""Decisions put together: facts of a stored run, rules, the log of operations, what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import InputError, RefusedError

if TYPE_CHECKING:
    from genesis.decision.calibration import Calibration
    from genesis.decision.context import DecisionContext
    from genesis.decision.decision import Decision
    from genesis.decision.history import BookHistory, StrategyHistory
    from genesis.decision.operations import OperationsLog
    from genesis.decision.rules import DecisionRules
    from genesis.domain.clock import Clock
    from genesis.paper.logged import LoggedRun
    from genesis.system.workspace import Workspace
    from genesis.trading.payloads import ReviewResolved

ENGINE = "decision engine"
"""Who does what an automatic decision says."""
REAL_TIME = ("testnet", "live")
"""Modes of runs whose bars are of now."""
APPROVAL = "new_strategy_approval"


@dataclass(frozen=True, slots=True)
class Facts:
    """A context, and whether it is of the present.

    Attributes
    ----------
    context : DecisionContext
    present : bool
        False for a run of stored or simulated bars.
    """

    context: DecisionContext
    present: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision that was taken.

    Attributes
    ----------
    decision : Decision
    id : str
        On record; empty where it was not put there.
    done : tuple of str
        What was carried out because of it.
    note : str
        Why it is not on record, or what else should be known.
    expired : tuple of ReviewResolved
        Older reviews whose deadline had passed.
    """

    decision: Decision
    id: str = ""
    done: tuple[str, ...] = ()
    note: str = ""
    expired: tuple[ReviewResolved, ...] = ()


# ---- facts -----------------------------------------------------------------------------------


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
    from genesis.paper.logged import started_of
    from genesis.trading.run_folders import find_run

    folder = find_run(workspace.home, name)
    history = history_of(workspace, folder)
    started, _ = started_of(folder)
    present = started is not None and started.mode in REAL_TIME
    as_of_ms = clock.now_ms() if present else int(history.ends_ms[-1])
    return Facts(history.context(as_of_ms, rules.file.data), present)


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

    trades = sorted(part.trades, key=lambda one: one.exit_ms)
    net = [one.pnl - one.fees - one.funding for one in trades]
    return StrategyHistory(
        capital=part.capital,
        equity=equity / part.capital,
        exit_ms=np.array([one.exit_ms for one in trades], dtype=np.int64),
        won=np.array([one > 0 for one in net], dtype=bool),
        backtest_sharpe=_backtest_sharpe(workspace, strategy),
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


# ---- decisions -------------------------------------------------------------------------------


def calibration_now(workspace: Workspace) -> Calibration | None:
    """The calibration on record, None if there is none."""
    from genesis.decision.operations import read_operations
    from genesis.decision.review import calibration_of

    return calibration_of(read_operations(workspace.home))


def preview(
    workspace: Workspace,
    kind: str,
    facts: Facts,
    rules: DecisionRules,
    strategy: str,
    clock: Clock,
    note: str,
) -> Outcome:
    """Decide without putting anything on record or doing anything."""
    from genesis.decision.engine import decide

    decision = decide(
        kind,
        facts.context,
        rules,
        strategy=strategy,
        made_ms=clock.now_ms(),
        calibration=calibration_now(workspace),
    )
    return Outcome(decision, note=note)


def decide_now(
    workspace: Workspace,
    kind: str,
    facts: Facts,
    rules: DecisionRules,
    strategy: str,
    clock: Clock,
) -> Outcome:
    """Decide, put it on record, and do what it says where nobody has to look first.

    A shutdown that is certain sets the kill latch before anything else is waited for.

    Raises
    ------
    RefusedError
        If another command holds the log of operations for too long; the latch of a shutdown is
        set even so.
    StorageError
        If the log cannot be written; the same.
    """
    from genesis.decision.engine import EMERGENCY, decide
    from genesis.decision.review import calibration_of, record

    done: list[str] = []
    if kind == EMERGENCY:
        first = decide(kind, facts.context, rules, made_ms=clock.now_ms())
        if first.acts and first.action == "shutdown":
            done += _shut_down(workspace, _why(first), clock)
    with _sitting(workspace, clock) as (log, expired):
        decision = decide(
            kind,
            facts.context,
            rules,
            strategy=strategy,
            made_ms=log.now_ms(),
            calibration=calibration_of(log.state),
        )
        made = record(log, decision)
    if decision.acts and kind != EMERGENCY:
        why = f"{made.decision}: {_why(decision)}"
        done += carry_out(workspace, kind, decision.value, why, clock)
    return Outcome(decision, made.decision, tuple(done), expired=tuple(expired))


def resolve_review(
    workspace: Workspace, name: str, *, approve: bool, who: str, reason: str, clock: Clock
) -> tuple[ReviewResolved, tuple[str, ...]]:
    """Resolve a review as a person says, and do what it allows.

    Returns
    -------
    resolved : ReviewResolved
    done : tuple of str
        What was carried out because of it.

    Raises
    ------
    InputError, RefusedError
        As `genesis.decision.review.resolve`.
    """
    from genesis.decision.review import find_decision, resolve

    with _sitting(workspace, clock) as (log, _):
        resolved = resolve(log, name, approve=approve, who=who, reason=reason)
        kind = find_decision(log.state, resolved.decision).kind
    why = f"{resolved.decision}, approved by {who}: {resolved.reason}"
    return resolved, tuple(carry_out(workspace, kind, resolved.value, why, clock))


def settle_reviews(workspace: Workspace, clock: Clock) -> list[ReviewResolved]:
    """End the reviews whose deadline has passed, and do what the rules say of them.

    Raises
    ------
    RefusedError, StorageError
        As `genesis.decision.operations.OperationsLog.open`.
    """
    with _sitting(workspace, clock) as (_, expired):
        pass
    return expired


@contextmanager
def _sitting(
    workspace: Workspace, clock: Clock
) -> Iterator[tuple[OperationsLog, list[ReviewResolved]]]:
    """A sitting at the log that begins by ending reviews whose time is over."""
    from genesis.decision.operations import OperationsLog
    from genesis.decision.review import settle

    kinds: Mapping[str, str] = {}
    expired: list[ReviewResolved] = []
    try:
        with OperationsLog.open(workspace.home, clock) as log:
            expired += settle(log)
            kinds = {name: row.kind for name, row in log.state.decisions.items()}
            yield log, expired
    finally:
        for one in expired:  # also if what the sitting was for is refused
            why = f"{one.decision}: {one.reason}"
            carry_out(workspace, kinds[one.decision], one.value, why, clock)


def carry_out(
    workspace: Workspace, kind: str, value: Mapping[str, Any], why: str, clock: Clock
) -> list[str]:
    """Do what a decision says beyond what the log of operations itself makes of it.

    Returns
    -------
    list of str
        What was done, a line each.
    """
    if kind == "emergency_shutdown" and value.get("shutdown"):
        return _shut_down(workspace, why, clock)
    if kind == "strategy_retirement" and value.get("retire"):
        return _retire(workspace, value["retire"], why, clock)
    return []


def _shut_down(workspace: Workspace, why: str, clock: Clock) -> list[str]:
    from genesis.system.kill import set_latch

    order, trouble = set_latch(workspace, why, ENGINE, clock)
    note = f"; not on record yet: {trouble}" if trouble else ""
    return [f"the kill latch is set: {order.text}{note}"]


def _retire(workspace: Workspace, names: Sequence[str], why: str, clock: Clock) -> list[str]:
    from genesis.decision.manager import Wish
    from genesis.decision.rows import RETIRED
    from genesis.system.promotion import deployment_manager

    manager = deployment_manager(workspace, clock=clock)
    done = []
    for one in manager.book().deployments.values():
        if one.strategy in names and one.stage != RETIRED:
            try:
                manager.retire(Wish(one.strategy, one.account, one.target), ENGINE, why)
            except RefusedError as error:  # somebody else was faster
                done.append(f"{one.id}: {error.what}")
                continue
            done.append(f"{one.id} was {one.stage} and is retired")
    return done


def _why(decision: Decision) -> str:
    held = [reason.text for reason in decision.reasons if reason.holds]
    return "; ".join(held[:6]) or decision.action


# ---- calibration -----------------------------------------------------------------------------


def calibrate(workspace: Workspace, runs: Sequence[Path], rules: DecisionRules) -> Calibration:
    """Judge the decisions that each day of some runs would have led to, and fit to them.

    Raises
    ------
    InputError, RefusedError
        If a run holds no bar, or its log is damaged.
    """
    from genesis.decision.calibration import Judged, fit
    from genesis.decision.judging import decide_daily, judge

    judged: list[Judged] = []
    for folder in runs:
        history = history_of(workspace, folder)
        judged += judge(list(decide_daily(history, rules)), history, rules)
    return fit(judged)


def keep_calibration(workspace: Workspace, calibration: Calibration, clock: Clock) -> None:
    """Put a calibration on record.

    Raises
    ------
    InputError
        If there were too few decisions of every type.
    """
    from genesis.decision.review import record_calibration

    with _sitting(workspace, clock) as (log, _):
        record_calibration(log, calibration)
