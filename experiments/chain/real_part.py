"""Parts 2 and 3: real candles, where the verdict is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exchange import ACCOUNT, Exchange
from live_part import Desk, decided
from shell import Shell

ROOT = Path(__file__).resolve().parents[2]
REHEARSAL = ROOT / "configs" / "gates.rehearsal.yaml"
STUDY = """
schema: 1
name: {name}
dataset:
  {{venue: binance_perp, symbols: [BTCUSDT], interval: 4h, from: "2020-10-01", to: "2024-05-31"}}
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
FRESH = "binance_perp:BTCUSDT:4h:2024-06-01..2025-05-31"
REPLAYED = "binance_perp:BTCUSDT:4h:2024-02-01..2025-05-31"
DAYS = 7


def honest_part(shell: Shell, data: Path) -> None:
    """A study on real candles gets the verdict that it deserves, and nothing gets past it."""
    shell.say("\n== 2: real candles, production gates ==")
    shell.workspace("honest")
    run = _bred(shell, data, "honest")
    shell.json("validate", run)
    best = _best(shell)
    passed = [row["id"] for row in shell.json("strategies", "list", "--promotable")["strategies"]]
    shell.figures["real_promotable"] = len(passed)
    line = ("promote", best, "--to", "paper", "--account", ACCOUNT, "--symbols", "BTC")
    for target in ("loopback", "testnet", "mainnet"):
        words = (*line, "--target", target, "--cap", "1000")
        if best in passed:
            shell.check("what passes is promoted", shell.run(*words, expects=None).returncode == 0)
            break
        shell.refused("a refusal names its gate", words, "G")


def rehearsal_part(shell: Shell, data: Path) -> None:
    """The gates of a rehearsal let a strategy onto a local exchange, and nowhere else."""
    shell.say("\n== 3: real candles, the gates of a rehearsal ==")
    shell.workspace("rehearsal")
    gates = ("--gates", str(REHEARSAL))
    run = _bred(shell, data, "rehearsal", seed=8)
    strategy = _passing(shell.json("validate", run, *gates))
    where = ("--account", ACCOUNT, "--symbols", "BTC", "--cap", "100000")
    line = ("promote", strategy, "--to", "paper", *where)
    mainnet = (*line, "--target", "mainnet", *gates)
    shell.refused("mainnet refuses a rehearsal", mainnet, "mainnet does not accept it")
    shell.run(*line, "--target", "loopback", *gates)
    shell.run(
        "paper", "run", strategy, "--mode", "backtest-validation", "--run", "paper",
        "--dataset", FRESH, "--funding", "none",
    )  # fmt: skip
    decided(shell, strategy, *gates)
    desk = Desk(shell, Exchange(shell, REPLAYED, "BTC"), strategy, gates)
    desk.promote("canary")
    done = desk.trade_for(DAYS)
    shell.check("a rehearsal trades the local exchange", done["bars"] >= 6 * DAYS)
    shell.check("and ends flat", bool(done["finished"]) and desk.empty())


def _bred(shell: Shell, data: Path, name: str, seed: int = 5) -> str:
    shell.run("data", "import", str(data))
    shell.run("data", "resample", "binance_perp:BTCUSDT:1h", "4h")
    study = shell.folder / f"{name}.yaml"
    study.write_text(STUDY.format(name=name, seed=seed), encoding="utf-8")
    return str(shell.json("evolve", str(study))["run_id"])


def _best(shell: Shell) -> str:
    """The strategy that the search liked best."""
    rows: list[dict[str, Any]] = shell.json("strategies", "list")["strategies"]
    shell.check("the study stored strategies", bool(rows))
    return str(rows[0]["id"])


def _passing(judged: dict[str, Any]) -> str:
    """The strategy with the first dossier that passed."""
    if not judged["promotable"]:
        raise SystemExit("no strategy passes the gates of this rehearsal")
    return str(judged["promotable"][0])
