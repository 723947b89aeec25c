"""Classes of exits, and excursions of a position."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from genesis.strategy.exits import Excursion, ExitClass, exit_class


@pytest.mark.parametrize(
    ("level", "initial", "tick", "want"),
    [
        (96.0, 96.0, 0.0, ExitClass.STOP_LOSS),
        (95.0, 96.0, 0.0, ExitClass.STOP_LOSS),  # moved away by hand
        (96.5, 96.0, 0.5, ExitClass.TRAILING_STOP),
        (98.0, 96.0, 0.0, ExitClass.TRAILING_STOP),
        (103.0, 96.0, 0.5, ExitClass.TRAILING_STOP),
        (100.0, 96.0, 0.0, ExitClass.BREAKEVEN),
        (99.5, 96.0, 0.5, ExitClass.BREAKEVEN),
        (100.5, 96.0, 0.5, ExitClass.BREAKEVEN),
        (99.4, 96.0, 0.5, ExitClass.TRAILING_STOP),
        (97.0, -math.inf, 0.0, ExitClass.TRAILING_STOP),  # there was none at first
        (100.0, -math.inf, 0.0, ExitClass.BREAKEVEN),
        (math.nan, 96.0, 0.0, ExitClass.UNKNOWN),
        (96.0, math.nan, 0.0, ExitClass.UNKNOWN),
    ],
)
def test_a_stop_is_classed_by_where_it_stood(
    level: float, initial: float, tick: float, want: ExitClass
) -> None:
    assert exit_class("stop", 2.0, 100.0, level, initial, tick) is want
    mirrored = exit_class("stop", -2.0, 100.0, 200.0 - level, 200.0 - initial, tick)
    assert mirrored is want


@pytest.mark.parametrize(
    ("reason", "want"),
    [
        ("target", "target"),
        ("exit signal", "signal"),
        ("reversal", "reversal"),
        ("time stop", "time_limit"),
        ("liquidation", "liquidation"),
        ("delisted", "delisted"),
        ("session end", "session_end"),
        ("emergency", "emergency"),
        ("manual", "manual"),
        ("partial", "partial"),
        ("regime change", "regime_change"),
        ("zone break", "zone_break"),
        ("entry", "unknown"),
        ("sunspots", "unknown"),
    ],
)
def test_other_reasons_have_their_class(reason: str, want: str) -> None:
    assert exit_class(reason, 1.0, 100.0, math.nan, math.nan) == want


@pytest.mark.parametrize("side", [3.0, -0.5])
def test_excursions_are_the_largest_moves_of_what_was_seen(side: float) -> None:
    rng = np.random.default_rng(int(abs(side) * 10))
    for _ in range(50):
        entry = float(rng.uniform(50, 150))
        seen, known = Excursion(side, entry), [entry]
        for _ in range(int(rng.integers(0, 6))):
            low, high = np.sort(rng.uniform(50, 150, 2)).tolist()
            seen.update(high, low)
            known += [high, low]
            seen.update(math.nan, math.nan)
        price = float(rng.uniform(50, 150))
        mfe, mae = seen.close(price)
        moves = [math.copysign(1.0, side) * (p - entry) / entry for p in [*known, price]]
        assert mfe == pytest.approx(max(moves), abs=1e-15)
        assert mae == pytest.approx(-min(moves), abs=1e-15)
        assert min(mfe, mae) >= 0.0


def test_an_added_fill_counts_and_moves_what_excursions_are_measured_from() -> None:
    seen = Excursion(1.0, 100.0)
    seen.update(106.0, 98.0)
    seen.fill(90.0, 95.0)
    assert (seen.mfe, seen.mae) == pytest.approx((11.0 / 95.0, 5.0 / 95.0))


def test_an_excursion_continues_from_its_plain_form() -> None:
    seen = Excursion(-2.0, 100.0)
    seen.update(101.0, 97.0)
    again = Excursion.restored(json.loads(json.dumps(seen.plain())))
    assert again.plain() == seen.plain()
    assert again.close(110.0) == seen.close(110.0) == pytest.approx((0.03, 0.1))
