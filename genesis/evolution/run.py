"""A run's folder, and the reader that reports, the CLI and notebooks use."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import InputError, RefusedError, StorageError, did_you_mean
from genesis.evolution.config import StudyConfig, parse_config
from genesis.evolution.files import read_json, read_lines

if TYPE_CHECKING:
    import pandas as pd

CONFIG = "config.yaml"
STUDY = "study.json"
CHECKPOINT = "checkpoint.json"
METRICS = "metrics.jsonl"
TRIALS = "trials.jsonl"
ARCHIVE = "archive.json"
LEADERBOARD = "leaderboard.json"
LOCK = ".lock"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")


def runs_folder(home: Path) -> Path:
    """Folder that holds one folder a run."""
    return home / "runs"


def check_run_id(run_id: str) -> str:
    """The id itself, if it may be the name of a folder.

    Raises
    ------
    InputError
        If it may not.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise InputError(
            f"'{run_id}' cannot name a run",
            fix="use letters, digits, '_', '.' and '-', at most 96, first a letter or digit",
        )
    return run_id


def read_study(folder: Path) -> dict[str, Any]:
    """Facts of a run's ``study.json``.

    Raises
    ------
    RefusedError
        If they are damaged.
    """
    path = folder / STUDY
    try:
        study = read_json(path)
        why = "it holds no facts of a study"
    except StorageError as error:
        study, why = None, error.why
    if not isinstance(study, dict):
        raise RefusedError(
            f"{path} is damaged",
            why=why,
            fix=f"restore it from a copy; without one, remove all but {folder / CONFIG} from its"
            f" folder and run the study again: genesis evolve {folder / CONFIG}",
        )
    return study


class Run:
    """What a study left behind, read only. Data frames are made on first use.

    Parameters
    ----------
    folder : Path
        The run's folder; its name is the run's id.

    Raises
    ------
    RefusedError
        If the folder holds no readable ``study.json``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name
        self.study = read_study(folder)

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.status})"

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``interrupted`` or ``failed``; stale ``running`` is told."""
        status = str(self.study["status"])
        if status == "running" and not _held(self.folder / LOCK):
            return "interrupted"
        return status

    @cached_property
    def config(self) -> StudyConfig:
        """The configuration the study ran with."""
        path = self.folder / CONFIG
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise StorageError(f"cannot read {path}", why=str(error)) from None
        return parse_config(text, str(path))

    def metrics_records(self) -> list[dict[str, Any]]:
        """One mapping a generation, `EvolutionMetrics.to_plain`."""
        return list(read_lines(self.folder / METRICS))

    def leaderboard_records(self) -> list[dict[str, Any]]:
        """Best strategies on full resolution, best first; empty before the study ends."""
        return self._list(LEADERBOARD, "leaderboard")

    def archive_records(self) -> list[dict[str, Any]]:
        """Entries of the archive in key order of cells."""
        return self._list(ARCHIVE, "entries")

    def trials_records(self) -> list[dict[str, Any]]:
        """Rows of the trial ledger in order."""
        return list(read_lines(self.folder / TRIALS))

    def _list(self, name: str, key: str) -> list[dict[str, Any]]:
        path = self.folder / name
        return list(read_json(path)[key]) if path.exists() else []

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row a generation, nested values left out."""
        import pandas as pd

        flat = [
            {k: v for k, v in row.items() if not isinstance(v, (list, dict))}
            for row in self.metrics_records()
        ]
        return pd.DataFrame(flat)

    @cached_property
    def islands(self) -> pd.DataFrame:
        """One row a generation and island."""
        import pandas as pd

        rows = [
            {"generation": row["generation"], **island}
            for row in self.metrics_records()
            for island in row["islands"]
        ]
        return pd.DataFrame(rows)

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """One row a strategy, best first."""
        import pandas as pd

        flat = [
            {k: v for k, v in row.items() if not isinstance(v, (list, dict))}
            for row in self.leaderboard_records()
        ]
        return pd.DataFrame(flat)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row an evaluated genome, its measures as columns."""
        import pandas as pd

        rows = []
        for row in self.trials_records():
            flat = {k: v for k, v in row.items() if not isinstance(v, (list, dict))}
            rows.append({**flat, **(row.get("measures") or {})})
        return pd.DataFrame(rows)

    @cached_property
    def lineage(self) -> pd.DataFrame:
        """One row a child and parent: genome, parent, origin, generation, island."""
        import pandas as pd

        rows = [
            {
                "genome": row["genome"],
                "parent": parent,
                "origin": row["origin"],
                "generation": row["generation"],
                "island": row["island"],
            }
            for row in self.trials_records()
            for parent in (row["parents"] or [None])
        ]
        return pd.DataFrame(rows)


def _held(path: Path) -> bool:
    import fcntl

    if not path.exists():
        return False
    with path.open("rb") as handle:
        try:
            # Shared: two that look at the same time must not take each other for the holder.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def list_runs(home: Path) -> list[Run]:
    """Runs of a workspace, oldest first."""
    folder = runs_folder(home)
    if not folder.is_dir():
        return []
    runs = [Run(place) for place in folder.iterdir() if (place / STUDY).exists()]
    return sorted(runs, key=lambda run: (run.study["created_ms"], run.id))


def load_run(run_id: str, home: Path | None = None) -> Run:
    """Open a run by its id or any unique prefix.

    Parameters
    ----------
    run_id : str
    home : Path, optional
        Workspace; by default ``GENESIS_HOME`` or ``.genesis`` of the current folder.

    Raises
    ------
    InputError
        If no run, or more than one, has the id.
    """
    place = home or Path(os.environ.get("GENESIS_HOME", ".genesis"))
    folder = runs_folder(place)
    names = [p.name for p in folder.iterdir() if (p / STUDY).exists()] if folder.is_dir() else []
    found = [run_id] if run_id in names else sorted(n for n in names if n.startswith(run_id))
    if len(found) > 1:
        raise InputError(
            f"'{run_id}' is the start of {len(found)} runs", fix=f"write one: {', '.join(found)}"
        )
    if not found:
        raise InputError(
            f"there is no run '{run_id}' in {folder}{did_you_mean(run_id, names)}",
            fix="`genesis runs list` shows what exists",
        )
    return Run(folder / found[0])
