"""A whole trader against kill -9, judged from the exchange alone (check 46)."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.crash.campaign import Death
from benchmarks.crash.judge import Verdict
from benchmarks.crash.market import Scenario
from benchmarks.crash.venue_judge import VenueJudge, VenueTruth
from benchmarks.crash.venue_rig import VenueClient
from benchmarks.trader_crash_loop import VenueCampaign
from genesis.trading.crash_points import CRASH_POINTS
from tests.conftest import REPOSITORY

SENT = ("loop.before_act", "loop.after_act", "store.before_commit")


class Watched(VenueCampaign):
    """A campaign whose last judgement can be repeated with another truth."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        super().__init__(folder, scenario)
        self.truths: list[VenueTruth] = []
        self.states: list[str] = []

    def _judge_of(self) -> VenueJudge:
        venue = self._exchange
        truth = VenueTruth(venue.truth, VenueClient(venue.address), venue.accounts)
        self.truths.append(truth)
        return VenueJudge(truth, self._run)

    def again(self, state_hash: str) -> Verdict:
        return VenueJudge(self.truths[-1], self._run).judge(state_hash, over=True)


def _deaths(seed: int) -> list[Death]:
    dice = random.Random(seed)
    points = [Death(point, dice.randrange(3, 25)) for point in SENT]
    return [Death(after_s=0.3), Death(after_s=1.0, recovering=True), *points]


def test_check_46_a_killed_trader_converges_to_the_exchange(tmp_path: Path) -> None:
    tally = VenueCampaign(tmp_path / "one", Scenario(3, 8)).run(iter(_deaths(46)))
    assert tally.complaints == []
    assert sum(tally.deaths.values()) >= 4
    assert (tally.verdicts[-1].lost, tally.verdicts[-1].doubled) == (0, 0)
    assert tally.verdicts[-1].fills > 10


@pytest.mark.slow
def test_check_46_at_each_point_and_at_twenty_instants() -> None:
    words = ["benchmarks/trader_crash_loop.py", "--random", "20", "--points", "1", "--bars", "16"]
    done = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=280
    )
    result = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, (result, done.stderr)
    assert result["value"] == 0
    assert set(CRASH_POINTS) <= set(result["deaths"])
    assert result["random_instants"] >= 20
