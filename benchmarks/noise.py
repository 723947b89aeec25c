"""How often the gates promote something from nothing, in five kinds of pure noise.

300 campaigns (60 a kind): iid normal and iid t4 bars, GARCH-t bars, GARCH-t bars that drift at a
buy-and-hold Sharpe ratio of 0.5, and real bars whose signs are drawn anew. Each is a whole study
and a whole validation with the production gates and B = 19 surrogates of each kind. In the first 20
campaigns of a kind every rerun is done, so that the law of the p values can be tested.

    python benchmarks/noise.py --state noise.jsonl            # 300 campaigns, an hour or two
    python benchmarks/noise.py --campaigns 4 --kinds normal garch_t
    python benchmarks/noise.py --sabotage ledger --campaigns 8
    python benchmarks/noise.py --sabotage seal --campaigns 20

Ctrl-C keeps what is done in --state; the same command goes on. Beside the verdict of all gates
together, the rate of each gate alone is shown with a bound of its own. `--sabotage` switches off
what a gate stands on (the count of trials; the budget of the sealed bars), and that gate's own
bound must break: a benchmark that cannot fail proves nothing. The fifth kind needs the real
candles beside the repository; without them it is left out and named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from campaigns import Market, allowed, promoted, run_all, told

ALPHA = 0.01
"""Rate of promotions from noise that the gates are designed for."""

MOST_OF_A_KIND = 0.05

OWN_BOUNDS: dict[str, float] = {
    "permutation_sign": 0.05,
    "permutation_shuffle": 0.10,
    "sample_spa": 0.30,
    "deflated_sharpe": 0.43,  # how often the best of N nulls beats its own expectation
    "sealed_psr": 0.30,
}
"""Rate at which each gate alone may let noise through. The bounds of gates without one (weak
vetoes) are not checked, their rates are shown."""


def gate_rates(rows: Sequence[dict[str, Any]], level: float, ratio: float) -> dict[str, int]:
    """Campaigns whose first candidate passes each gate alone; without a candidate none does.

    Parameters
    ----------
    rows : sequence of dict
    level : float
        Of the first candidate that is opened.
    ratio : float
        Bound of the sealed ratio.
    """
    names: dict[str, int] = {}
    for row in rows:
        first = row["strategies"][0] if row["strategies"] else None
        verdicts = dict(first["verdicts"]) if first else dict(row["verdicts"])
        if first:
            # Whatever stopped it before: the gate's own rate.
            verdicts["sealed_psr"] = "pass" if first["sealed"]["p"] <= level else "fail"
            kept = first["sealed"]["sharpe"] / max(first["sharpe"]["annual"], 1e-9)
            verdicts["sealed_ratio"] = "pass" if kept >= ratio else "fail"
        for name, verdict in verdicts.items():
            names[name] = names.get(name, 0) + (verdict == "pass")
    return names


def uniform(rows: Sequence[dict[str, Any]], name: str, surrogates: int) -> float:
    """Chi-square p value of the p values being uniform over their B + 1 values."""
    import numpy as np

    from genesis.validation.multiple import uniform_p

    places = [round(row["search"][name] * (surrogates + 1)) - 1 for row in rows]
    return float(uniform_p(np.bincount(places, minlength=surrogates + 1)))


def kinds_here(wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Kinds that can be drawn, and those that cannot for want of real candles."""
    import markets

    there = any(markets.REAL.glob("*/1h.parquet"))
    missing = [kind for kind in wanted if kind == "signed_real" and not there]
    return [kind for kind in wanted if kind not in missing], missing


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    import markets

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--campaigns", type=int, default=60, help="campaigns a kind")
    parser.add_argument("--kinds", nargs="+", default=list(markets.NOISE_KINDS))
    parser.add_argument(
        "--uniform",
        type=int,
        default=20,
        help="campaigns a kind that do every rerun, for the law of the p values; in the others"
        " reruns stop once they cannot pass, which changes no verdict",
    )
    parser.add_argument("--first-seed", type=int, default=720_000)
    parser.add_argument("--surrogates", type=int, default=19)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gates", type=Path, help="gates file; the production gates by default")
    parser.add_argument("--state", type=Path, help="JSON lines file of finished campaigns")
    parser.add_argument("--sabotage", choices=("ledger", "seal"), help="what to switch off")
    return parser.parse_args()


def checks_of(
    rows: Sequence[dict[str, Any]], kinds: Sequence[str], rates: dict[str, int], campaigns: int
) -> dict[str, bool]:
    """Bounds on promotions of all and of each kind, and on each gate alone: whether each holds."""
    n, total = len(rows), promoted(rows)
    checks = {
        f"promoted {total} of {n}, at most {allowed(ALPHA, n):.1f}": total <= allowed(ALPHA, n)
    }
    for kind, count in promoted_by(rows, kinds).items():
        text = f"{kind}: {count} promoted, at most {MOST_OF_A_KIND:.0%}"
        checks[text] = count <= MOST_OF_A_KIND * campaigns
    for name, bound in OWN_BOUNDS.items():
        count = rates.get(name, 0)
        text = f"{name} alone: {count} of {n}, at most {allowed(bound, n):.1f}"
        checks[text] = count <= allowed(bound, n)
    return checks


def promoted_by(rows: Sequence[dict[str, Any]], kinds: Sequence[str]) -> dict[str, int]:
    """Campaigns of each kind that promoted something."""
    return {kind: promoted([r for r in rows if r["kind"] == kind]) for kind in kinds}


def main() -> int:
    """Run the campaigns, print one JSON object last."""
    options = arguments()
    if options.sabotage:
        from sabotage import sabotage

        return sabotage(options.sabotage, options.campaigns, options.first_seed, options.workers)
    from genesis.evidence.gates import PRODUCTION, load_gates
    from genesis.evidence.sealed import level_after

    gates = load_gates(options.gates)
    level = level_after([], gates.settings)
    ratio = next(gate.threshold for gate in gates.gates if gate.measure == "sealed_ratio")
    kinds, missing = kinds_here(options.kinds)
    seeds = range(options.first_seed, options.first_seed + options.campaigns)
    wanted = [Market(kind, seed) for seed in seeds for kind in kinds]
    rows = run_all(
        wanted,
        (options.gates or PRODUCTION).read_text(),
        surrogates=options.surrogates,
        workers=options.workers,
        state=options.state,
        full=lambda market: market.seed < options.first_seed + options.uniform,
        line=told,
    )
    report = report_of(rows, gate_rates(rows, level, ratio), kinds, missing, options)
    if missing:
        print(f"left out for want of real candles: {', '.join(missing)}", file=sys.stderr)
    print(json.dumps(report))
    return 0 if all(report["checks"].values()) else 1


def report_of(
    rows: Sequence[dict[str, Any]],
    rates: dict[str, int],
    kinds: Sequence[str],
    missing: Sequence[str],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """The figures of the campaigns, and whether each bound holds."""
    n, total = len(rows), promoted(rows)
    whole = [r for r in rows if r["seed"] < options.first_seed + options.uniform]
    names = ("permutation_sign", "permutation_shuffle") if whole else ()
    tests = {name: uniform(whole, name, options.surrogates) for name in names}
    checks = checks_of(rows, kinds, rates, options.campaigns)
    for name, p in tests.items():
        checks[f"{name}: p values uniform (p {p:.3f})"] = p > 0.01
    return {
        "name": "noise",
        "value": round(total / n, 4),
        "unit": "share of noise campaigns that promote a strategy",
        "reference": ALPHA,
        "ratio": round(total / n / ALPHA, 3),
        "campaigns": n,
        "left_out": list(missing),
        "promoted_by_kind": promoted_by(rows, kinds),
        "passed_alone": dict(sorted(rates.items())),
        "uniform_p": tests,
        "campaigns_behind_uniform_p": len(whole),
        "seconds_per_campaign": round(sum(r["seconds"] for r in rows) / n, 2),
        "checks": checks,
    }


if __name__ == "__main__":
    sys.exit(main())
