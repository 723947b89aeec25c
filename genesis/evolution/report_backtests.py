"""Full backtests of a study's best strategies, computed again from the workspace's data."""

from __future__ import annotations

from pathlib import Path

from genesis.backtest.report_build import report_data
from genesis.backtest.report_data import ReportData
from genesis.domain.errors import GenesisError
from genesis.evolution.run import Run
from genesis.evolution.study import evaluation_setup, search_panel
from genesis.strategy.text import load_strategy

SHOWN = 5


def best_backtests(run: Run, limit: int = SHOWN) -> tuple[list[ReportData], list[str]]:
    """Backtest the first strategies of the leaderboard on the searched bars.

    Parameters
    ----------
    run : Run
        In a workspace: its folder is ``HOME/runs/ID``, the data lies in ``HOME/data``.
    limit : int
        Most strategies.

    Returns
    -------
    backtests : list of ReportData
    warnings : list of str
        Why there are none, where the data or a strategy is gone.
    """
    rows = run.leaderboard_records()[:limit]
    if not rows:
        return [], []
    try:
        panel = search_panel(run.config, _home(run))
        if panel.dataset_hash != run.study["dataset_hash"]:
            return [], [
                "The stored data is not what this study searched any more, so the page has no"
                " charts of strategies."
            ]
        setup = evaluation_setup(run.config)
        found = []
        for row in rows:
            strategy = load_strategy(row["strategy"])
            found.append(report_data(panel, strategy, setup))
        return found, []
    except GenesisError as error:
        return [], [f"No charts of strategies: {error.what}."]


def _home(run: Run) -> Path:
    return run.folder.resolve().parent.parent
