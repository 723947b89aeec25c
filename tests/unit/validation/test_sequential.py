"""Early stopping and levels along a sequence: worked examples and refusals."""

from __future__ import annotations

import pytest

from genesis.domain.errors import InputError
from genesis.validation.sequential import fallback_level, fallback_levels, sequential_p


def test_p_stops_at_the_last_exceedance_asked_for() -> None:
    draws = [False, True, False, False, True, True]
    assert sequential_p(draws, 99, 2) == (2 / 5, True)
    assert sequential_p([True], 99, 1) == (1.0, True)


def test_p_of_all_draws_counts_the_observation() -> None:
    assert sequential_p([False] * 99, 99, 3) == (1 / 100, True)
    assert sequential_p([True, True, *[False] * 17], 19, 3) == (3 / 20, True)
    # More draws than asked for change nothing.
    assert sequential_p([False] * 19 + [True] * 10, 19, 1) == (1 / 20, True)


def test_p_on_the_way_is_not_decided() -> None:
    assert sequential_p([], 19, 3) == (1.0, False)
    assert sequential_p([False, True, False], 19, 3) == (2 / 4, False)


def test_fallback_is_wiens_2003() -> None:
    alpha, share = 0.05, 0.5
    own = [0.025, 0.0125, 0.00625, 0.003125]
    assert fallback_levels([], alpha, share) == [0.025]
    assert fallback_levels([False, False, False], alpha, share) == pytest.approx(own)
    # A rejection hands its whole level on, and levels add up along a run of rejections.
    assert fallback_levels([True, True, False], alpha, share) == pytest.approx(
        [0.025, 0.0375, 0.04375, 0.003125]
    )
    assert fallback_level([False, True], alpha, share) == pytest.approx(0.0125 + 0.00625)


def test_impossible_arguments_are_refused() -> None:
    for draws, stop in ((0, 1), (9, 0)):
        with pytest.raises(InputError):
            sequential_p([], draws, stop)
    for alpha, share in ((0.0, 0.5), (0.05, 1.0), (1.0, 0.5)):
        with pytest.raises(InputError):
            fallback_level([], alpha, share)
