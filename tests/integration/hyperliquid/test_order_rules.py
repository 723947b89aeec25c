"""What our rules call valid is valid for the venue (check 47)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.hyperliquid.order_rules import campaign


def test_check_47_no_valid_order_breaks_a_rule_of_the_venue(tmp_path: Path) -> None:
    tally = campaign(tmp_path, 500, seed=47)
    assert tally.broken == []
    assert tally.sent >= 490
    assert tally.accepted > 300


@pytest.mark.slow
def test_check_47_over_ten_thousand_orders(tmp_path: Path) -> None:
    tally = campaign(tmp_path, 10_000, seed=48)
    assert tally.broken == []
    assert tally.sent >= 9_900
