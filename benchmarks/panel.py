"""The whole command on fifteen perpetuals: seconds from command to leaderboard, and memory.

    python benchmarks/panel.py [--executor processes|ray] [--population N] [--generations N]

Runs `genesis evolve configs/crypto_perps_1h.yaml` as a user would, in a workspace of its own, on
the real candles beside the repository where they are, else on a synthetic market of the same size
(15 assets, 40,360 hourly bars). The time of the random arm and of the ML island is taken from the
run's metrics and shown apart. Memory is the proportional share (PSS) of the command and all its
descendants, sampled four times a second; shared pages count once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
GENESIS = [sys.executable, "-m", "genesis"]
BUDGET_S = 150.0
BUDGET_GIB = 6.0


def prepare(home: Path) -> Path:
    """Fill the workspace; return the configuration to run."""
    config = ROOT / "configs" / "crypto_perps_1h.yaml"
    if DATA.is_dir():
        import_data = [*GENESIS, "--home", str(home), "data", "import", str(DATA)]
        subprocess.run(import_data, check=True, stdout=subprocess.DEVNULL)
        return config
    synth = ["data", "synth", "--assets", "15", "--bars", "40360", "--interval", "1h"]
    subprocess.run([*GENESIS, "--home", str(home), *synth], check=True, stdout=subprocess.DEVNULL)
    plain = yaml.safe_load(config.read_text())
    plain["dataset"] = {
        "venue": "synth",
        "symbols": [f"SYN{n}" for n in range(1, 16)],
        "interval": "1h",
    }
    path = home / "panel.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def memory(root: psutil.Process) -> int:
    """Proportional share of a process tree in bytes; what ended meanwhile counts nothing."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def run(command: list[str]) -> tuple[dict[str, Any], float, list[tuple[float, int]]]:
    """Run a command; return its JSON, its seconds and memory samples (seconds, bytes)."""
    began = time.perf_counter()
    samples = []
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, cwd=ROOT, env=os.environ)
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            samples.append((time.perf_counter() - began, memory(tree)))
            time.sleep(0.25)
        seconds = time.perf_counter() - began
        out.seek(0)
        answer = json.loads(out.read())
    if not answer.get("ok"):
        raise SystemExit(f"the study failed: {answer}")
    return answer, seconds, samples


def main() -> int:
    """Run the study, print one JSON object last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--executor", default="processes", choices=["processes", "ray"])
    parser.add_argument("--population", type=int)
    parser.add_argument("--generations", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        config = prepare(home)
        command = [*GENESIS, "--home", str(home), "evolve", str(config), "--json"]
        command += ["--executor", options.executor, "--workers", "2", "--run", "panel"]
        for name in ("population", "generations"):
            if getattr(options, name):
                command += [f"--{name}", str(getattr(options, name))]
        answer, seconds, samples = run(command)
        lines = (home / "runs" / "panel" / "metrics.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
    apart = {arm: sum(row[f"seconds_{arm}"] for row in rows) for arm in ("random", "ml")}
    search = seconds - sum(apart.values())
    peak = max(used for _, used in samples) / 2**30
    # Flat: while generations run, the last third needs no more than a tenth above the middle one
    # (the report at the end imports plotting and is not part of it).
    bred = rows[-1]["elapsed_s"]
    thirds = [
        max((u for at, u in samples if bred * low <= at < bred * high), default=0) / 2**30
        for low, high in ((1 / 3, 2 / 3), (2 / 3, 1.0))
    ]
    report = {
        "name": "panel",
        "value": round(search, 1),
        "unit": "seconds from command to leaderboard, without random arm and ML island",
        "reference": BUDGET_S,
        "ratio": round(BUDGET_S / search, 3),
        "figures": {
            "seconds_whole_command": round(seconds, 1),
            "seconds_random_arm": round(apart["random"], 1),
            "seconds_ml_island": round(apart["ml"], 1),
            "evaluations": answer["evaluations"],
            "peak_gib": round(peak, 3),
            "middle_third_gib": round(thirds[0], 3),
            "last_third_gib": round(thirds[1], 3),
            "real_candles": DATA.is_dir(),
        },
        "checks": {
            "within 2.5 minutes": search <= BUDGET_S,
            "peak memory under 6 GiB": peak < BUDGET_GIB,
            "memory flat over generations": thirds[1] <= 1.1 * thirds[0],
        },
    }
    print(json.dumps(report))
    return 0 if all(report["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
