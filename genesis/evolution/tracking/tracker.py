"""The study's side of tracking: append an event to the spool, nudge the shipping process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from genesis.domain.clock import Clock
from genesis.domain.errors import StorageError
from genesis.evolution.files import read_lines
from genesis.evolution.run import METRICS
from genesis.evolution.tracking.describe import numbers_of, params_of, tags_of
from genesis.evolution.tracking.spool import Event, Spool
from genesis.evolution.tracking.target import Target

ARTIFACTS = ("config.yaml", "study.json", "leaderboard.json", "archive.json", "report.html")
DRAIN_S = 20.0
_POLL_S = 0.1
# Study status to MLflow's run status; anything else counts as failed.
_STATUS = {"finished": "FINISHED", "interrupted": "KILLED"}


class TrackedRun(Protocol):
    """What the tracker needs of a run: its id and its folder with config and hashes."""

    @property
    def id(self) -> str:
        """Id of the run."""
        ...

    @property
    def folder(self) -> Path:
        """Folder that holds ``config.yaml`` and ``study.json``."""
        ...


class MlflowTracker:
    """Listener of a study that records it in MLflow without ever waiting for MLflow.

    Each call writes one line to the spool and returns. A process of its own ships the lines, and
    ships them later if the server is away. Nothing here raises: a study is worth more than its
    log, so a spool that cannot be written is reported once through ``warn`` and tried again.

    Parameters
    ----------
    target : Target
        Where to track.
    spool : Path
        Folder of the spools, one file a run.
    experiment : str
        MLflow experiment.
    clock : Clock
    warn : callable, optional
        Receives sentences for the user.
    start_process : callable, optional
        Starts the shipping process; tests replace it.
    """

    def __init__(
        self,
        target: Target,
        spool: Path,
        experiment: str,
        *,
        clock: Clock,
        warn: Callable[[str], None] = lambda _: None,
        start_process: Callable[[], subprocess.Popen[bytes]] | None = None,
    ) -> None:
        self._target = target
        self._folder = spool
        self._experiment = experiment
        self._clock = clock
        self._warn = warn
        self._start_process = start_process or _spawn
        self._process: subprocess.Popen[bytes] | None = None
        self._spool: Spool | None = None
        self._run_folder = Path()
        self._last_generation = -1
        self._waiting: list[Event] = []
        self._warned = False

    # -- listener ------------------------------------------------------------------------------

    def on_start(self, run: TrackedRun) -> None:
        """Spool the run's parameters and hashes; start the shipping process."""
        self._spool = Spool(self._folder, run.id)
        self._run_folder = run.folder
        now = self._clock.now_ms()
        key = f"{run.id}@{now}"
        with contextlib.suppress(OSError, ValueError):
            for event, _ in self._spool.events():
                key = event.get("key", key) if event["kind"] == "start" else key
                if event["kind"] == "generation":
                    self._last_generation = max(self._last_generation, event["generation"])
        self._put(
            {
                "kind": "start",
                "run_id": run.id,
                "key": key,
                "ts_ms": now,
                "experiment": self._experiment,
                "target": self._target.label,
                "params": params_of(run.folder / "config.yaml"),
                "tags": tags_of(run.folder / "study.json"),
            }
        )
        # What was saved and not spooled, because the study was killed in between. In a folder of
        # a new run there is nothing.
        with contextlib.suppress(StorageError):
            for row in read_lines(run.folder / METRICS):
                self.on_generation(row)
        self._launch()

    def on_generation(self, metrics: Any) -> None:
        """Spool the metrics of a generation; one that a resumed study repeats is left out.

        Parameters
        ----------
        metrics : EvolutionMetrics or mapping
            With ``generation`` and ``islands``; other numbers are logged under their names, nested
            ones as ``outer.inner``. What is not a finite number is left out.
        """
        plain = dict(metrics if isinstance(metrics, Mapping) else metrics.to_plain())
        generation = int(plain.pop("generation"))
        if generation <= self._last_generation:
            return
        self._last_generation = generation
        islands = {}
        for place, island in enumerate(plain.pop("islands", ())):
            name = str(island.get("island", island.get("name", place)))
            islands[name] = numbers_of({k: v for k, v in island.items() if k != "island"})
        self._put(
            {
                "kind": "generation",
                "generation": generation,
                "ts_ms": self._clock.now_ms(),
                "metrics": numbers_of(plain),
                "islands": islands,
            }
        )

    def on_finish(self, result: Any) -> None:
        """Spool the artefacts, the result's hashes and the status.

        Parameters
        ----------
        result : StudyResult
            Its ``status``, ``archive_hash``, ``dataset_hash``, ``evaluations``, ``seconds`` are
            recorded where present.
        """
        for name in ARTIFACTS:
            if (self._run_folder / name).is_file():
                self.log_artifact(self._run_folder / name)
        names = ("status", "archive_hash", "dataset_hash", "evaluations", "seconds")
        values = {name: getattr(result, name, None) for name in names}
        self._put(
            {
                "kind": "finish",
                "status": _STATUS.get(str(values["status"]).lower(), "FAILED"),
                "ts_ms": self._clock.now_ms(),
                "tags": {f"genesis.{k}": str(v) for k, v in values.items() if v is not None},
            }
        )

    def log_artifact(self, path: Path) -> None:
        """Spool a file for upload; it is read when it is shipped, credentials blanked out."""
        self._put({"kind": "artifact", "path": str(path.resolve())})

    # -- end -----------------------------------------------------------------------------------

    def pending(self) -> int:
        """Events that have not arrived yet."""
        return len(self._waiting) + (self._spool.pending() if self._spool else 0)

    def close(
        self,
        timeout_s: float = DRAIN_S,
        progress: Callable[[int], None] = lambda _: None,
    ) -> str:
        """Wait a bounded time until everything has arrived. Safe to call twice.

        Parameters
        ----------
        timeout_s : float
        progress : callable, optional
            Receives the count of pending events while waiting.

        Returns
        -------
        str
            Empty if everything arrived; else what is pending, why, and how to ship it later.
        """
        if self._spool is None:
            return ""
        self._flush()
        if self.pending() and (self._process is None or self._process.poll() is not None):
            self._launch()
        process, self._process = self._process, None
        if process is not None:
            _hang_up(process)
            until = time.monotonic() + timeout_s
            while process.poll() is None and time.monotonic() < until:
                progress(self.pending())
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)
            if process.poll() is None:
                process.terminate()
                process.wait()
        return self._verdict()

    def _verdict(self) -> str:
        assert self._spool is not None
        state = self._spool.shipped()
        left = self.pending()
        if left:
            why = f" ({state.error})" if state.error else ""
            return (
                f"{left} tracking events have not reached {self._target.label}{why}; they are"
                f" kept: `genesis runs sync {self._spool.run_id}` or the next study ships them"
            )
        if state.rejected:
            return f"MLflow refused {len(state.rejected)} events, first: {state.rejected[0]}"
        return ""

    # -- parts ---------------------------------------------------------------------------------

    def _put(self, event: Event) -> None:
        self._waiting.append(event)
        self._flush()
        process = self._process
        if process is not None and process.stdin is not None:
            # The pipe never blocks: a process too busy to read needs no further nudge.
            with contextlib.suppress(OSError):
                os.write(process.stdin.fileno(), b"\n")

    def _flush(self) -> None:
        try:
            while self._waiting and self._spool is not None:
                self._spool.append(self._waiting[0])
                self._waiting.pop(0)
        except (StorageError, ValueError, TypeError) as error:
            if isinstance(error, StorageError):
                if not self._warned:
                    self._warn(f"tracking: {error.what}: {error.why}; tried again later")
                self._warned = True
            else:
                self._warn(f"tracking: an event was dropped: {error}")
                self._waiting.pop(0)

    def _launch(self) -> None:
        """Start the shipping process; without one the events stay spooled."""
        assert self._spool is not None
        order = {
            "folder": str(self._folder.resolve()),
            "run_id": self._spool.run_id,
            "uri": self._target.uri,
            "artifact_root": self._target.artifact_root,
        }
        try:
            self._process = self._start_process()
            pipe: IO[bytes] | None = self._process.stdin
            assert pipe is not None
            os.write(pipe.fileno(), json.dumps(order).encode() + b"\n")
            os.set_blocking(pipe.fileno(), False)
        except OSError as error:
            self._process = None
            self._warn(f"tracking: the shipping process did not start: {error.strerror}")


def _spawn() -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C is for the study, which then tells the process to finish.
    return subprocess.Popen(
        [sys.executable, "-m", "genesis.evolution.tracking"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
