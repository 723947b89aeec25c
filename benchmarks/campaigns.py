"""Campaigns of the gate benchmarks: a whole study and its whole validation on one small market.

Each campaign is the product's own path in a workspace of its own: bars into the store, `run_study`,
`validate` with the gates of a file. Two years of 4h bars are searched with 565
genomes, one year is sealed. A row keeps every measure, so that rates can be read off for each gate
alone. Rows are kept in a state file; what is there is not run again.
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

STUDY = """
schema: 1
name: campaign
dataset: {{venue: synth, symbols: [SYN1], interval: 4h, funding: {funding}}}
split: {{sealed: 0.33333, folds: 4}}
costs: {{taker: 0.0005, maker: 0.0005, slippage: 0.0}}
evolution:
  population_size: 48
  generations: 12
  islands: 2
  migration_every: 3
  seed: {seed}
  random_arm: false
  ml_island: {{enabled: false}}
tracking: {{enabled: false}}
"""
FRESH_BARS = 100_000
HERE = Path(__file__).resolve().parent
PACKAGES = "domain market costs strategy backtest validation evolution evidence"


@dataclass(frozen=True, slots=True)
class Market:
    """One market: a kind of noise (strength empty) or a plant of a calibrated strength."""

    kind: str
    seed: int
    strength: str = ""

    @property
    def name(self) -> str:
        """Kind and strength."""
        return f"{self.kind} {self.strength}".strip()


def write_market(home: Path, market: Market) -> None:
    """Put a market's bars, and its funding where it has one, into a workspace's store."""
    import markets

    from genesis.market.bars import Bars
    from genesis.market.sources.synthetic import synthesize
    from genesis.market.store import BarStore

    store = BarStore(home / "data")
    if not market.strength:
        panel = markets.noise_panel(market.kind, market.seed)
        one = panel.symbols[0]
        bars = Bars(panel.ts_ms, one.open, one.high, one.low, one.close, one.volume)
        store.write_bars("synth", "SYN1", markets.INTERVAL, bars)
        return
    size = markets.STRENGTHS[market.kind][market.strength].size
    spec = markets.plant_spec(
        market.kind, size, market.seed, bars=markets.SEARCHED_BARS + markets.SEALED_BARS
    )
    for drawn in synthesize(spec):
        store.write_bars("synth", drawn.symbol, markets.INTERVAL, drawn.bars)
        if market.kind in markets.FUNDED:
            store.write_funding("synth", drawn.symbol, drawn.funding)


def campaign(market: Market, gates_text: str, surrogates: int, full: bool = True) -> dict[str, Any]:
    """Run one campaign and return its row.

    Parameters
    ----------
    market : Market
    gates_text : str
        Text of a gates file.
    surrogates : int
        Reruns a kind; the gates that ask for none do without.
    full : bool
        Do every rerun even where the verdict cannot change any more.
    """
    from genesis.evidence.campaign import Campaign
    from genesis.evidence.gates import parse_gates
    from genesis.evidence.validate import validate
    from genesis.evidence.worker import ENTRY
    from genesis.evolution.config import parse_config
    from genesis.evolution.executors.inline import InlineExecutor
    from genesis.evolution.run import load_run
    from genesis.evolution.store import StrategyStore
    from genesis.evolution.study import run_study
    from genesis.system.clock import SystemClock

    if not gc.get_freeze_count():
        gc.freeze()  # the libraries are here to stay: walking through them is a tenth of the time
    began, clock = time.perf_counter(), SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_market(home, market)
        config = parse_config(_study(market), "campaign")
        study = run_study(config, home, clock=clock, executor=InlineExecutor())
        judged = Campaign.of_run(load_run(study.run_id, home), home)
        result = validate(
            judged,
            InlineExecutor(evaluator=ENTRY),
            parse_gates(gates_text),
            clock=clock,
            surrogates=surrogates,
            full=full,
        )
        store = StrategyStore(home / "strategies")
        strategies = [
            _row_of(one.dossier, judged, store.get(one.dossier.strategy).strategy)
            for one in result.judged
        ]
        passed = [store.get(one.dossier.strategy).strategy for one in result.promotable]
        truths = _true_sharpes(market, passed, judged)
    return {
        **asdict(market),
        "trials": {k: v for k, v in result.trials.items() if k != "studies"},
        "search": {r.gate.measure: r.value for r in result.search},
        "verdicts": {r.gate.measure: r.verdict for r in result.search},
        "strategies": strategies,
        "promoted": len(result.promotable),
        "true_sharpes": truths,
        "seconds": time.perf_counter() - began,
    }


def _row_of(dossier: Any, judged: Any, strategy: Any) -> dict[str, Any]:
    """Row of one judged strategy."""
    from genesis.evidence.sealed import sealed_numbers

    facts = dossier.facts
    return {
        "id": dossier.strategy,
        "family": facts["family"],
        "promoted": dossier.passed,
        "values": {g["measure"]: g["value"] for g in facts["gates"]},
        "verdicts": {g["measure"]: g["verdict"] for g in facts["gates"]},
        "sharpe": facts["details"]["sharpe"],
        # Nobody keeps a benchmark's market sealed: this is for the gate's own rate.
        "sealed": sealed_numbers(judged, strategy).to_plain(),
    }


def _study(market: Market) -> str:
    import markets

    funded = market.strength and market.kind in markets.FUNDED
    return STUDY.format(seed=3 * market.seed + 1, funding="required" if funded else "none")


def _true_sharpes(market: Market, strategies: Sequence[Any], judged: Any) -> list[float]:
    """Sharpe ratios of strategies on fresh bars of a plant's law; nothing is true of noise."""
    if not market.strength or not strategies:
        return [0.0] * len(strategies)
    import markets

    from genesis.backtest.portfolio import backtest_strategy

    panel = markets.plant_panel(
        market.kind, market.strength, market.seed, bars=FRESH_BARS, stream=1
    )
    return [
        float(backtest_strategy(panel, s, judged.material.setup).metrics["daily_sharpe"])
        for s in strategies
    ]


def run_all(
    markets_: Sequence[Market],
    gates_text: str,
    *,
    surrogates: int,
    workers: int,
    state: Path | None,
    full: Callable[[Market], bool],
    line: Callable[[dict[str, Any]], str],
) -> list[dict[str, Any]]:
    """Run campaigns on processes, telling each on standard error; return their rows in order.

    Ctrl-C and SIGTERM let the campaigns at work end and keep what is done.

    Parameters
    ----------
    markets_ : sequence of Market
    gates_text : str
    surrogates, workers : int
    state : Path, optional
        JSON lines file of finished campaigns; those of the same gates and code are not run again.
    full : callable
        Whether a market's reruns are all done, as in `campaign`.
    line : callable
        Row to what is told of it.
    """
    from genesis.domain.canonical import content_hash
    from genesis.evidence.gates import parse_gates
    from genesis.evolution.identity import source_hash
    from genesis.evolution.stopping import terminable

    made_by = content_hash(
        [
            parse_gates(gates_text).hash,
            source_hash(*PACKAGES.split()),
            *((HERE / name).read_text() for name in ("campaigns.py", "markets.py")),
        ]
    )[:16]

    def mark(market: Market) -> str:
        return f"{made_by}/{surrogates}/{full(market)}"

    done: dict[tuple[str, str, int], dict[str, Any]] = {}
    if state is not None and state.exists():
        for text in state.read_text().splitlines():
            row = json.loads(text)
            if row["mark"] == mark(Market(row["kind"], row["seed"], row["strength"])):
                done[row["kind"], row["strength"], row["seed"]] = row
    waiting = [m for m in markets_ if (m.kind, m.strength, m.seed) not in done]
    began, total = time.perf_counter(), len(markets_)
    # A campaign owns one core; thread pools of two at a time would only wait for each other.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    with terminable(), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(campaign, m, gates_text, surrogates, full(m)): m for m in waiting}
        try:
            for count, future in enumerate(as_completed(futures), start=1):
                row = {**future.result(), "mark": mark(futures[future])}
                done[row["kind"], row["strength"], row["seed"]] = row
                if state is not None:
                    with state.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                left = (time.perf_counter() - began) / count * (len(waiting) - count)
                place = total - len(waiting) + count
                print(f"{place}/{total}  {line(row)}  {left / 60:.1f} min left", file=sys.stderr)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            where = f"kept in {state}; the same command goes on" if state else "no --state, lost"
            print(f"interrupted: {len(done)} of {total} campaigns are {where}", file=sys.stderr)
            raise SystemExit(130) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # else the rest would run for nothing
            raise
    return [done[m.kind, m.strength, m.seed] for m in markets_]


def told(row: dict[str, Any]) -> str:
    """One campaign in a line."""
    name = f"{row['kind']} {row['strength']}".strip()
    search = row["search"]
    p = f"p {search.get('permutation_sign', 1):.2f} {search.get('permutation_shuffle', 1):.2f}"
    first = row["strategies"][0] if row["strategies"] else None
    sealed = f"sealed p {first['sealed']['p']:.2f}" if first else "nothing feasible"
    return f"{name} seed {row['seed']}: {p}, {sealed}, promoted {row['promoted']}"


def allowed(rate: float, n: int) -> float:
    """Most successes of n that a rate explains, two standard deviations allowed."""
    return rate * n + 2.0 * math.sqrt(rate * (1.0 - rate) * n)


def promoted(rows: Iterable[dict[str, Any]]) -> int:
    """Campaigns from which at least one strategy was promoted."""
    return sum(row["promoted"] > 0 for row in rows)
