"""Kill to nothing left, on the local exchange, with everything going on that may.

Seeded cases: an own position with its stop, positions and orders by hand on several coins, TWAP
orders, an entry on its way; the exchange answers, says 429 or 502, drops replies, or applies and
errs, for up to four seconds; asked for by file, by the function behind the command, by signal to a
trader's process and by `genesis kill` from another one; with a minute's weight unspent, spent by
reads, or spent by orders. A restart must stay killed. The exchange's own state is the judge.

``value`` is the longest time, over all cases, from the latch (or the end of the fault, where that
is later) to the last instant at which the exchange held an order or a position; ``reference`` the
median.

    python benchmarks/kill.py
    python benchmarks/kill.py --cases 40 --outside 10 --seed 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.integration.hyperliquid.kill_cases import FAULTS, Outcome, cases, run_case

BOUND_S = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=40, help="in this process")
    parser.add_argument("--outside", type=int, default=10, help="in processes of their own")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found: list[Outcome] = []
    for case in cases(given.cases, given.outside, given.seed):
        with tempfile.TemporaryDirectory() as folder:
            found.append(run_case(case, Path(folder)))
        one = found[-1]
        times = f"{one.after_s:.2f} s ({one.total_s:.2f} s from the latch)"
        print(f"{case.text}: {one.held} held, {times} {one.complaints or ''}", file=sys.stderr)
    times = [one.after_s for one in found]
    longest, middle = max(times), statistics.median(times)
    result = {
        "name": "kill",
        "value": round(longest, 3),
        "unit": "s",
        "reference": round(middle, 3),
        "ratio": round(longest / middle, 2) if middle else 0.0,
        "cases": len(found),
        "held": sum(one.held for one in found),
        "longest_total_s": round(max(one.total_s for one in found), 3),
        "longest_until_told_s": round(max(one.told_s for one in found), 3),
        "longest_until_ended_s": round(max(one.ended_s for one in found), 3),
        "by_fault_s": {
            kind or "none": round(max(o.after_s for o in found if o.case.fault == kind), 3)
            for kind in FAULTS
            if any(o.case.fault == kind for o in found)
        },
        "complaints": [f"{o.case.text}: {text}" for o in found for text in o.complaints],
        "checks": {
            "under_two_seconds": longest < BOUND_S,
            "told_what_is_so": not any(one.complaints for one in found),
        },
    }
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
