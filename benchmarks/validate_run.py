"""How long it takes to validate a run of 5,000 trials on 15 assets, and whether it can be stopped.

Fifteen symbols of hourly bars (the real panel beside the repository where it is, else synthetic
ones of the same size: 40,360 bars each, a fifth sealed) are searched with 256 genomes over 20
generations; then `genesis validate` judges the run with B = 19 and every rerun done, as a command
of its own. It is interrupted once on the way and goes on.

    python benchmarks/validate_run.py                # about an hour with the study itself
    python benchmarks/validate_run.py --home FOLDER  # keeps the workspace; an existing run is used
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

MOST_SECONDS = 30 * 60.0
BARS = 40_360
REPOSITORY = Path(__file__).resolve().parents[1]
REAL = REPOSITORY.parent / "shared" / "data"
RUN = "perpetuals_1h"
INTERRUPT_AFTER_S = 240.0


def prepare(home: Path) -> Path:
    """Put fifteen assets into a workspace; return the study's configuration."""
    study = REPOSITORY / "experiments" / "perpetuals_1h" / "config.yaml"
    if (REAL / "candles" / "binance_perp").is_dir():
        genesis(home, "data", "import", str(REAL))
        return study
    genesis(home, "data", "synth", "--assets", "15", "--bars", str(BARS), "--interval", "1h")
    text = study.read_text()
    symbols = ", ".join(f"SYN{i + 1}" for i in range(15))
    data = f"dataset: {{venue: synth, symbols: [{symbols}], interval: 1h, funding: none}}\n"
    path = home / "study.yaml"
    path.write_text(text[: text.index("dataset:")] + data + text[text.index("evolution:") :])
    return path


def command(home: Path, *words: str) -> list[str]:
    """Command line of genesis on a workspace."""
    entry = "from genesis.cli.main import run; run()"
    return [sys.executable, "-c", entry, "--home", str(home), *words]


def genesis(home: Path, *words: str) -> dict[str, Any]:
    """Run a command that must succeed; its JSON, where it prints any."""
    done = subprocess.run(command(home, *words), check=True, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {}
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def interrupted(home: Path, after_s: float) -> tuple[float, int]:
    """Start the validation, interrupt it, and tell its seconds and exit code."""
    began = time.perf_counter()
    child = subprocess.Popen(command(home, "validate", RUN, "--full"))
    try:
        child.wait(after_s)
    except subprocess.TimeoutExpired:
        child.terminate()  # as Ctrl-C does, which a shell in the background does not pass on
        child.wait(120)
    return time.perf_counter() - began, child.returncode


def reruns(home: Path) -> int:
    """Finished reruns that are kept."""
    file = home / "runs" / RUN / "evidence" / "surrogates.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


def measure(home: Path, interrupt_after_s: float) -> dict[str, Any]:
    """Make or find the run, validate it in two sittings, return the report."""
    if not (home / "runs" / RUN).is_dir():
        genesis(home, "evolve", str(prepare(home)), "--run", RUN, "--json")
    study = json.loads((home / "runs" / RUN / "study.json").read_text())
    first, code = interrupted(home, interrupt_after_s)
    kept = reruns(home)
    began = time.perf_counter()
    result = genesis(home, "validate", RUN, "--full", "--json")
    seconds = first + time.perf_counter() - began
    return {
        "name": "validate_run",
        "value": round(seconds, 1),
        "unit": "seconds to validate, both sittings",
        "reference": round(float(study["seconds"]), 1),
        "ratio": round(seconds / float(study["seconds"]), 2),
        "trials": result["trials"]["total"],
        "reruns_kept_by_the_interruption": kept,
        "cores": os.cpu_count(),
        "checks": {
            f"5,000 trials ({result['trials']['total']})": result["trials"]["total"] >= 5_000,
            f"interrupted and saved (exit {code})": code == 130,
            f"all {reruns(home)} reruns done, none twice": reruns(home) == 38,
            f"{seconds / 60:.1f} min, at most {MOST_SECONDS / 60:.0f}": seconds <= MOST_SECONDS,
        },
    }


def main() -> int:
    """Print one JSON object last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", type=Path, help="workspace to use and keep")
    parser.add_argument("--interrupt-after", type=float, default=INTERRUPT_AFTER_S)
    options = parser.parse_args()
    if options.home is not None:
        options.home.mkdir(parents=True, exist_ok=True)
        report = measure(options.home, options.interrupt_after)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report = measure(Path(folder), options.interrupt_after)
    print(json.dumps(report))
    return 0 if all(report["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
