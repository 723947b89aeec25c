"""Made-up backtests for report tests: several symbols, gaps, text that wants to break out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from genesis.backtest.report_data import Candles, ReportData, TradeMark

HOUR = 3_600_000
EVIL = "</script><script>window.broken=1</script>"


def sample(bars: int = 6000, symbols: int = 4, seed: int = 3) -> ReportData:
    """A backtest of a random walk with random trades."""
    rng = np.random.default_rng(seed)
    ts = 1_640_995_200_000 + HOUR * np.arange(bars, dtype=np.int64)
    candles, trades, by_symbol = [], {}, {}
    equity = np.zeros(bars)
    for s in range(symbols):
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.006, bars)))
        opened = np.r_[100.0, close[:-1]]
        spread = np.abs(rng.normal(0, 0.003, bars)) * close
        high, low = np.maximum(opened, close) + spread, np.minimum(opened, close) - spread
        for column in (opened, high, low, close):
            column[700:760] = np.nan
        name = f"C{s}USDT"
        candles.append(Candles(name, ts, opened, high, low, close))
        marks = []
        for start in range(20 + s, bars - 40, 97):
            a, b = start, start + int(rng.integers(3, 30))
            if not np.isfinite(close[[a, b]]).all():
                continue
            side = 1 if rng.random() < 0.5 else -1
            pnl = 0.05 * side * (close[b] / close[a] - 1)
            equity[b:] += pnl / symbols
            reason = str(rng.choice(["signal", "stop", "target", "time"]))
            marks.append(
                TradeMark(
                    side, int(ts[a]), int(ts[b]), float(close[a]), float(close[b]), pnl, reason
                )
            )
        trades[name] = tuple(marks)
        by_symbol[name] = {"sharpe": float(rng.normal()), "trades": float(len(marks)),
                           "total_return": float(sum(m.pnl for m in marks))}  # fmt: skip
    return ReportData(
        strategy_id=f"strat_{seed:012x}",
        family="trend_breakout",
        sentence="Goes long when the close is above the highest high of the last 56 bars, and "
        f"leaves when the average turns. {EVIL}",
        rules={"long": "gt(close,donchian_high(high,56))", "short": "lt(1,0)"},
        policy={"direction": "both", "size": 0.1, "stop_atr": 2.5, "cooldown": 4},
        metrics={
            "sharpe": 1.234,
            "sortino": 1.9,
            "calmar": 0.8,
            "total_return": float(equity[-1]),
            "max_drawdown": 0.083,
            "trades": 212.0,
            "win_rate": 0.47,
            "turnover": 31.2,
            "profit_factor": float("nan"),
        },
        ts_ms=ts,
        equity=equity,
        candles=tuple(candles),
        trades=trades,
        costs={"gross": 0.21, "fees": 0.04, "slippage": 0.03, "funding": -0.01, "net": 0.15},
        by_symbol=by_symbol,
        hashes={"dataset": "d" * 64, "code": "c" * 64},
        configuration={"costs": {"taker": 4.5e-4}, "name": EVIL},
        warnings=("C2USDT has no funding series: its funding counts as zero.",),
    )


CONFIG = """
schema: 1
name: sample
dataset: {venue: synth, symbols: [C0USDT, C1USDT, C2USDT, C3USDT], interval: 1h}
evolution: {population_size: 16, generations: 12, islands: 2, seed: 7}
tracking: {uri: "http://ann:hunter2-secret@127.0.0.1:5000"}
"""


def sample_run(home: Path, generations: int = 12, seed: int = 5) -> Path:
    """A run's folder with made-up numbers in the shapes that a study writes."""
    rng = np.random.default_rng(seed)
    folder = home / "runs" / "sample-1"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    trials, metrics, best = [], [], {"trend": 0.1, "breakout": 0.0}
    families = ("ema_cross", "donchian_breakout", "bollinger_reversion")
    origins = ("crossover", "mutation", "immigrant")
    for g in range(generations):
        for i in range(16):
            earlier = [t["genome"] for t in trials if t["status"] == "valid"][-24:]
            origin = "library" if g == 0 else str(rng.choice(origins))
            parents = [] if g == 0 or origin == "immigrant" else list(rng.choice(earlier, 2))
            bad = rng.random() < 0.2
            fitness = float(rng.normal(0.1 * g, 0.5))
            goals = [] if bad else [fitness, -float(rng.uniform(0.02, 0.3)), -float(rng.random())]
            trials.append(
                {
                    "generation": g,
                    "island": ("trend", "breakout")[i % 2],
                    "role": "random" if i % 8 == 7 else "search",
                    "genome": f"{g:02x}{i:02x}" + "e" * 60,
                    "plain": {"family": families[i % 3]},
                    "origin": origin,
                    "parents": [str(p) for p in parents],
                    "status": "no_trades" if bad else "valid",
                    "objectives": goals,
                    "measures": {"trades": 200.0},
                }
            )
        now = [t["objectives"][0] for t in trials if t["generation"] == g and t["objectives"]]
        best = {
            name: max(value, max(now) - 0.2 * k) for k, (name, value) in enumerate(best.items())
        }
        metrics.append(
            {
                "generation": g, "generations": generations, "best": max(now),
                "average": float(np.mean(now)), "median": float(np.median(now)),
                "worst": min(now), "genome_diversity": 0.8 - 0.03 * g,
                "behaviour_diversity": 0.9 - 0.02 * g, "valid_share": 0.8, "feasible_share": 0.6,
                "evaluations": 64 * (g + 1), "random_evaluations": 8 * (g + 1),
                "failures": {"no_trades": 3, "too_short": g % 2}, "faults": {"worker_died": 1},
                "workers": 2, "elapsed_s": 2.5 * (g + 1), "archive_cells": g + 1,
                "random_best": None if g == 0 else 0.4 + 0.02 * g,
                "islands": [{"island": n, "best": v, "population": 8} for n, v in best.items()],
            }
        )  # fmt: skip
    ranked = sorted(
        (t for t in trials if t["objectives"]), key=lambda t: t["objectives"][0], reverse=True
    )
    cells = ["trend/both/h2/t1", "trend/long/h1/t2", "breakout/both/h3/t0", "momentum/short/h0/t3"]
    entries = [
        {"cell": cells[i % 4], "key": t["genome"], "family": t["plain"]["family"],
         "feasible": i % 5 != 4, "objectives": t["objectives"], "parents": t["parents"],
         "origin": t["origin"]}
        for i, t in enumerate(ranked[:24])
    ]  # fmt: skip
    board = [
        {"id": f"strat_{3 + i:012x}", "key": t["genome"], "family": t["plain"]["family"],
         "fitness": t["objectives"][0], "sharpe": 1.2, "sharpe_2x": 0.7, "total_return": 0.3,
         "max_drawdown": 0.1, "trades": 240, "cell": cells[i % 4]}
        for i, t in enumerate(ranked[:10])
    ]  # fmt: skip
    axes = {"holding_bars": [3, 10, 30, 100, 300], "turnover_per_year": [1, 4, 16]}
    write = lambda name, value: (folder / name).write_text(json.dumps(value))  # noqa: E731
    write("archive.json", {"schema": 1, "axes": axes, "entries": entries})
    write("leaderboard.json", {"schema": 1, "leaderboard": board})
    write(
        "study.json",
        {"status": "finished", "created_ms": 1_735_689_600_000, "dataset_hash": "d" * 64,
         "archive_hash": "a" * 64, "config_hash": "c" * 64, "versions": {"numpy": "2.4"}},
    )  # fmt: skip
    for name, rows in (("metrics.jsonl", metrics), ("trials.jsonl", trials)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
