"""What confidence turned out to be worth."""

from __future__ import annotations

import json

import pytest

from genesis.decision.calibration import (
    Bin,
    Calibration,
    Judged,
    disjoint,
    fit,
    opposite,
    table,
    wilson,
)
from genesis.domain.errors import InputError

KIND = "risk_adjustment"


def judged(confidence: float, held: int, overturned: int, **options: object) -> list[Judged]:
    verdicts = [False] * held + [True] * overturned
    return [Judged(KIND, confidence, verdict, **options) for verdict in verdicts]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "is_opposite"),
    [
        ("retire", "keep", True),
        ("keep", "retire", True),
        ("approve", "reject", True),
        ("shutdown", "continue", True),
        ("tighten", "loosen", True),
        ("tighten", "keep", False),
        ("grow", "shrink", True),
        ("grow", "keep", False),
        ("defend", "normal", True),
        ("keep", "keep", False),
    ],
)
def test_what_the_opposite_of_an_action_is(one: str, other: str, is_opposite: bool) -> None:
    assert opposite(one, other) == is_opposite


def test_nothing_is_fitted_to_fewer_than_200_decisions() -> None:
    assert fit(judged(0.85, 100, 99)).types == {}
    assert fit(judged(0.85, 100, 99)).apply(KIND, 0.85) == 0.85
    fitted = fit(judged(0.85, 100, 100))
    assert fitted.decisions == 200
    assert fitted.apply(KIND, 0.85) == 0.5
    assert fitted.apply("trading_session_optimization", 0.9) == 0.9


def test_frequencies_by_confidence_and_the_line_between_them() -> None:
    rows = judged(0.5, 60, 40) + judged(0.75, 50, 50) + judged(1.0, 90, 10)
    bins = table(rows)
    assert [(one.confidence, one.count, one.held) for one in bins] == [
        (0.5, 100, 60),
        (0.75, 100, 50),
        (1.0, 100, 90),
    ]
    # The first two are in the wrong order, so they share their mean.
    assert [one.calibrated for one in bins] == pytest.approx([0.55, 0.55, 0.9])
    assert (bins[2].low, bins[2].high) == wilson(90, 100)
    fitted = fit(rows)
    assert fitted.apply(KIND, 0.875) == pytest.approx((0.55 + 0.9) / 2)
    assert fitted.apply(KIND, 0.1) == pytest.approx(0.55)
    assert fitted.apply(KIND, 1.1) == 0.9


def test_decisions_that_share_days_stand_for_fewer() -> None:
    daily = [Judged(KIND, 0.9, False, "", day) for day in range(365)]
    assert disjoint(daily) == 13  # day 0, 30, … 360
    assert disjoint(daily + [Judged(KIND, 0.9, False, "b", day) for day in range(31)]) == 15
    (one,) = table(daily)
    assert (one.apart, one.count) == (13, 365)
    assert one.low_apart < one.low
    assert one.low_apart == pytest.approx(wilson(13, 13)[0])


def test_a_calibration_is_stored_and_read_back() -> None:
    fitted = fit(judged(0.85, 150, 70))
    again = Calibration.from_plain(json.loads(json.dumps(fitted.plain())))
    assert again == fitted
    assert again.hash == fitted.hash
    assert fit(judged(0.85, 151, 70)).hash != fitted.hash
    with pytest.raises(InputError, match="no calibration"):
        Calibration.from_plain({"decisions": 1})


def test_frequency_of_a_bin() -> None:
    assert Bin(0.9, 4, 3, 0.0, 1.0, 4, 0.0, 1.0, 0.7).frequency == 0.75
