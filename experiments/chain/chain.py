"""The whole chain, from a market to a killed live run, by the commands that a person would type.

    make chain                                   # all three parts, under ten minutes
    python experiments/chain/chain.py --parts 1  # one of them

1. A planted market of true Sharpe ratio 4 and the production gates: evolve, validate, paper, canary
   and live on a local exchange that replays fresh bars of that market in scripted time; a kill, a
   restart that stays killed, a crash that trips breakers and demotes, the story of the last fill.
2. Real candles: the honest verdict is enforced, and a refusal names its gate.
3. Real candles and the gates of a rehearsal: a local exchange takes the dossier, no other does.

Every step prints its command line and what must be true of it; the last line is one JSON object.
Parts 2 and 3 need real candles (--data FOLDER); without them they say so and are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from live_part import live_part
from real_part import honest_part, rehearsal_part
from shell import Shell

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


def main() -> int:
    """Run the parts, print one JSON object last; 1 if a check is false."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--parts", default="1,2,3", help="such as 1,3")
    parser.add_argument("--home", type=Path, help="folder of the workspaces; kept afterwards")
    parser.add_argument("--data", type=Path, default=DATA, help="real candles")
    options = parser.parse_args()
    parts = set(options.parts.split(","))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary)
        shell = Shell(home)
        try:
            if "1" in parts:
                live_part(shell)
            for name, part in (("2", honest_part), ("3", rehearsal_part)):
                if name in parts and options.data.is_dir():
                    part(shell, options.data)
                elif name in parts:
                    shell.say(f"part {name} needs real candles: {options.data} is not there")
        finally:
            shell.close()
    seconds = time.monotonic() - began
    shell.check("under ten minutes", seconds < 600.0)
    result = {
        "name": "chain",
        "value": round(seconds, 1),
        "unit": "seconds from a market to a killed live run and two verdicts on real candles",
        "reference": 600,
        "ratio": round(600 / seconds, 2),
        "steps": shell.steps,
        "figures": shell.figures,
        "checks": shell.checks,
    }
    print(json.dumps(result))
    return 0 if all(shell.checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
