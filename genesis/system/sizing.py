"""How the entries of a run are sized, as the command line names it, and what that needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from genesis.paper.settings import PaperSettings
    from genesis.strategy.strategy import Strategy
    from genesis.system.workspace import Workspace

Edges = dict[str, tuple[float, float]]
"""Win rate and payoff by strategy."""


def require_sizing(sizing: str, mode: str = "") -> None:
    """Refuse a sizing that is none, or that defeats the mode.

    Raises
    ------
    InputError
    """
    from genesis.trading.deployment import SIZINGS, STRATEGY_SIZE

    if sizing not in SIZINGS:
        raise InputError(
            f"--sizing {sizing} is not known{did_you_mean(sizing, SIZINGS)}",
            fix=f"use {', '.join(SIZINGS)}",
        )
    if mode == "backtest-validation" and sizing != STRATEGY_SIZE:
        raise InputError(
            "--mode backtest-validation trades the sizes of the backtest",
            fix="leave --sizing out, or use --mode replay",
        )


def kept_sizing(asked: str, before: tuple[Path, PaperSettings] | None) -> tuple[str, str]:
    """Sizing that a live run is to have: the one asked for, else that of the account's last run.

    So no restart makes entries larger: full sizes after a sizer have to be asked for.

    Parameters
    ----------
    asked : str
        Empty where nothing was asked for.
    before : tuple of Path and PaperSettings, optional
        The account's live run that goes on or, where none does, that began last.

    Returns
    -------
    tuple of str
        The sizing, and a note where it is kept and is not that of the strategies.

    Raises
    ------
    InputError
        If it is none.
    """
    from genesis.trading.deployment import STRATEGY_SIZE

    kept = before[1].options.sizing if before is not None else STRATEGY_SIZE
    sizing = asked or kept
    require_sizing(sizing)
    if asked or before is None or sizing == STRATEGY_SIZE:
        return sizing, ""
    note = f"entries are sized by {sizing}, as in run {before[0].name};"
    return sizing, f"{note} --sizing {STRATEGY_SIZE} gives them their full sizes"


def ended_by_sizing(settings: PaperSettings, sizing: str) -> str:
    """Why a live run is to end before one with another sizing begins, empty if it has that one."""
    before = settings.options.sizing
    return "" if sizing in ("", before) else f"entries are sized by {sizing} now, not by {before}"


def known_edges(workspace: Workspace, strategies: Sequence[Strategy], sizing: str) -> Edges:
    """Win rate and payoff of strategies by their records in the store, where there are any.

    They are of the backtest on the searched bars: what a sizer goes by until a deployment has
    closed `genesis.risk.results.LEAST_TRADES` trades of its own.

    Raises
    ------
    InputError
        If the sizing needs them and a strategy has none: it would never open anything.
    RefusedError
        If a record was changed after it was written.
    """
    from genesis.evolution.store import StrategyStore
    from genesis.trading.deployment import STRATEGY_SIZE

    if sizing == STRATEGY_SIZE:
        return {}
    store, found = StrategyStore(workspace.strategies), {}
    for strategy in strategies:
        try:
            edge = edge_of(store.get(strategy.id).measures)
        except InputError:  # it is not there; a record that was changed is refused
            edge = None
        if edge is not None:
            found[strategy.id] = edge
        elif sizing in ("kelly", "evolved"):
            raise InputError(
                f"--sizing {sizing} needs the win rate and payoff of {strategy.id}",
                why="the store has no backtest of it with winning and losing trades",
                fix="trade a strategy that a study stored, or use another --sizing",
            )
    return found


def edge_of(measures: Mapping[str, Any]) -> tuple[float, float] | None:
    """Win rate and payoff (mean win over mean loss) of a backtest, None where it has not both.

    Parameters
    ----------
    measures : mapping
        Its win rate, and its profit factor: sum of the wins over that of the losses.
    """
    win_rate, factor = measures.get("win_rate"), measures.get("profit_factor")
    if not (isinstance(win_rate, int | float) and isinstance(factor, int | float)):
        return None
    if not (0.0 < win_rate < 1.0 and 0.0 < factor < float("inf")):
        return None
    return float(win_rate), float(factor) * (1.0 - win_rate) / win_rate
