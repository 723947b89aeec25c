"""The shipping process: ``python -m genesis.evolution.tracking``, started by `MlflowTracker`.

Standard input is the line to the study: first one JSON line that says what to ship and where
(never on the command line, where others could read a password), then one line whenever an event
was spooled. Its end means that the study is over or dead: ship what is left for a bounded time
and go.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from pathlib import Path

from genesis.evolution.tracking.redact import redact_text
from genesis.evolution.tracking.ship import Shipper, same_target, ship
from genesis.evolution.tracking.sink import MlflowSink, Refused, RunMissing, Unreachable
from genesis.evolution.tracking.spool import Spool, leftovers
from genesis.evolution.tracking.target import Target

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0
IDLE_S = 30.0
GRACE_S = 20.0


def main() -> int:
    """Ship until the study ends and the spool is empty, or the grace period is over."""
    with contextlib.suppress(OSError):
        os.nice(10)
    order = json.loads(_first_line())
    folder = Path(order["folder"])
    spool = Spool(folder, order["run_id"])
    with spool.locked() as mine:
        if not mine:
            return 0
        try:
            target = Target(order["uri"], order["artifact_root"])
            sink = MlflowSink(target)
            _serve(spool, Shipper(spool, sink), sink, target)
        except Exception as error:  # the reason must reach the user, not a lost traceback
            state = spool.shipped()
            state.error = redact_text(f"{type(error).__name__}: {error}")[:500]
            spool.record(state)
            return 1
    return 0


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 1)
        if not part:
            break
        line += part
    return line


def _wait(seconds: float) -> bool:
    """Wait for news from the study; False once its end of the line is closed."""
    ready, _, _ = select.select([0], [], [], seconds)
    return not ready or bool(os.read(0, 65536))


def _wait_out(seconds: float) -> bool:
    """Wait the whole time whatever the news, unless the line closes; False if it does."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if not _wait(left):
            return False
    return True


def _serve(spool: Spool, shipper: Shipper, sink: MlflowSink, target: Target) -> None:
    """Ship as events come; back off while the server is away; drain when the study is over."""
    backoff = FIRST_WAIT_S
    alive, owes, deadline = True, True, float("inf")
    while True:
        try:
            shipper.drain()
            backoff = FIRST_WAIT_S
            if owes:
                owes = False
                ship(spool.folder, target, others(spool, target))
                continue
            if not alive:
                _close_unfinished(spool, sink)
                return
            alive = _wait(IDLE_S)
        except Unreachable:
            if time.monotonic() > deadline:
                return
            if alive:
                alive = _wait_out(backoff)
            else:
                time.sleep(FIRST_WAIT_S)
            backoff = min(2 * backoff, LONGEST_WAIT_S)
        if not alive and deadline == float("inf"):
            deadline = time.monotonic() + GRACE_S


def others(spool: Spool, target: Target) -> list[str]:
    """Earlier runs with something left for the same target."""
    return [
        run
        for run in leftovers(spool.folder)
        if run != spool.run_id and same_target(Spool(spool.folder, run), target)
    ]


def _close_unfinished(spool: Spool, sink: MlflowSink) -> None:
    """A study that went away without a word was killed; say so unless it finished."""
    turns = [event for event, _ in spool.events() if event["kind"] in ("start", "finish")]
    if turns and turns[-1]["kind"] == "start":
        with contextlib.suppress(Unreachable, Refused, RunMissing):
            sink.close_run(turns[0])


if __name__ == "__main__":
    sys.exit(main())
