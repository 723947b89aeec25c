"""How often the gates let a real edge through, and whether they stop what only looks like one.

Edges of known true Sharpe ratio are planted into GARCH-t markets (see `markets.py`); two years of
4h bars are searched, one year is sealed; each campaign is a whole study and a whole validation
with the production gates.

    python benchmarks/planted_gates.py --state planted.jsonl   # the checked arms, an hour or so
    python benchmarks/planted_gates.py --arms "trend 4" --seeds 4
    python benchmarks/planted_gates.py --all --state planted.jsonl

Ctrl-C keeps what is done in --state; the same command goes on. Checked are: trend of true Sharpe 4
and 2 (power), a decoy that is worth nothing without the next bar, and an edge of Sharpe 0.58, which
two years cannot prove. `--all` adds the other plants, whose rates are shown. The true Sharpe ratio
of what was promoted is measured on fresh bars of the same law.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from campaigns import Market, promoted, run_all, told

Arm = tuple[str, str]

CHECKED: dict[Arm, tuple[int, float, str]] = {
    ("trend", "4"): (40, 0.90, "least"),
    ("trend", "2"): (100, 0.45, "least"),
    ("decoy", "0"): (40, 0.0, "most"),
    ("mean_reversion", "0.58"): (40, 1 / 40, "most"),
}
"""Arm to seeds, bound on the share of promoted campaigns, and which side it bounds."""
SHOWN_SEEDS = 10


def arms_of(names: list[str] | None, *, every: bool) -> list[Arm]:
    """Arms by their names, ``kind strength``; the checked ones by default."""
    import markets

    known = [(kind, name) for kind, table in markets.STRENGTHS.items() for name in table]
    if names is None:
        return [*CHECKED, *(arm for arm in known if every and arm not in CHECKED)]
    chosen = []
    for name in names:
        arm = tuple(name.split())
        if arm not in known:
            raise SystemExit(f"no arm '{name}'; known: {', '.join(' '.join(a) for a in known)}")
        chosen.append(arm)
    return chosen  # type: ignore[return-value]


def main() -> int:
    """Run the campaigns, print one JSON object last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--arms", nargs="+", help='such as "trend 4"')
    parser.add_argument("--all", action="store_true", help="every plant and strength")
    parser.add_argument("--seeds", type=int, help="campaigns an arm; by default its own number")
    parser.add_argument("--first-seed", type=int, default=820_000)
    parser.add_argument("--surrogates", type=int, default=19)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gates", type=Path, help="gates file; the production gates by default")
    parser.add_argument("--state", type=Path, help="JSON lines file of finished campaigns")
    options = parser.parse_args()
    from genesis.evidence.gates import PRODUCTION, load_gates

    load_gates(options.gates)
    arms = arms_of(options.arms, every=options.all)
    sizes = {arm: options.seeds or CHECKED.get(arm, (SHOWN_SEEDS, 0.0, ""))[0] for arm in arms}
    wanted = [
        Market(kind, options.first_seed + place, strength)
        for place in range(max(sizes.values()))
        for kind, strength in arms
        if place < sizes[kind, strength]
    ]
    rows = run_all(
        wanted,
        (options.gates or PRODUCTION).read_text(),
        surrogates=options.surrogates,
        workers=options.workers,
        state=options.state,
        full=lambda _: False,  # the verdict is the same
        line=told,
    )
    figures, checks = {}, {}
    for arm in arms:
        own = [r for r in rows if (r["kind"], r["strength"]) == arm]
        figures[" ".join(arm)] = figure(own)
        if arm in CHECKED:
            _, bound, side = CHECKED[arm]
            count, n = promoted(own), len(own)
            text = f"{' '.join(arm)}: {count} of {n} promoted, at {side} {bound:.1%}"
            checks[text] = count >= bound * n if side == "least" else count <= bound * n + 1e-9
    power = figures.get("trend 2") or next(iter(figures.values()))
    report = {
        "name": "planted_gates",
        "value": power["promoted"] / power["campaigns"],
        "unit": "share of campaigns with a planted trend of true Sharpe 2 that promote",
        "reference": 0.45,
        "ratio": round(power["promoted"] / power["campaigns"] / 0.45, 3),
        "figures": figures,
        "checks": checks,
    }
    print(json.dumps(figures, indent=1), file=sys.stderr)
    print(json.dumps(report))
    return 0 if all(checks.values()) else 1


def figure(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Promotions of an arm, what stopped the rest, and the truth about what was promoted."""
    stops: dict[str, int] = {}
    truths = []
    for row in rows:
        if row["promoted"]:
            truths += row["true_sharpes"]
            continue
        first = row["strategies"][0]["verdicts"] if row["strategies"] else {"no candidate": "fail"}
        for name, verdict in first.items():
            stops[name] = stops.get(name, 0) + (verdict == "fail")
    return {
        "campaigns": len(rows),
        "promoted": promoted(rows),
        "true_sharpe_of_promoted": round(statistics.mean(truths), 3) if truths else None,
        "true_sharpe_of_promoted_worst": round(min(truths), 3) if truths else None,
        "first_candidate_stopped_by": {k: v for k, v in sorted(stops.items()) if v},
        "seconds_per_campaign": round(statistics.mean(r["seconds"] for r in rows), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
