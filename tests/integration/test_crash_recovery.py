"""Trader and exchange against kill -9, judged from the exchange's truth file alone."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.crash.campaign import Campaign, Death, Tally
from benchmarks.crash.judge import Judge, Truth, Verdict
from benchmarks.crash.market import Scenario, fresh_core
from benchmarks.crash.schedule import at_points, at_random
from genesis.trading.crash_points import CRASH_POINTS
from genesis.trading.replay import Refold
from genesis.trading.store import EventReader
from tests.conftest import REPOSITORY

FUNDED_OPEN = 27
"""Phases before the open of the tenth bar, at which funding is due on what is held."""


def run(folder: Path, scenario: Scenario, *deaths: Death) -> Tally:
    return Campaign(folder, scenario).run(iter(deaths))


def state_hash(folder: Path) -> str:
    refold = Refold(fresh_core(folder.name))
    with EventReader(folder) as reader:
        for event in reader.events():
            refold.handle(event)
    return refold.core.state_hash


Lines = list[dict[str, object]]


def without_a_fill(lines: Lines) -> None:
    told = next(line["told"] for line in reversed(lines) if "order_filled" in str(line.get("told")))
    assert isinstance(told, list)
    told.remove(next(one for one in told if one["type"] == "order_filled"))


def sent_again(lines: Lines) -> None:
    lines.append(next(line for line in lines if line.get("call") == "submit"))


def unheard_of(lines: Lines) -> None:
    line = json.loads(json.dumps(next(x for x in lines if x.get("call") == "submit")))
    line["body"]["client_id"] = line["told"][0]["data"]["client_id"] = "0xffff"
    lines.append(line)


def paid_otherwise(lines: Lines) -> None:
    told = next(line["told"] for line in lines if "funding_paid" in str(line.get("told")))
    assert isinstance(told, list)
    told[0]["data"]["amount"] += "1"


def charged_otherwise(lines: Lines) -> None:
    told = next(line["told"] for line in lines if "order_filled" in str(line.get("told")))
    assert isinstance(told, list)
    fill = next(one for one in told if one["type"] == "order_filled")["data"]["fill"]
    fill["fee"] += "1"


TAMPERED: dict[str, tuple[Callable[[Lines], None], Callable[[Verdict], bool]]] = {
    "a fill less": (without_a_fill, lambda verdict: verdict.lost > 0),
    "an order twice": (sent_again, lambda verdict: verdict.doubled > 0),
    "an order more": (unheard_of, lambda verdict: verdict.lost > 0),
    "another payment": (paid_otherwise, lambda verdict: verdict.lost > 0),
    "another fee": (charged_otherwise, lambda verdict: "cash" in str(verdict.complaints)),
}


def test_kills_at_crash_points_lose_and_double_nothing(tmp_path: Path) -> None:
    deaths = (
        Death("lockstep.shown", FUNDED_OPEN),
        Death("loop.before_act", 8),
        Death("loop.after_act", 5),
    )
    tally = run(tmp_path, Scenario(2, 20), *deaths)
    assert tally.complaints == []
    assert tally.deaths == {death.point: 1 for death in deaths}
    end = tally.verdicts[-1]
    assert min(end.orders, end.fills) > 80
    assert end.unsent < 10  # those that were decided on when the second one died
    hash_of_all = state_hash(tmp_path / "run")
    for name, (tamper, found) in TAMPERED.items():
        lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
        tamper(lines)
        truth = tmp_path / "tampered.jsonl"
        truth.write_text("".join(json.dumps(line) + "\n" for line in lines))
        verdict = Judge(Truth.of(truth), tmp_path / "run").judge(hash_of_all, over=True)
        assert found(verdict), name


def test_an_order_that_ended_with_its_symbol_while_nobody_listened_is_found(tmp_path: Path) -> None:
    """The symbol is delisted in the instant in which the order was accepted."""
    scenario = Scenario(6, 16)
    ended = 3 * (scenario.bars * 4 // 5 + 1)
    tally = run(tmp_path, scenario, Death("lockstep.shown", ended))
    assert tally.complaints == []
    with EventReader(tmp_path / "run") as reader:
        (resumed,) = reader.events(types=["run_resumed"])
        told = [e.data.differences for e in reader.events(resumed.seq, types=["reconciled"])]
    assert any("and not at the exchange" in line for lines in told for line in lines)


def test_a_stop_saves_and_an_exchange_that_dies_comes_back(tmp_path: Path) -> None:
    deaths = [Death(after_s=0.0, whom=whom) for whom in ("stop", "both", "stop", "exchange")]
    tally = run(tmp_path, Scenario(3, 12, delayed=True), *deaths)
    assert tally.complaints == []
    assert tally.deaths == {"stop": 2, "exchange": 1, "both": 1}
    assert tally.saved == 2
    assert tally.verdicts[-1].fills > 40


def test_an_engine_with_its_own_exchange_goes_on_after_kills(tmp_path: Path) -> None:
    """The exchange comes back from the log too; what it told and nobody stored is booked."""
    words = [sys.executable, "-m", "tests.integration.crash_engine", str(tmp_path / "run"), "5"]
    for passes in (20, 31, 26, 38):
        died = subprocess.run(
            [*words, "25", "loop.committed", str(passes)], cwd=REPOSITORY, check=False
        )
        assert died.returncode == -9
    done = subprocess.run(
        [*words, "25", "-", "0"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["complaints"] == []
    assert told["finished"]
    assert min(told["fills"], told["recovered"]) > 30
    assert told["payments"] > 10


@pytest.mark.slow
def test_kills_at_every_crash_point_lose_and_double_nothing(tmp_path: Path) -> None:
    dice = random.Random(11)
    met: set[str] = set()
    for number in range(8):
        scenario = Scenario(number, 50, quotes=2 * (number % 3 == 1), delayed=number % 2 == 1)
        missing = set(CRASH_POINTS) - met
        tally = run(tmp_path / str(number), scenario, *at_points(dice, missing))
        assert tally.complaints == []
        assert tally.verdicts[-1].fills > 100
        met |= set(tally.deaths)
        shutil.rmtree(tmp_path / str(number))
        if met == set(CRASH_POINTS):
            return
    pytest.fail(f"never met: {set(CRASH_POINTS) - met}")


@pytest.mark.slow
def test_kills_at_random_instants_lose_and_double_nothing(tmp_path: Path) -> None:
    dice, kills = random.Random(12), 0
    for number in range(20):
        scenario = Scenario(100 + number, 50, delayed=number % 2 == 1)
        tally = run(tmp_path / str(number), scenario, *at_random(dice, 20))
        assert tally.complaints == []
        kills += sum(tally.deaths[whom] for whom in ("trader", "exchange", "both"))
        if kills >= 20:
            return
    pytest.fail(f"only {kills} instants were met")
