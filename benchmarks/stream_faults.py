"""A thousand fills while the websocket is cut or falls silent, half of them told by it alone.

The socket's time runs twenty times as fast as the machine's; seconds are the gateway's own. What
is booked must be what the exchange has, fill by fill, and each fault must be over within 40 s.

    python benchmarks/stream_faults.py
    python benchmarks/stream_faults.py --fills 200
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.integration.hyperliquid.stream_faults import campaign

LONGEST_S = 40.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=43)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = campaign(Path(folder), given.fills, given.seed)
    for line in report.disagree:
        print(line, file=sys.stderr)
    result = {
        "name": "stream_faults",
        "value": round(report.longest_s, 1),
        "unit": "s from the fault until the ledger was reconciled, the longest",
        "reference": LONGEST_S,
        "ratio": report.longest_s / LONGEST_S,
        "fills": report.fills,
        "faults": report.faults,
        "repeated_and_told_once": report.repeated,
        "checks": {
            "ledger_equals_venue": not report.disagree,
            "in_time": report.longest_s <= LONGEST_S,
            "enough_fills": report.fills >= given.fills,
        },
    }
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
