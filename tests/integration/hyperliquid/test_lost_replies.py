"""What nobody answered: found again, never doubled, never taken for refused (checks 39 and 40)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.hyperliquid.lost_replies import AFTER, BEFORE, TTL_MS, Outcome, campaign

LATEST_MS = 5_000


def _sound(out: Outcome) -> None:
    assert out.disagree == []
    assert (out.duplicates, out.ghosts) == (0, 0)
    assert out.latest_ms <= LATEST_MS


def test_check_39_a_reply_lost_after_the_order_was_applied_leaves_one_order(tmp_path: Path) -> None:
    out = campaign(tmp_path, 12, AFTER, seed=39)
    _sound(out)
    assert set(out.states) <= {"filled", "resting", "canceled"}
    assert out.latest_ms <= 0 < TTL_MS  # found at the first question, long before the expiry


def test_check_40_a_request_that_was_lost_expires_unsent(tmp_path: Path) -> None:
    out = campaign(tmp_path, 8, BEFORE, seed=40)
    _sound(out)
    assert set(out.states) == {"expired"}


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [AFTER, BEFORE, AFTER + BEFORE], ids=["after", "before", "both"])
def test_checks_39_and_40_over_fifty_runs(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    _sound(campaign(tmp_path, 50, kinds, seed=50))
