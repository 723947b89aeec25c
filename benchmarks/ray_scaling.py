"""Ray with two workers against one process, on whole generations of a 15-asset panel.

    python benchmarks/ray_scaling.py                       # 3 generations of 256
    python benchmarks/ray_scaling.py --processes           # the process executor beside them

The panel is that of ``configs/crypto_perps_1h.yaml`` where its candles are at hand
(``--data FOLDER``, ../shared/data by default), else 15 synthetic assets of as many bars. A
generation is timed from breeding to selection; bringing the cluster up, compiling and loading the
data are not in it. The serial share is what one process does outside of evaluating units: by
Amdahl's law it bounds the ratio at 2 / (1 + share).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genesis.evolution.config import StudyConfig
    from genesis.evolution.metrics import EvolutionMetrics
    from genesis.evolution.work import Executor

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIG = REPOSITORY / "configs" / "crypto_perps_1h.yaml"
BARS = 40_360
ASSETS = 15
WORKERS = 2
LEAST_RATIO = 1.6


@dataclass(frozen=True)
class Timing:
    """One study: seconds of its generations, time in units, result."""

    name: str
    seconds: float
    busy: float
    evaluations: int
    archive_hash: str
    faults: int


class Listener:
    """Collects the metrics of each generation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.metrics: list[EvolutionMetrics] = []

    def on_start(self, run: object) -> None:
        """Nothing to do."""

    def on_finish(self, result: object) -> None:
        """Nothing to do."""

    def on_generation(self, metrics: EvolutionMetrics) -> None:
        """Keep and show."""
        self.metrics.append(metrics)
        print(
            f"{self.name}: generation {metrics.generation}, {metrics.seconds:.1f} s,"
            f" workers busy {metrics.worker_efficiency:.0%}",
            file=sys.stderr,
        )


def prepare(home: Path, data: Path, config: dict[str, Any]) -> str:
    """Fill a workspace's store; returns what is in it."""
    if (data / "candles" / "binance_perp").is_dir():
        genesis(home, "data", "import", str(data))
        return "candles of 15 perpetuals"
    from genesis.market.sources.synthetic import Plant, SynthSpec, write
    from genesis.market.store import BarStore

    spec = SynthSpec(
        assets=ASSETS, bars=BARS, interval="1h", seed=5, plants=(Plant("trend", 3e-4),)
    )
    write(BarStore(home / "data"), spec)
    config["dataset"] = {
        "venue": "synth",
        "symbols": list(spec.symbols),
        "interval": "1h",
        "funding": "none",
        "sentiment": False,
    }
    return "15 synthetic assets"


def genesis(home: Path, *arguments: str) -> None:
    """Run the command line on a workspace."""
    code = "from genesis.cli.main import run; run()"
    subprocess.run(
        [sys.executable, "-c", code, "--home", str(home), *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def timed(name: str, config: StudyConfig, home: Path, executor: Executor) -> Timing:
    """Run a study and add up its generations."""
    from genesis.evolution.study import run_study
    from genesis.system.clock import SystemClock

    listener = Listener(name)
    result = run_study(
        config, home, clock=SystemClock(), executor=executor, listeners=(listener,), run_id=name
    )
    return Timing(
        name,
        sum(m.seconds for m in listener.metrics),
        sum(m.seconds * m.worker_efficiency * m.workers for m in listener.metrics),
        result.evaluations,
        result.archive_hash,
        sum(sum(m.faults.values()) for m in listener.metrics[-1:]),
    )


def studies(options: argparse.Namespace, home: Path) -> tuple[str, list[Timing]]:
    """Time the same study in one process and on Ray."""
    import yaml

    from genesis.evolution.config import parse_config
    from genesis.evolution.executors.inline import InlineExecutor
    from genesis.evolution.executors.processes import ProcessExecutor
    from genesis.evolution.executors.ray_pool import RayExecutor
    from genesis.evolution.executors.worker import UnitEvaluator
    from genesis.evolution.study import evaluation_setup, search_panel
    from genesis.evolution.work import StudyJob

    plain = yaml.safe_load(CONFIG.read_text())
    panel_is = prepare(home, options.data, plain)
    plain["evolution"] |= {
        "population_size": options.population,
        "generations": options.generations,
        "ml_island": {"enabled": False},
    }
    plain["tracking"] = {"enabled": False}
    config = parse_config(yaml.safe_dump(plain), "ray_scaling")
    job = StudyJob(search_panel(config, home), evaluation_setup(config).plain())
    UnitEvaluator(job).probe()  # one process would else pay for compiling
    executors: list[tuple[str, Executor]] = [
        ("one-process", InlineExecutor()),
        ("ray", RayExecutor(workers=WORKERS)),
    ]
    if options.processes:
        executors.append(("processes", ProcessExecutor(WORKERS)))
    return panel_is, [timed(name, config, home, executor) for name, executor in executors]


def main() -> int:
    """Time, compare, print one JSON object last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--population", type=int, default=256)
    parser.add_argument("--generations", type=int, default=3)
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--processes", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        panel_is, timings = studies(options, Path(folder))
    one, ray = timings[:2]
    ratio = one.seconds / ray.seconds
    figures = {
        "serial_share": round(1.0 - one.busy / one.seconds, 4),
        "ray_worker_efficiency": round(ray.busy / (WORKERS * ray.seconds), 4),
        "busy_growth": round(ray.busy / one.busy, 4),
        "evaluations": one.evaluations,
        **{f"seconds_{t.name}": round(t.seconds, 2) for t in timings},
    }
    print(f"{panel_is}; serial share {figures['serial_share']:.1%}", file=sys.stderr)
    report = {
        "name": "ray_scaling",
        "value": round(ray.seconds / options.generations, 3),
        "unit": f"seconds a generation, Ray with {WORKERS} workers",
        "reference": round(one.seconds / options.generations, 3),
        "ratio": round(ratio, 3),
        "figures": figures,
        "checks": {
            f"at least {LEAST_RATIO} times one process": ratio >= LEAST_RATIO,
            "the same archive": len({t.archive_hash for t in timings}) == 1,
            "no worker failed": all(t.faults == 0 for t in timings),
        },
    }
    print(json.dumps(report))
    return 0 if all(report["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
