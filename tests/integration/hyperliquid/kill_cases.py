"""Seeded kills on the local venue, timed and judged by what the venue itself holds.

A case is what an account holds (own position with its stop, positions and orders by hand on
several coins, TWAP and spot orders, an entry on its way), what the venue does meanwhile (answers,
429, 502, drops replies, applies and errs), and how the kill is asked for. Time counts from the
latch, or from the end of the fault where that is later, to the last instant at which the venue
held anything; it is watched for a while after the trader says that nothing is left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genesis.domain.errors import GenesisError, RefusedError
from genesis.strategy.text import dump_strategy
from genesis.system.clock import SystemClock
from genesis.system.kill import set_latch
from genesis.trading.kill_latch import KillLatch
from genesis.trading.kill_report import read_kill_report
from tests.integration.hyperliquid.live_paper_rig import Bench, bench, follower
from tests.integration.hyperliquid.live_rig import KEY, MASTER, LiveRig, live_rig

FAULTS = ("", "too_many", "server_error", "drop_after", "error_after")
HERE, OUTSIDE = ("file", "set_latch"), ("signal", "command")
_COINS = ("BTC", "ETH", "SOL", "ATOM")
_AFTER_S, _PATIENCE_S, _LOOK_S = 1.0, 60.0, 0.01
_BOOKS_S = 90.0
"""Longest end of a run whose account is empty: its books may need the next minute's weight."""
_DELAY_MS = 4_000
"""How long an entry that is on its way needs: the account is watched until it has come."""
_SPENT = (0, 800, 1_000)
"""Weight of the last minute: none, all that reads may use, all that orders may use."""


@dataclass(frozen=True)
class Case:
    """A kill.

    Attributes
    ----------
    seed : int
    fault : str
        Kind of the venue's fault, empty for none.
    way : str
        How it is asked for.
    flying : bool
        Whether an entry of the strategy is on its way at that instant.
    """

    seed: int
    fault: str
    way: str
    flying: bool = False

    @property
    def text(self) -> str:
        """In one line."""
        more = ", an entry on its way" if self.flying else ""
        return f"seed {self.seed}, {self.fault or 'no fault'}, by {self.way}{more}"


@dataclass
class Outcome:
    """What came of a case; seconds.

    Attributes
    ----------
    total_s, after_s : float
        From the latch, and from the end of the fault where that is later, until nothing was left.
    told_s : float
        From the later of both until the trader said so.
    ended_s : float
        And until it had ended, with its books in order.
    complaints : list of str
    """

    case: Case
    held: int = 0
    total_s: float = 0.0
    after_s: float = 0.0
    told_s: float = 0.0
    ended_s: float = 0.0
    complaints: list[str] = field(default_factory=list)


def cases(count: int, outside: int, seed: int = 1) -> list[Case]:
    """Cases in this process, each fault as often as every other, and some in one of their own."""
    rng = random.Random(seed)
    found = [
        Case(rng.randrange(10**6), FAULTS[n % len(FAULTS)], HERE[n // 5 % 2], n // 5 % 4 == 3)
        for n in range(count)
    ]
    return found + [
        Case(rng.randrange(10**6), FAULTS[n % len(FAULTS)], OUTSIDE[n % 2]) for n in range(outside)
    ]


def run_case(case: Case, folder: Path) -> Outcome:
    """Kill once."""
    return _outside(case, folder) if case.way in OUTSIDE else _here(case, folder)


class Truth:
    """Watches what the venue holds for an account."""

    def __init__(self, rig: LiveRig) -> None:
        self._rig = rig
        self.last = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def held(self) -> int:
        """Positions, orders and TWAP orders."""

        def count() -> int:
            info = self._rig.venue.info.answer
            positions = info({"type": "clearinghouseState", "user": MASTER})["assetPositions"]
            orders = info({"type": "frontendOpenOrders", "user": MASTER})
            history = info({"type": "twapHistory", "user": MASTER})
            twaps = [one for one in history if one["status"]["status"] == "activated"]
            return len(positions) + len(orders) + len(twaps)

        return self._rig.running.call(count)

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            before = time.monotonic()
            if self.held():
                self.last = before

    def __enter__(self) -> Truth:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


# ---- what an account holds -----------------------------------------------------------------


def _order(rig: LiveRig, coin: str, buy: bool, size: float, factor: float, tif: str) -> None:
    spec = next(one for one in rig.venue.core.meta.perps if one.coin == coin)
    mid = float(rig.info("allMids")[coin])
    price = float(f"{mid * factor:.4g}")
    lots = f"{size / mid:.{spec.sz_decimals}f}"
    row = {"a": spec.asset, "b": buy, "p": f"{price:g}", "s": lots, "r": False}
    rig.submit(
        MASTER,
        {"type": "order", "orders": [row | {"t": {"limit": {"tif": tif}}}], "grouping": "na"},
    )


def by_hand(rig: LiveRig, rng: random.Random) -> None:
    """Positions and orders that nobody here sent, on several coins."""
    for coin in rng.sample(_COINS, rng.randint(1, 3)):
        if coin != "SOL":  # the strategy's own
            buy = rng.random() < 0.5
            _order(rig, coin, buy, rng.uniform(100, 4_000), 1.04 if buy else 0.96, "Ioc")
    for _ in range(rng.choice((1, 3, 8, 55))):
        buy = rng.random() < 0.5
        factor = rng.uniform(0.8, 0.95) if buy else rng.uniform(1.05, 1.2)
        _order(rig, rng.choice(_COINS), buy, rng.uniform(50, 500), factor, "Gtc")
    if rng.random() < 0.5:
        eth = next(one for one in rig.venue.core.meta.perps if one.coin == "ETH")
        wanted = {"a": eth.asset, "b": True, "s": "1", "r": False, "m": 30, "t": False}
        rig.submit(MASTER, {"type": "twapOrder", "twap": wanted})


def _fault(rig: LiveRig, case: Case, rng: random.Random) -> float:
    """Put the fault in force; seconds that it lasts."""
    if not case.fault:
        return 0.0
    where = {} if rng.random() < 0.5 else {"path": "exchange"}
    if case.fault in ("too_many", "server_error", "drop_after"):
        rig.fault(case.fault, where=where)
    else:
        rig.fault(case.fault, where={"path": "exchange"})
    return rng.uniform(0.3, 4.0)


# ---- in this process -----------------------------------------------------------------------


def _here(case: Case, folder: Path) -> Outcome:
    rng, out = random.Random(case.seed), Outcome(case)
    with live_rig(folder / "venue", scripted=False) as rig, bench(rig, folder / "home") as desk:
        rig.price(100.0)
        for _ in range(24):
            rig.advance(15_000)
        sitting = desk.start()
        if case.flying:
            _take_off(rig, sitting)
        else:
            sitting.bars(2, 101.0)
        by_hand(rig, rng)
        with Truth(rig) as truth:
            out.held = truth.held()
            budget = sitting.engine._gateway.parts.transport.budget
            _real_budget(budget, rng.choice(_SPENT))
            lasts = _fault(rig, case, rng)
            latched = time.monotonic()
            if case.way == "file":
                KillLatch(desk.workspace.home).path.touch()
            else:
                set_latch(desk.workspace, "case", "ann", SystemClock())
            healed = _heal(rig, latched, lasts)
            told = _await(lambda: _done(desk.workspace.home))
            ended = _await(lambda: not sitting.alive, _BOOKS_S)
            most = budget.most
            _judge(out, truth, latched, healed, told)
            out.ended_s = max(ended - max(latched, healed), 0.0)
            if not isinstance(sitting.error, RefusedError) or "killed" not in str(sitting.error):
                out.complaints.append(f"the run ended with {sitting.error!r}")
        if most > 1_200:
            out.complaints.append(f"{most} of weight in a minute")
        out.complaints += _stays_killed(desk, truth)
    return out


def _take_off(rig: LiveRig, sitting: Any) -> None:
    """Let the strategy decide, and its order need a while to the venue."""
    where = {"path": "exchange", "type": "order"}
    rig.fault("delay_before", where=where, delay_ms=_DELAY_MS, count=1)
    rig.price(101.0)
    flying = sitting.engine._gateway.parts.sender._flying
    ends = time.monotonic() + _PATIENCE_S
    while not flying:
        assert time.monotonic() < ends, "the strategy sent nothing"
        rig.advance(5_000)
        for _ in range(20):
            if flying:
                break
            time.sleep(0.005)


def _real_budget(budget: Any, spent: int) -> None:
    """What a minute of real time would have left of the weight."""
    limits = {0: 1_200, 1: 1_000, 2: 800}
    budget._bounds = {kind: limits[int(kind)] for kind in budget._bounds}
    budget._spent.clear()
    budget._sum = budget.most = 0
    budget.add(spent)


def _stays_killed(desk: Bench, truth: Truth) -> list[str]:
    complaints = []
    for begin in (lambda: desk.start("another"), desk.resume):
        try:
            begin()
        except GenesisError:
            continue
        complaints.append("a killed workspace trades")
    if truth.held():
        complaints.append("a restart left something")
    return complaints


# ---- another process -----------------------------------------------------------------------


@contextmanager
def trader(rig: LiveRig, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A paper run on the venue, as a person starts it; it trades when this is entered."""
    strategy = folder / "follower.json"
    strategy.write_text(json.dumps(dump_strategy(follower())))
    process = subprocess.Popen(
        command(rig, folder, strategy),
        pass_fds=(_KEYS[-1],),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if "trades; Ctrl-C" in line:
                break
        else:
            raise AssertionError(said)
        yield process
    finally:
        process.kill()
        process.communicate()


_KEYS: list[int] = []


def command(rig: LiveRig, folder: Path, strategy: Path, run: str = "net") -> list[str]:
    """Command line of a run; the key comes through a pipe."""
    read, write = os.pipe()
    os.write(write, KEY.encode())
    os.close(write)
    _KEYS.append(read)
    line = [sys.executable, "-m", "genesis", "--home", str(folder / "home"), "paper", "run"]
    line += [str(strategy), "--mode", "testnet", "--symbols", "SOL", "--interval", "1m"]
    line += ["--url", rig.running.url, "--account", MASTER, "--capital", "1000", "--run", run]
    return [*line, "--key-fd", str(read)]


def _outside(case: Case, folder: Path) -> Outcome:
    rng, out = random.Random(case.seed), Outcome(case)
    home = folder / "home"
    folder.mkdir(parents=True, exist_ok=True)
    with live_rig(folder / "venue", scripted=False) as rig, trader(rig, folder) as process:
        by_hand(rig, rng)
        time.sleep(2.0)  # it is past its beginning, and trades
        with Truth(rig) as truth:
            out.held = truth.held()
            lasts = _fault(rig, case, rng)
            asked = time.monotonic()
            if case.way == "signal":
                process.send_signal(signal.SIGUSR1)
                latched, answer = asked, None
            else:
                line = [sys.executable, "-m", "genesis", "--home", str(home), "kill", "--json"]
                answer = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
                latched = _await(KillLatch(home).path.exists)
            healed = _heal(rig, latched, lasts)
            told = _await(lambda: _done(home))
            ended = _await(lambda: process.poll() is not None, _BOOKS_S)
            _judge(out, truth, latched, healed, told)
            out.ended_s = max(ended - max(latched, healed), 0.0)
        if process.returncode != 3:
            out.complaints.append(f"the trader ended with {process.returncode}")
        if answer is not None:
            said, _ = answer.communicate(timeout=_PATIENCE_S)
            if answer.returncode != 0 or not all(one["done"] for one in json.loads(said)["runs"]):
                out.complaints.append(f"genesis kill said {said}")
        again = subprocess.run(
            command(rig, folder, folder / "follower.json", "again"),
            pass_fds=(_KEYS[-1],), capture_output=True, text=True, timeout=_PATIENCE_S, check=False,
        )  # fmt: skip
        if again.returncode != 3 or truth.held():
            out.complaints.append(f"a restart: {again.returncode} {again.stdout}{again.stderr}")
    return out


# ---- judging -------------------------------------------------------------------------------


def _heal(rig: LiveRig, latched: float, lasts: float) -> float:
    """End the fault when its time is over; when that was."""
    if not lasts:
        return latched
    time.sleep(max(latched + lasts - time.monotonic(), 0.0))
    rig.heal()
    return time.monotonic()


def _await(done: Callable[[], bool], patience_s: float = _PATIENCE_S) -> float:
    ends = time.monotonic() + patience_s
    while not done() and time.monotonic() < ends:
        time.sleep(0.002)
    return time.monotonic()


def _done(home: Path) -> bool:
    report = read_kill_report(home / "trading" / "net")
    return report is not None and report.done


def _judge(out: Outcome, truth: Truth, latched: float, healed: float, told: float) -> None:
    time.sleep(_AFTER_S + out.case.flying * _DELAY_MS / 1_000)
    begun = max(latched, healed)
    out.total_s = max(truth.last - latched, 0.0)
    out.after_s = max(truth.last - begun, 0.0)
    out.told_s = max(told - begun, 0.0)
    if out.told_s > _PATIENCE_S - 5.0:
        out.complaints.append("nobody said that nothing is left")
    if truth.last > told:
        out.complaints.append(f"{truth.last - told:.2f} s after that something was there")
    if left := truth.held():
        out.complaints.append(f"{left} things are left")
