"""Time spelling, instruments and the error tree."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesis.domain.errors import ConfigError, GenesisError, InputError, did_you_mean
from genesis.domain.instrument import base_asset
from genesis.domain.timeline import bars_per_year, format_ts, interval_ms, interval_name, parse_ts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("2024-02-29T12:30", 1_709_209_800_000),
        ("2024-02-29T12:30:00+02:00", 1_709_202_600_000),
        ("2024-02-29T12:30Z", 1_709_209_800_000),
    ],
)
def test_reads_instants_as_utc(text, expected):
    assert parse_ts(text) == expected


@given(st.integers(0, 4_000_000_000).map(lambda minutes: (minutes % 40_000_000) * 60_000))
def test_instants_round_trip_to_the_minute(ts):
    assert parse_ts(format_ts(ts)) == ts


def test_a_wrong_date_says_how_to_write_one():
    with pytest.raises(InputError, match="write 2024-01-31"):
        parse_ts("31/01/2024")


def test_intervals_have_lengths_names_and_years():
    assert interval_ms("4h") == 14_400_000
    assert interval_name(14_400_000) == "4h"
    assert bars_per_year(interval_ms("1h")) == 8760
    with pytest.raises(InputError, match="did you mean '15m'"):
        interval_ms("15min")


@pytest.mark.parametrize(
    ("symbol", "base"),
    [
        ("BTCUSDT", "BTC"),
        ("BTCUSD", "BTC"),
        ("BTC", "BTC"),
        ("kPEPE", "PEPE"),
        ("BTC/USDC:USDC", "BTC"),
        ("USDC", "USDC"),
        ("SYN1", "SYN1"),
    ],
)
def test_base_asset_is_the_same_across_venues(symbol, base):
    assert base_asset(symbol) == base


def test_errors_say_what_why_and_fix_and_cross_processes():
    error = ConfigError("what", why="because", fix="do this")
    assert str(error) == "what\nwhy: because\nfix: do this"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ConfigError
    assert (again.what, again.why, again.fix) == ("what", "because", "do this")
    assert (GenesisError.exit_code, ConfigError.exit_code) == (1, 2)


def test_suggestions_name_the_closest_word_only():
    assert did_you_mean("genrations", ["generations", "seed"]) == " - did you mean 'generations'?"
    assert did_you_mean("xyz", ["generations"]) == ""
