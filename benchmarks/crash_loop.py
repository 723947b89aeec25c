"""Orders and fills lost or doubled while trader and exchange are killed again and again.

A trader with its event log and the paper exchange with its truth file are processes of their own.
The trader is killed with SIGKILL at every named crash point and at random instants, the exchange
at some of these too, and each restart is judged from the truth file alone: every order once in the
log, every fill and payment once in the ledger, positions and cash equal to the last digit, the
whole log folding again to the state that the trader has. ``value`` is how many are lost or
doubled; ``reference`` is how many orders and fills the exchange had.

    python benchmarks/crash_loop.py
    python benchmarks/crash_loop.py --random 20 --points 1 --bars 40
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.crash.campaign import Campaign
from benchmarks.crash.loop import run
from benchmarks.crash.market import Scenario
from benchmarks.crash.schedule import at_random


def campaign(folder: Path, number: int, bars: int) -> Campaign:
    """Every other run has latency, every third has quotes inside its bars."""
    quotes = 2 if number % 3 == 1 else 0
    return Campaign(folder, Scenario(number, bars, quotes=quotes, delayed=number % 2 == 1))


def main() -> int:
    return run(
        "crash_loop",
        __doc__.splitlines()[0],
        campaign,
        at_random,
        a_run=20,
        instants=100,
        points=2,
        bars=60,
    )


if __name__ == "__main__":
    sys.exit(main())
