"""Live runs of a workspace, for a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genesis.domain.errors import GenesisError
from genesis.system.paper import RESULT, runs_folder, state_of
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperSettings


def list_live_runs(workspace: Workspace) -> list[dict[str, Any]]:
    """Live runs, oldest first: id, network, account, state, deployments, halts.

    A run whose settings cannot be read may be one, and is named as damaged.
    """
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperMode, read_settings

    root, rows = runs_folder(workspace), []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not folder.is_dir() or next(folder.iterdir(), None) is None:
            continue
        try:
            settings, _ = read_settings(folder)
            if settings.mode is not PaperMode.LIVE:
                continue
            rows.append(_row(folder, settings, LiveFacts.of(settings)))
        except GenesisError as error:
            rows.append(_damaged(folder, error.what))
    return rows


def _row(folder: Path, settings: PaperSettings, facts: LiveFacts) -> dict[str, Any]:
    import msgspec

    from genesis.trading.kill_report import read_kill_report
    from genesis.trading.status import read_status, writer_of

    status, killed, writer = read_status(folder), read_kill_report(folder), writer_of(folder)
    ends = f"killed: {killed.text}" if killed is not None else "stopped"
    if (folder / RESULT).is_file():
        ends = "finished"
    return {
        "run": folder.name,
        "network": facts.network,
        "account": ", ".join(facts.accounts.values()),
        "state": state_of(folder, writer, ends),
        "healthy": status.healthy if status is not None and writer else None,
        "halts": dict(status.halts) if status is not None else {},
        "assigned": msgspec.to_builtins(settings.assignments),
    }


def _damaged(folder: Path, why: str) -> dict[str, Any]:
    from genesis.trading.status import writer_of

    writer = writer_of(folder)
    running = f"running, process {writer}; " if writer else ""
    return {
        "run": folder.name,
        "network": "-",
        "account": "-",
        "state": f"{running}damaged, it may be a live run: {why}",
        "healthy": None,
        "halts": {},
        "assigned": [],
    }
