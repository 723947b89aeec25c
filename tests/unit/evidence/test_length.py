"""How many days a measure needs: told before anything is computed."""

from __future__ import annotations

import math

import pytest

from genesis.domain.errors import InputError, RefusedError
from genesis.evidence.campaign import Campaign
from genesis.evidence.gates import GatesFile, Settings, parse_gates
from genesis.evidence.length import (
    cpcv_shortage,
    refuse_short,
    sample_shortage,
    walk_forward_shortage,
)
from genesis.validation.splits import combinatorial_purged, walk_forward
from tests.unit.evidence.small_study import GATES, lenient_gates

pytestmark = pytest.mark.usefixtures("settled_code")


def gates(veto: bool = True, **settings: int) -> GatesFile:
    """Gates that ask for both measures of days."""
    own = "".join(f"  {name}: {value}\n" for name, value in settings.items())
    bound = f"{{at_least: -100, veto: {str(veto).lower()}}}"
    text = GATES.replace("  cpcv_groups: 6\n", own)
    text = text.replace("  cpcv_p25: {at_least: -100, veto: false}\n", "")
    return parse_gates(text + f"  cpcv_p25: {bound}\n  walk_forward_efficiency: {bound}\n", "own")


@pytest.mark.parametrize("purge", [0, 1, 7, 30])
def test_cpcv_says_the_least_number_of_days_that_splits(purge: int) -> None:
    short = cpcv_shortage(7, Settings(), purge)
    assert short is not None
    assert short.needed is not None

    def split(days: int) -> None:
        combinatorial_purged(days, 10, 2, purge, math.ceil(0.01 * days))

    split(short.needed)
    with pytest.raises(InputError):
        split(short.needed - 1)
    assert cpcv_shortage(short.needed, Settings(), purge) is None


@pytest.mark.parametrize("purge", [0, 1, 7, 30])
def test_from_the_days_that_walk_forward_names_on_every_length_will_do(purge: int) -> None:
    short = walk_forward_shortage(7, Settings(), purge)
    assert short is not None
    assert short.needed is not None
    for days in range(short.needed, short.needed + 30):
        assert walk_forward_shortage(days, Settings(), purge) is None
        test = days // 5
        train = days - 4 * test - purge
        assert len(walk_forward(days, train=train, test=test, anchored=True, purge=purge)) == 4
    assert short.text == f"7 days are too few, {5 * (2 + purge)} are needed"


def test_the_fixed_sample_needs_two_days_a_block() -> None:
    short = sample_shortage(31)
    assert short is not None
    assert short.text == "31 days are too few, 32 are needed"
    assert sample_shortage(32) is None


def test_settings_that_no_length_is_enough_for_are_told_as_such() -> None:
    short = cpcv_shortage(100, Settings(cpcv_groups=4, cpcv_test_groups=3, embargo=0.49), 0)
    assert short is not None
    assert short.text.endswith("no number is enough for these settings")


def test_data_that_are_too_short_are_refused_with_each_measure_and_the_bars(
    read_campaign: Campaign,
) -> None:
    with pytest.raises(RefusedError) as refusal:
        refuse_short(read_campaign, gates(cpcv_groups=500, walk_forward_windows=300))
    error = refusal.value
    assert "too short for the gates 'lenient'" in error.what
    assert "cpcv_p25: 200 days are too few, " in error.why
    assert "walk_forward_efficiency: 200 days are too few, " in error.why
    assert "bars of 4h (1,600 are there; 25% of them stay sealed)" in error.fix
    assert "genesis validate base --gates FILE" in error.fix


def test_what_is_long_enough_or_not_asked_for_goes_on(read_campaign: Campaign) -> None:
    refuse_short(read_campaign, gates())
    refuse_short(read_campaign, gates(veto=False, cpcv_groups=500, walk_forward_windows=300))
    refuse_short(read_campaign, lenient_gates(cpcv_groups=500))
