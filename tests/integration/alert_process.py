"""A process that forwards a run's alerts until it is killed; run by the kill tests.

Arguments: workspace, run folder, crash point or ``-``, how often the point is passed before.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from genesis.monitoring.alerts.dispatcher import AlertDispatcher
from genesis.monitoring.alerts.feed import AlertFeed
from genesis.monitoring.alerts.outbox import Outbox
from genesis.monitoring.alerts.settings import load_settings
from genesis.system.alerts import settings_path, slots_of
from genesis.system.clock import SystemClock


def main() -> None:
    """Deliver for ever, and say on standard output when nothing is left."""
    home, run, point, passes = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])

    def probe(name: str) -> None:
        nonlocal passes
        if name == point:
            passes -= 1
            if passes < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    clock, settings = SystemClock(), load_settings(settings_path(home))
    outbox = Outbox(home, clock, probe=probe)
    slots = slots_of(home, settings)
    dispatcher = AlertDispatcher(outbox, slots, settings, clock, feeds=[AlertFeed(run)])
    dispatcher.start()
    dispatcher.drain(60.0)
    os.write(1, b"idle\n")
    if point == "end":
        dispatcher.close(1.0)
        return
    time.sleep(60)


if __name__ == "__main__":
    main()
