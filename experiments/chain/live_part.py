"""Part 1: a planted market, from the first genome to a killed live run."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from exchange import ACCOUNT, Exchange, agent_of
from shell import Running, Shell

STUDY = """
schema: 1
name: planted
dataset: {venue: synth, symbols: [SYN1], interval: 4h, funding: none, to: "2022-12-31"}
split: {sealed: 0.33333, folds: 4}
evolution:
  population_size: 48
  generations: 12
  islands: 2
  migration_every: 3
  seed: 820000
  random_arm: false
  ml_island: {enabled: false}
tracking: {enabled: false}
"""
CAP = "100000"
CANARY_DAYS, STEP_DAYS = 61, 31
CRASH = 0.6
"""Share of its price that the market loses at once, against the position."""


def live_part(shell: Shell) -> None:
    """Breed, judge, promote, trade, kill."""
    shell.say("\n== 1: a planted market of true Sharpe ratio 4, production gates ==")
    shell.workspace("planted")
    strategy = _breed(shell)
    _paper(shell, strategy)
    exchange = Exchange(shell, "synth:SYN1:4h:2023-08-01..2025-06-22", "SYN1")
    desk = Desk(shell, exchange, strategy)
    _canary(shell, desk)
    _killed(shell, desk)
    _crashed(shell, desk)
    _told(shell, desk)


# ---- research ------------------------------------------------------------------------------


def _breed(shell: Shell) -> str:
    shell.run(
        "data", "synth", "--seed", "820000", "--assets", "1", "--bars", "12000",
        "--plant", "trend:0.00135",
    )  # fmt: skip
    study = shell.folder / "planted.yaml"
    study.write_text(STUDY, encoding="utf-8")
    shell.json("validate", str(shell.json("evolve", str(study))["run_id"]))
    found = shell.json("strategies", "list", "--promotable")["strategies"]
    shell.check("a planted edge passes the production gates", bool(found))
    if not found:
        raise SystemExit("nothing to promote")
    return str(found[0]["id"])


def _paper(shell: Shell, strategy: str) -> None:
    promote = ("promote", strategy, "--to")
    place = ("--account", ACCOUNT, "--target", "loopback")
    shell.refused(
        "a canary before paper is refused",
        (*promote, "canary", *place, "--symbols", "SYN1", "--cap", CAP),
        "stages are taken one by one",
    )
    shell.run(*promote, "paper", *place, "--symbols", "SYN1", "--cap", CAP)
    shell.refused("a canary without paper trading is refused", (*promote, "canary"), "G4")
    shell.run(
        "paper", "run", strategy, "--mode", "backtest-validation", "--run", "paper",
        "--dataset", "synth:SYN1:4h:2023-01-01..2024-01-01", "--funding", "none",
    )  # fmt: skip
    decided(shell, strategy)


def decided(shell: Shell, strategy: str, *gates: str) -> None:
    """Ask the decision engine about the paper run; approve its review where it asks for one."""
    made = shell.json(
        "decide", "new_strategy_approval", "--strategy", strategy, "--from-run", "paper"
    )
    if made["review"] == "before":
        shell.refused(
            "a canary before the review of its decision is refused",
            ("promote", strategy, "--to", "canary", *gates),
            f"review approve {made['decision']}",
        )
        shell.run("review", "approve", str(made["decision"]), "--reason", "seen the paper run")
    shell.check("the decision engine approves", made["action"] == "approve")


# ---- trading -------------------------------------------------------------------------------


class Desk:
    """The account of a strategy on the exchange, and the person who promotes it."""

    def __init__(
        self, shell: Shell, exchange: Exchange, strategy: str, gates: tuple[str, ...] = ()
    ) -> None:
        self.shell, self.exchange, self.strategy, self._gates = shell, exchange, strategy, gates
        self.key, self.agent = agent_of(shell)

    def promote(self, stage: str) -> None:
        """Approve one step and use the approval up; a second use is refused."""
        paper = self.shell.folder / f"approval-{self.shell.home.name}-{stage}.json"
        scripted = ("--scripted", self.exchange.url, *self._gates)
        step = ("promote", self.strategy, "--to", stage, "--approval", str(paper), *scripted)
        self.shell.run(
            "approve", self.strategy, "--stage", stage, "--account", ACCOUNT, "--cap", CAP,
            "--out", str(paper), *scripted,
        )  # fmt: skip
        self.shell.run(*step)
        again = self.shell.run(*step, expects=None)
        self.shell.check("an approval is used once", again.returncode != 0)

    def line(self, *more: str) -> tuple[str, ...]:
        """Command that trades the account."""
        return (
            "live", "run", "--account", ACCOUNT, "--key-file", str(self.key),
            "--url", self.exchange.url, "--scripted", *more,
        )  # fmt: skip

    def begin(self) -> Running:
        """Trade until somebody stops it, beside everything else."""
        self.exchange.approve(self.agent)
        return self.shell.begin(*self.line(), passphrase=True)

    def trade_for(self, days: int) -> dict[str, Any]:
        """Let days pass."""
        self.exchange.approve(self.agent)
        began, since = time.monotonic(), self.exchange.now_ms()
        done = self.shell.json(*self.line("--for", f"{days}d"), passphrase=True, timeout_s=400.0)
        passed = (self.exchange.now_ms() - since) / 86_400_000
        seconds = time.monotonic() - began
        self.shell.say(f"  {passed:.1f} days passed in {seconds:.0f} s, {done['bars']} bars")
        return done

    def holding(self, process: Running) -> None:
        """Wait until it holds a position that a stop protects."""

        def so() -> bool:
            if process.child.poll() is not None:
                raise SystemExit(f"the trader ended: {process.said()[-2_000:]}")
            return self.exchange.position() != 0.0 and len(self.exchange.orders()) > 0

        self.shell.until("it holds a position", so)

    def empty(self) -> bool:
        """Whether the exchange says that nothing is left."""
        return self.exchange.position() == 0.0 and self.exchange.orders() == []


def _canary(shell: Shell, desk: Desk) -> None:
    desk.promote("canary")
    shell.refused(
        "live_25 without a canary is refused",
        ("promote", desk.strategy, "--to", "live_25", "--scripted", desk.exchange.url),
        "G5",
    )
    done = desk.trade_for(CANARY_DAYS)
    shell.check("the canary ends flat", done["finished"] and desk.empty())
    desk.promote("live_25")


def _killed(shell: Shell, desk: Desk) -> None:
    trader = desk.begin()
    desk.holding(trader)
    began = time.monotonic()
    (shell.home / "kill").touch()
    shell.until("the account is empty", desk.empty, 30.0)
    shell.figures["kill_to_empty_s"] = round(time.monotonic() - began, 2)
    shell.check("a kill flattens the account", desk.empty())
    shell.check("a killed trader ends refused", trader.wait(60.0) == 3)
    told = shell.json("kill", "--reason", "drill")
    shell.check("kill says that nothing is left", told["latched"] and all_done(told))
    restart = shell.run(*desk.line(), expects=None, passphrase=True)
    shell.check("a restart stays killed", restart.returncode == 3 and desk.empty())
    shell.run("rearm", "--reason", "drill over", "--confirm", "REARM")
    done = desk.trade_for(STEP_DAYS)
    shell.check("what is re-armed trades again", bool(done["finished"]))


def all_done(told: dict[str, Any]) -> bool:
    """Whether no live run has anything left."""
    return all(run["done"] for run in told["runs"])


def _crashed(shell: Shell, desk: Desk) -> None:
    trader = desk.begin()
    desk.holding(trader)
    desk.exchange.crash(CRASH)
    shell.until("the stop is filled", lambda: desk.exchange.position() == 0.0, 60.0)
    shell.until("the trader ends by itself", lambda: trader.child.poll() is not None, 120.0)
    run = shell.json("live", "list")["runs"][-1]["run"]
    tripped = shell.json("events", "query", run, "--type", "breaker_tripped")
    names = {event["data"]["breaker"] for event in tripped["events"]}
    shell.figures["breakers"] = sorted(names)
    shell.check("the crash trips a loss breaker", bool(names & {"rapid_loss", "daily_drawdown"}))
    shown = shell.json("deployments", "show", desk.strategy)["deployment"]
    shell.check("it is demoted", shown["stage"] == "paper")
    told = json.dumps(shell.json("alerts", "list"))
    shell.check("people are told of the breaker", "circuit breaker" in told)
    shell.check("people are told of the demotion", "now paper" in told)
    shell.refused(
        "what was demoted is not traded",
        desk.line(),
        "no deployment sends orders",
    )


def _told(shell: Shell, desk: Desk) -> None:
    runs = [one["run"] for one in shell.json("live", "list")["runs"]]
    plan = shell.json("trades", runs[-1], "--last", "1")["trades"][0]["plan_id"]
    story = json.dumps(shell.json("story", plan, "--run", runs[-1]))
    genome = _genome(shell.home, desk.strategy)
    shell.check("the story of the last fill names its genome", genome in story)
    shell.check("and its strategy", desk.strategy in story)
    codes = [shell.run("replay", run, "--verify", expects=None).returncode for run in runs]
    shell.check("every live run replays to the same", codes == [0] * len(runs))


def _genome(home: Path, strategy: str) -> str:
    record = json.loads((home / "strategies" / f"{strategy}.json").read_text(encoding="utf-8"))
    return str(record["genome"])
