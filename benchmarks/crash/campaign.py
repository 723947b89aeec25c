"""A run that is killed over and over: starts the exchange and the trader, kills them, judges."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.crash.judge import Judge, Truth, Verdict
from benchmarks.crash.market import Scenario, exchange_config
from benchmarks.crash.served import ROOT, Served
from benchmarks.crash.trader import SAVED, Plan, Report

PATIENCE_S = 120.0
WHOLE_RUN_S = 3_600.0


@dataclass(frozen=True)
class Death:
    """How a process of a run is to end.

    Attributes
    ----------
    point : str
        Crash point at which the trader kills itself, empty for a time.
    passes : int
        Passes of that point before.
    after_s : float
        Else: seconds until somebody is killed, from the start of the trader, or from the moment
        it goes on with the market.
    recovering : bool
        Count from its start.
    whom : str
        ``trader``, ``exchange``, ``both``, or ``stop`` for a SIGTERM to the trader.
    """

    point: str = ""
    passes: int = 0
    after_s: float = WHOLE_RUN_S
    recovering: bool = False
    whom: str = "trader"


@dataclass
class Tally:
    """What happened in a run, and what its judges said.

    Attributes
    ----------
    deaths : Counter
        Crash point, or who was struck at an instant, to how often.
    verdicts : list of Verdict
        One for each recovery, and the last of the end.
    failures : list of str
        What went wrong with the processes themselves.
    saved : int
        How often the trader saved and exited with 130.
    """

    deaths: Counter[str] = field(default_factory=Counter)
    verdicts: list[Verdict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    saved: int = 0
    seconds: float = 0.0

    @property
    def complaints(self) -> list[str]:
        """All of them."""
        return [text for one in self.verdicts for text in one.complaints] + self.failures


class Exchange(Served):
    """The paper exchange as a process with its own truth file."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        address, truth = f"unix:{folder / 'exchange.sock'}", folder / "truth.jsonl"
        config = folder / "exchange.json"
        config.write_text(json.dumps(exchange_config(scenario)))
        words = ["-m", "genesis.exchange.paper.server", "--truth", str(truth)]
        words += ["--listen", address, "--config", str(config)]
        super().__init__(words, address, truth)


class TraderProcess:
    """One process of the trader, and what it tells."""

    def __init__(self, plan: Plan, module: str = "benchmarks.crash.trader") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, msgspec.json.encode(plan).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )

    def report(self, seconds: float) -> Report | None:
        """Next line; None where it is dead.

        Raises
        ------
        TimeoutError
            If nothing comes in this time.
        """
        stream = self._process.stdout
        assert stream is not None
        if not select.select([stream], [], [], max(seconds, 0.0))[0]:
            raise TimeoutError
        line = stream.readline()
        return msgspec.json.decode(line, type=Report) if line.endswith(b"\n") else None

    def go_on(self) -> None:
        """Let it trade."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def send(self, number: int) -> None:
        """Send a signal."""
        os.kill(self._process.pid, number)

    def end(self) -> tuple[int, str]:
        """Exit code and what it said on standard error."""
        _, told = self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode, told.decode(errors="replace")


class Campaign:
    """One run from its first event to its last, through as many deaths as it is given.

    Parameters
    ----------
    folder : Path
    scenario : Scenario
    judged : bool
        Judge after each recovery, not at the end alone.
    """

    def __init__(self, folder: Path, scenario: Scenario, *, judged: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._run = folder / "run"
        self._scenario = scenario
        self._judged = judged
        self._exchange = self._open(folder)
        self.tally = Tally()

    def _open(self, folder: Path) -> Served:
        return Exchange(folder, self._scenario)

    def _start(self, death: Death) -> TraderProcess:
        plan = Plan(
            str(self._run), self._exchange.address, self._scenario, death.point, death.passes
        )
        return TraderProcess(plan)

    def run(self, deaths: Iterator[Death]) -> Tally:
        """Start the trader until the feed ends; without a further death it lives to the end."""
        began = time.perf_counter()
        try:
            while not self._sitting(next(deaths, Death())) and not self.tally.failures:
                pass
        finally:
            self._exchange.kill()
        self.tally.seconds = time.perf_counter() - began
        return self.tally

    def _sitting(self, death: Death) -> bool:
        """One process of the trader; whether the run is over."""
        trader = self._start(death)
        try:
            report = self._wait(trader, death, death.recovering)
            if report is not None:
                if self._judged:
                    self._judge(report, over=False)
                trader.go_on()
                report = self._wait(trader, death, not death.recovering)
        except TimeoutError:
            trader.send(signal.SIGKILL)
            self.tally.failures.append("the trader hangs")
            report = None
        code, told = trader.end()
        return self._ended(code, told, report, death)

    def _wait(self, trader: TraderProcess, death: Death, armed: bool) -> Report | None:
        """Wait for what the trader tells, and strike when it is time."""
        if not armed or death.point:
            return trader.report(PATIENCE_S)
        try:
            return trader.report(min(death.after_s, PATIENCE_S))
        except TimeoutError:
            if death.after_s >= PATIENCE_S:
                raise
        self.tally.deaths[death.whom] += 1
        if death.whom in ("exchange", "both"):
            self._exchange.kill()
        if death.whom in ("trader", "both"):
            trader.send(signal.SIGKILL)
        if death.whom == "stop":
            trader.send(signal.SIGTERM)
        if death.whom in ("exchange", "both"):
            self._exchange.start()
        return trader.report(PATIENCE_S)

    def _ended(self, code: int, told: str, report: Report | None, death: Death) -> bool:
        if code == -signal.SIGKILL:
            if death.point:
                self.tally.deaths[death.point] += 1
            return False
        if code == SAVED and report is not None and report.what == "saved":
            self.tally.saved += 1
            return False
        if code != 0 or report is None or report.what != "finished":
            self.tally.failures.append(f"the trader ended with {code}: {told[-2000:]}")
            return True
        self._judge(report, over=True)
        return True

    def _judge(self, report: Report, *, over: bool) -> None:
        self.tally.verdicts.append(self._judge_of().judge(report.state_hash, over=over))

    def _judge_of(self) -> Judge:
        return Judge(Truth.of(self._exchange.truth), self._run)
