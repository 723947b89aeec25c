"""Live runs of a workspace, for a list."""

from __future__ import annotations

from typing import Any

from genesis.domain.errors import GenesisError
from genesis.system.paper import RESULT, runs_folder
from genesis.system.workspace import Workspace


def list_live_runs(workspace: Workspace) -> list[dict[str, Any]]:
    """Live runs, oldest first: id, network, account, state, deployments, halts."""
    import msgspec

    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperMode, read_settings
    from genesis.trading.kill_report import read_kill_report
    from genesis.trading.status import read_status, writer_of

    root, rows = runs_folder(workspace), []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not folder.is_dir():
            continue
        try:
            settings, _ = read_settings(folder)
            if settings.mode is not PaperMode.LIVE:
                continue
            facts, status = LiveFacts.of(settings), read_status(folder)
            killed = read_kill_report(folder)
        except GenesisError:
            continue
        writer = writer_of(folder)
        if writer:
            state = f"running, process {writer}"
        elif (folder / RESULT).is_file():
            state = "finished"
        else:
            state = f"killed: {killed.text}" if killed is not None else "stopped"
        rows.append(
            {
                "run": folder.name,
                "network": facts.network,
                "account": ", ".join(facts.accounts.values()),
                "state": state,
                "healthy": status.healthy if status is not None and writer else None,
                "halts": dict(status.halts) if status is not None else {},
                "assigned": msgspec.to_builtins(settings.assignments),
            }
        )
    return rows
