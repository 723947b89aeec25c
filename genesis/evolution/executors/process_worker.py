"""A worker process as its driver sees it, and the job that such processes share."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO, cast

from genesis.domain.errors import ExecutorError
from genesis.evolution.executors.channel import FrameReader, pack, result_of, unit_message
from genesis.evolution.executors.shared import share_panel
from genesis.evolution.work import StudyJob, UnitResult, WorkUnit

SINGLE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "RAYON_NUM_THREADS",
    ),
    "1",
)
"""A worker owns one core; sums that depend on a thread count would differ between workers."""

START_TIMEOUT_S = 300.0
"""Seconds within which a worker must load its code and answer its probe."""

MEMORY_HEADROOM = 1 << 30
"""Private memory of a worker beside its node cache, where no cap is given."""

_LEAST_HEADROOM = 256 << 20
_PACKAGE_ROOT = Path(__file__).resolve().parents[3]
_STOP_SECONDS = 3.0
_TAIL_BYTES = 2000
_CHUNK = 1 << 20


class SharedJob:
    """A job in the form that worker processes receive it.

    Parameters
    ----------
    job : StudyJob
    evaluator : str
        ``module:attribute`` of the class that evaluates units.
    """

    def __init__(self, job: StudyJob, evaluator: str) -> None:
        self.descriptor, layout = share_panel(job.panel)
        self.frame = pack(
            {
                "kind": "job",
                "panel": layout,
                "setup": dict(job.setup),
                "seed_paths": list(job.seed_paths),
                "memory_bytes": job.memory_bytes,
                "families": list(job.families),
                "evaluator": evaluator,
            }
        )

    def close(self) -> None:
        """Let go of the segment; running workers keep theirs."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class WorkerLost(Exception):
    """A worker process ended or sent nonsense; its message says how."""


class WorkerProcess:
    """One worker process, its socket and the units it was given.

    Parameters
    ----------
    label : str
        Name of the worker's place.
    shared : SharedJob

    Attributes
    ----------
    ready : bool
        Whether it has answered the job.
    units : deque of WorkUnit
        Given and not answered; the first one is being run.
    deadline : float
        Instant of `time.monotonic` at which it counts as hung; infinite while idle.
    """

    def __init__(self, label: str, shared: SharedJob) -> None:
        self.label = label
        self.ready = False
        self.units: deque[WorkUnit] = deque()
        self.deadline = time.monotonic() + START_TIMEOUT_S
        self._reader = FrameReader()
        self._outgoing = bytearray()
        self._stderr = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - closed in _reap
        ours, theirs = socket.socketpair()
        self._socket = ours
        try:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "genesis.evolution.executors.process_main",
                    str(theirs.fileno()),
                    str(shared.descriptor),
                    label,
                ],
                stdin=subprocess.PIPE,  # the lifeline
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(theirs.fileno(), shared.descriptor),
                process_group=0,  # a terminal's Ctrl-C reaches the driver only
                env=os.environ | SINGLE_THREAD | {"PYTHONPATH": import_path()},
            )
        except OSError as error:
            ours.close()
            self._stderr.close()
            raise ExecutorError(
                "a worker process could not be started", why=str(error), fix="use fewer workers"
            ) from error
        finally:
            theirs.close()
        ours.setblocking(False)
        self._send(shared.frame)

    def fileno(self) -> int:
        """Descriptor to wait on."""
        return self._socket.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait for room in the socket."""
        return bool(self._outgoing)

    def admit(self) -> None:
        """Note that it has answered the job, and is idle."""
        self.ready = True
        self.deadline = float("inf")

    def give(self, unit: WorkUnit, timeout_s: float) -> None:
        """Hand over a unit; its time runs from when it comes first."""
        if not self.units:
            self.deadline = time.monotonic() + timeout_s
        self.units.append(unit)
        self._send(pack(unit_message(unit)))

    def take_back(self) -> list[WorkUnit]:
        """Forget the units, returning them in the order given; for a process that will go."""
        units = list(self.units)
        self.units.clear()
        return units

    def answered(self, message: dict[str, Any], timeout_s: float) -> UnitResult:
        """Take a result message for the first unit and start the next one's time.

        Raises
        ------
        WorkerLost
            If the answer is to another unit.
        """
        result = result_of(message)
        if not self.units or result.unit != self.units[0].unit:
            raise WorkerLost("answered a unit that it was not given")
        self.units.popleft()
        self.deadline = time.monotonic() + timeout_s if self.units else float("inf")
        return result

    def read(self) -> list[dict[str, Any]]:
        """Messages that have arrived, without waiting.

        Raises
        ------
        WorkerLost
            If the process is gone.
        """
        messages: list[dict[str, Any]] = []
        while True:
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return messages
            except ConnectionError:
                data = b""
            if not data:
                if messages:
                    return messages  # the end is seen again on the next read
                raise WorkerLost(self._how_it_ended())
            messages.extend(self._reader.feed(data))

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        while self._outgoing:
            try:
                sent = self._socket.send(self._outgoing)
            except BlockingIOError:
                return
            except OSError:
                self._outgoing.clear()  # the next read tells how it ended
                return
            del self._outgoing[:sent]

    def kill(self) -> None:
        """End the process now and reap it."""
        self.process.kill()
        self._reap()

    def ask_to_stop(self) -> None:
        """Tell an idle process to leave; `join` waits for it."""
        self._send(pack({"kind": "stop"}))

    def join(self) -> None:
        """Wait for the process to leave, killing it if it does not."""
        if self.process.stdin is not None:
            self.process.stdin.close()  # cuts the lifeline
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._reap()

    def _send(self, frame: bytes) -> None:
        self._outgoing += frame
        self.flush()

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return "closed its connection"
        how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
        tail = self._stderr_tail()
        return f"{how}: {tail}" if tail else how

    def _stderr_tail(self) -> str:
        """Last line that the process wrote to its standard error."""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _TAIL_BYTES))
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def _reap(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()
        self._socket.close()
        self._stderr.close()


def import_path() -> str:
    """Where this process imports from, so that a worker finds the same modules."""
    paths = [str(_PACKAGE_ROOT), *(path for path in sys.path if path)]
    return os.pathsep.join(dict.fromkeys(paths))


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_cap(chosen: int | None, job: StudyJob) -> int:
    """Private bytes above which a worker is replaced after its unit.

    A chosen cap that the code (some 150 MB) and the job's cache alone would break is raised to
    what they need; else every unit would cost a worker.
    """
    if chosen is None:
        return job.memory_bytes + MEMORY_HEADROOM
    return max(chosen, job.memory_bytes + _LEAST_HEADROOM)
