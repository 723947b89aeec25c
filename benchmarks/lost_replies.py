"""Orders whose reply is lost after they were applied, or whose request never arrives.

Each run is one seeded order with a fault of its own (connection cut, no answer, 502, a page
instead of JSON, the request doubled), on a venue whose clock gateway and order manager share. The
exchange's own histories judge: every order resolved soon enough, none twice, none that counts
here and is not there.

    python benchmarks/lost_replies.py
    python benchmarks/lost_replies.py --runs 50
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.integration.hyperliquid.lost_replies import AFTER, BEFORE, campaign

LATEST_MS = 5_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=39)
    given = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        after = campaign(Path(folder) / "after", given.runs, AFTER, given.seed)
        before = campaign(Path(folder) / "before", max(given.runs // 5, 1), BEFORE, given.seed)
    found = (after, before)
    for line in [text for out in found for text in out.disagree][:10]:
        print(line, file=sys.stderr)
    latest = max(out.latest_ms for out in found)
    result = {
        "name": "lost_replies",
        "value": latest,
        "unit": "ms after expiry until the last order was resolved",
        "reference": LATEST_MS,
        "ratio": latest / LATEST_MS,
        "runs": sum(out.runs for out in found),
        "latest_applied_ms": after.latest_ms,
        "states": {"applied": dict(after.states), "lost": dict(before.states)},
        "faults": {**after.kinds, **before.kinds},
        "duplicates": sum(out.duplicates for out in found),
        "ghosts": sum(out.ghosts for out in found),
        "seconds": round(time.perf_counter() - began, 1),
        "checks": {
            "resolved_in_time": latest <= LATEST_MS,
            "no_duplicates": not any(out.duplicates for out in found),
            "no_ghosts": not any(out.ghosts for out in found),
            "books_equal": not any(out.disagree for out in found),
            "lost_requests_expire": set(before.states) == {"expired"},
        },
    }
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
