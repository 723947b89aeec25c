"""Main program of a worker process: takes a job and units from its socket, answers each.

Started as ``python -m genesis.evolution.executors.process_main SOCKET PANEL LABEL`` by
`genesis.evolution.executors.process_worker`. Its standard input is a lifeline: when the driver
ends in whatever way, the input ends and the process leaves, even in the middle of a unit.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any

import psutil

from genesis.evolution.executors.channel import (
    FrameReader,
    pack,
    receive,
    result_message,
    unit_of,
)
from genesis.evolution.executors.entry import RunsUnits, load_evaluator
from genesis.evolution.executors.shared import attach_panel
from genesis.evolution.work import StudyJob


def main(arguments: list[str]) -> int:
    """Serve one driver until it says stop or goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    threading.Thread(target=_leave_with_driver, daemon=True).start()
    stream = socket.socket(fileno=int(arguments[0]))
    panel = int(arguments[1])
    label = arguments[2]
    evaluator: RunsUnits | None = None
    process = psutil.Process()
    for message in receive(stream, FrameReader()):
        if message["kind"] == "stop":
            break
        try:
            if message["kind"] == "job":
                evaluator = _prepare(message, panel, label)
                # What is loaded now stays: collections need not walk through it again and again.
                gc.freeze()
                answer: dict[str, Any] = {"kind": "ready", "probe": evaluator.probe()}
            else:
                assert evaluator is not None, "a unit came before the job"
                answer = result_message(evaluator.run(unit_of(message)))
                answer["private_bytes"] = _private_bytes(process)
        except Exception as error:  # told to the driver, which decides what to do
            traceback.print_exc()
            answer = {"kind": "error", "text": f"{type(error).__name__}: {error}"}
        stream.sendall(pack(answer))
    return 0


def _prepare(message: Mapping[str, Any], panel: int, label: str) -> RunsUnits:
    job = StudyJob(
        panel=attach_panel(panel, message["panel"]),
        setup=message["setup"],
        seed_paths=tuple(message["seed_paths"]),
        memory_bytes=message["memory_bytes"],
        families=tuple(message["families"]),
    )
    return load_evaluator(message["evaluator"])(job, label)


def _private_bytes(process: psutil.Process) -> int:
    """Resident memory that is this process's own, without the shared panel."""
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def _leave_with_driver() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
