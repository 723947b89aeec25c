"""Writing a run's folder while a study goes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from genesis.domain.clock import Clock
from genesis.domain.errors import InputError
from genesis.domain.timeline import format_ts
from genesis.evolution.checkpoint import refuse_change
from genesis.evolution.config import StudyConfig
from genesis.evolution.files import (
    append_lines,
    cut_torn_tail,
    exclusive,
    read_json,
    read_lines,
    write_json,
    write_lines,
    write_text,
)
from genesis.evolution.metrics import EvolutionMetrics
from genesis.evolution.run import (
    ARCHIVE,
    CHECKPOINT,
    CONFIG,
    LEADERBOARD,
    LOCK,
    METRICS,
    STUDY,
    TRIALS,
    check_run_id,
    read_study,
    runs_folder,
)

SCHEMA = 1


def new_run_id(name: str, home: Path, clock: Clock) -> str:
    """``NAME-YYYYMMDD-HHMMSS``, with a number behind it where that is taken."""
    moment = format_ts(clock.now_ms() // 1000 * 1000)
    digits = "".join(c for c in moment if c.isdigit())
    seconds = clock.now_ms() // 1000 % 60
    base = f"{name}-{digits[:8]}-{digits[8:]}{seconds:02d}"
    run_id, number = base, 2
    while (runs_folder(home) / run_id).exists():
        run_id, number = f"{base}-{number}", number + 1
    return run_id


class RunWriter:
    """The folder of one run, held by one process at a time.

    Parameters
    ----------
    home : Path
        Workspace.
    run_id : str
    clock : Clock

    Raises
    ------
    InputError
        If the id cannot name a folder.
    """

    def __init__(self, home: Path, run_id: str, clock: Clock) -> None:
        self.run_id = check_run_id(run_id)
        self.folder = runs_folder(home) / run_id
        self.checkpoint = self.folder / CHECKPOINT
        self.trials = self.folder / TRIALS
        self._clock = clock
        self._study: dict[str, Any] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run for the length of a block.

        Raises
        ------
        RefusedError
            If another process runs a study on this id.
        """
        with exclusive(self.folder / LOCK, f"the run '{self.run_id}'"):
            try:
                yield
            finally:
                if not self.exists:  # refused before it began: leave nothing behind
                    (self.folder / LOCK).unlink(missing_ok=True)
                    with suppress(OSError):
                        self.folder.rmdir()

    @property
    def created_ms(self) -> int:
        """When the study began; it must have been begun or taken up here."""
        return int(self._study["created_ms"])

    @property
    def exists(self) -> bool:
        """Whether a study was begun under this id."""
        return (self.folder / STUDY).exists()

    def require_new(self) -> None:
        """Refuse an id under which a study was begun already.

        Raises
        ------
        InputError
            If there is one.
        """
        if self.exists:
            raise InputError(
                f"the run '{self.run_id}' exists already",
                fix=f"go on with `genesis evolve --resume {self.run_id}`, or choose another --run",
            )

    def begin(self, config: StudyConfig, facts: dict[str, Any]) -> None:
        """Write the configuration and the study's hashes, status ``running``.

        Parameters
        ----------
        config : StudyConfig
        facts : dict
            Of the study; ``created_ms`` is now unless it says otherwise.

        Raises
        ------
        InputError
            If a study was begun under this id already.
        """
        self.require_new()
        write_text(self.folder / CONFIG, config.to_yaml())
        now = self._clock.now_ms()
        self._study = {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "name": config.name,
            "status": "running",
            "created_ms": now,
            "updated_ms": now,
            "command": _command(),
            **facts,
        }
        write_json(self.folder / STUDY, self._study)

    def require_begun(self) -> None:
        """Refuse to resume what was never begun.

        Raises
        ------
        InputError
            If there is no run under this id.
        """
        if not self.exists:
            raise InputError(
                f"there is no run '{self.run_id}' to resume",
                fix="`genesis runs list` shows what exists",
            )

    def resume(self, facts: Mapping[str, Any]) -> None:
        """Take up a run that exists; one that is refused stays as it was.

        Parameters
        ----------
        facts : mapping
            Hashes of configuration, data and code as they are now.

        Raises
        ------
        InputError
            If there is no run under this id.
        RefusedError
            If it began with another configuration, other data or other code.
        """
        self.require_begun()
        study = read_study(self.folder)
        refuse_change(facts, study)
        self._study = study
        self.update(status="running", resumed_ms=self._clock.now_ms())

    def update(self, **facts: Any) -> None:
        """Change facts of ``study.json``."""
        self._study.update(facts)
        self._study["updated_ms"] = self._clock.now_ms()
        write_json(self.folder / STUDY, self._study)

    def progress(self, generations: int) -> str:
        """Words on what of a study of so many generations is on disk and what is missing."""
        if not self.checkpoint.exists():
            return "no generation was whole yet, so it will begin anew"
        done = int(read_json(self.checkpoint)["generation"]) + 1
        # The archive is written once the search is over, which a budget may end early.
        if done < generations and not (self.folder / ARCHIVE).exists():
            return f"{done} of {generations} generations are whole and saved"
        ranked = (self.folder / LEADERBOARD).exists()
        missing = "the report is" if ranked else "the leaderboard and the report are"
        return f"the search is complete and saved, only {missing} missing"

    def add_metrics(self, metrics: EvolutionMetrics) -> None:
        """Append a generation."""
        append_lines(self.folder / METRICS, [metrics.to_plain()])

    def cut_metrics(self, generation: int) -> None:
        """Drop generations after the given one, which a resumed study runs again."""
        path = self.folder / METRICS
        cut_torn_tail(path)
        rows = list(read_lines(path))
        kept = [row for row in rows if row["generation"] <= generation]
        if len(kept) < len(rows):
            write_lines(path, kept)

    def write_archive(self, plain: dict[str, Any]) -> None:
        """Write the archive for reports."""
        write_json(self.folder / ARCHIVE, plain)

    def write_leaderboard(self, rows: list[dict[str, Any]]) -> None:
        """Write the leaderboard, best first."""
        write_json(
            self.folder / LEADERBOARD,
            {"schema": SCHEMA, "run_id": self.run_id, "leaderboard": rows},
        )


def _command() -> str:
    """Command line of this process, without the folder of the program."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
