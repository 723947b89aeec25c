"""A process that races for the log of operations; run by the race tests.

Arguments: workspace, name, and what it does: ``review`` resolves DEC_1, ``step`` takes the
deployment to canary with APR_1, ``sit`` holds the log until its input ends. It waits for a line of
input before it begins, and prints ``ok`` or the refusal.
"""

from __future__ import annotations

import sys
from pathlib import Path

from genesis.decision.operations import Draft, OperationsLog
from genesis.domain.errors import RefusedError
from genesis.system.clock import SystemClock
from tests.unit.decision.operation_samples import moved, resolved, used


def main() -> None:
    """Take part in one race."""
    home, name, task = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        with OperationsLog.open(home, SystemClock()) as log:
            if task == "review":
                log.append(resolved(who=name))
            elif task == "step":
                log.append_all(
                    [Draft(used()), Draft(moved("paper", "canary", approval="APR_1", who=name))]
                )
            elif task == "sit":
                print("sitting", flush=True)
                sys.stdin.readline()
    except RefusedError as error:
        print(error.what, flush=True)
        return
    print("ok", flush=True)


if __name__ == "__main__":
    main()
