"""A whole trader against kill -9, judged from the exchange alone (check 46)."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
from collections.abc import Callable
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
from tests.integration.test_crash_recovery import state_hash

SENT = ("loop.before_act", "loop.after_act", "store.before_commit")


class Watched(VenueCampaign):
    """A campaign that keeps the truth by which it was judged last."""

    truth: VenueTruth

    def _judge_of(self) -> VenueJudge:
        venue = self._exchange
        self.truth = VenueTruth(venue.truth, VenueClient(venue.address), venue.accounts)
        return VenueJudge(self.truth, self._run)


def _without_a_fill(truth: VenueTruth) -> None:
    truth.fills.popitem()


def _sent_again(truth: VenueTruth) -> None:
    truth.sent[next(iter(truth.sent))] += 1


def _unheard_of(truth: VenueTruth) -> None:
    truth.sent["0xffff"] += 1


def _paid_otherwise(truth: VenueTruth) -> None:
    account, symbol, amount = truth.funding.pop()
    truth.funding.append((account, symbol, amount + 1))


TAMPERED: dict[str, tuple[Callable[[VenueTruth], None], Callable[[Verdict], bool]]] = {
    "a fill less": (_without_a_fill, lambda verdict: verdict.lost > 0),
    "an order twice": (_sent_again, lambda verdict: verdict.doubled > 0),
    "an order more": (_unheard_of, lambda verdict: verdict.lost > 0),
    "another payment": (_paid_otherwise, lambda verdict: verdict.lost > 0),
}


def _deaths(seed: int) -> list[Death]:
    dice = random.Random(seed)
    points = [Death(point, dice.randrange(3, 25)) for point in SENT]
    # By count first: on a fast machine a run can be over before an instant comes.
    return [*points, Death(after_s=0.3), Death(after_s=1.0, recovering=True)]


@pytest.mark.slow
def test_check_46_a_killed_trader_converges_to_the_exchange(tmp_path: Path) -> None:
    campaign = Watched(tmp_path, Scenario(3, 14))
    tally = campaign.run(iter(_deaths(46)))
    assert tally.complaints == []
    assert sum(tally.deaths.values()) >= 4
    assert (tally.verdicts[-1].lost, tally.verdicts[-1].doubled) == (0, 0)
    assert tally.verdicts[-1].fills > 10
    hash_of_all = state_hash(tmp_path / "run")
    for name, (tamper, found) in TAMPERED.items():
        truth = copy.deepcopy(campaign.truth)
        tamper(truth)
        verdict = VenueJudge(truth, tmp_path / "run").judge(hash_of_all, over=True)
        assert found(verdict), name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_check_46_at_each_point_and_at_twenty_instants() -> None:
    words = ["benchmarks/trader_crash_loop.py", "--random", "20", "--points", "1", "--bars", "16"]
    done = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=880
    )
    result = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, (result, done.stderr)
    assert result["value"] == 0
    assert set(CRASH_POINTS) <= set(result["deaths"])
    assert result["random_instants"] >= 20
