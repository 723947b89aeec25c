"""The last resort: a unit that failed twice runs in a fresh process of the driver."""

from __future__ import annotations

import selectors
import time
from collections.abc import Sequence

from genesis.domain.errors import ExecutorError
from genesis.evolution.executors.process_worker import SharedJob, WorkerLost, WorkerProcess
from genesis.evolution.work import UnitResult, WorkUnit

_SHOWN_GENOMES = 3


def run_in_fresh_process(
    shared: SharedJob,
    unit: WorkUnit,
    expected_probe: str,
    timeout_s: float,
    causes: Sequence[str],
) -> UnitResult:
    """Run one unit in a process that did nothing before.

    Parameters
    ----------
    shared : SharedJob
    unit : WorkUnit
    expected_probe : str
        Hash that the process's probe must have.
    timeout_s : float
        Seconds that the unit may take.
    causes : sequence of str
        Why it failed before, for the error.

    Raises
    ------
    ExecutorError
        If it fails here too; names the unit's genomes.
    """
    worker = WorkerProcess("driver-fresh", shared)
    try:
        ready = _answer(worker)
        if ready.get("probe") != expected_probe:
            raise WorkerLost(f"its probe differs {ready.get('text', '')}".strip())
        worker.give(unit, timeout_s)
        message = _answer(worker)
        if message["kind"] != "result":
            raise WorkerLost(str(message.get("text")))
        return worker.answered(message, timeout_s)
    except WorkerLost as loss:
        raise ExecutorError(
            f"a unit of {len(unit.genomes)} genomes on symbol {unit.symbol} cannot be completed",
            why="; ".join([*causes, f"fresh process: {loss}"]) + f"; genomes: {_shown(unit)}",
            fix="resume the run with a longer timeout or more memory per worker; if it fails"
            " again, remove the family that these genomes belong to",
        ) from loss
    finally:
        worker.kill()


def _answer(worker: WorkerProcess) -> dict[str, object]:
    """Next message of a worker, before its deadline."""
    with selectors.DefaultSelector() as selector:
        while True:
            wait = worker.deadline - time.monotonic()
            if wait <= 0:
                raise WorkerLost("no answer in time")
            events = selectors.EVENT_READ
            if worker.wants_to_write:
                events |= selectors.EVENT_WRITE
            selector.register(worker, events)
            selector.select(wait)
            selector.unregister(worker)
            worker.flush()
            for message in worker.read():
                return message


def _shown(unit: WorkUnit) -> str:
    shown = ", ".join(unit.genomes[:_SHOWN_GENOMES])
    more = len(unit.genomes) - _SHOWN_GENOMES
    return f"{shown} and {more} more" if more > 0 else shown
