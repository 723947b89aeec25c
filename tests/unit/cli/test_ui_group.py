"""`genesis ui` leaves no process behind, whichever signal ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

# A server that prints its child's pid and waits; both would live for a minute.
SERVER = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(child.pid, flush=True); time.sleep(60)"
)
RUNNER = (
    "import sys; from genesis.cli.ui import run_group\n"
    "try: run_group([sys.executable, '-c', sys.argv[1]])\n"
    "except KeyboardInterrupt: sys.exit(0)\n"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_command_alone_ends_the_whole_group(
    number: signal.Signals, tmp_path: Path
) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", RUNNER, SERVER],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # A job in the background of a shell ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert command.stdout is not None
    child = psutil.Process(int(command.stdout.readline()))
    command.send_signal(number)
    assert command.wait(timeout=30) == 0
    gone, alive = psutil.wait_procs([child], timeout=10)
    assert gone
    assert not alive
