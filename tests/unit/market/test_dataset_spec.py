"""The name of a dataset, read and spelled."""

from __future__ import annotations

import pytest

from genesis.domain.errors import DataError, InputError
from genesis.domain.timeline import DAY_MS, HOUR_MS, parse_ts
from genesis.market.dataset import DatasetSpec, parse


def test_parts_of_a_name() -> None:
    spec = parse("binance_perp:BTCUSDT,ETHUSDT:1h:2020-10-23T08:00..2025-05-31T23:00")
    assert spec.venue == "binance_perp"
    assert spec.symbols == ("BTCUSDT", "ETHUSDT")
    assert spec.interval == "1h"
    assert spec.start_ms == 1_603_440_000_000
    assert spec.end_ms == 1_748_732_400_000
    assert spec.funding == "required"


def test_plain_end_date_means_the_whole_day() -> None:
    spec = parse("v:A:1h:2024-01-01..2024-01-31")
    assert spec.start_ms == parse_ts("2024-01-01")
    assert spec.end_ms == parse_ts("2024-02-01") - 1


@pytest.mark.parametrize(
    "text",
    [
        "v:A:1h",
        "v:A,B:4h:2024-01-01..2024-01-31",
        "v:A:1m:2024-01-01T00:05Z..2024-01-31T12:00Z",
        "v:A:1d:2024-01-01..",
        "v:A:1d:..2024-01-31",
        "hyperliquid:BTC/USDC:USDC,xyz:TSLA,@107:15m",
    ],
)
def test_text_round_trips(text: str) -> None:
    spec = parse(text)
    assert spec.text == text
    assert parse(spec.text) == spec


def test_odd_milliseconds_round_trip() -> None:
    spec = DatasetSpec("v", ("A",), "1h", 1, 5 * DAY_MS + 7 * HOUR_MS + 61_001)
    assert parse(spec.text) == spec


def test_configuration_words() -> None:
    spec = DatasetSpec.of("v", ["A", "B"], "1h", "2024-01-01", "2024-01-02", "proxy:A", "mood")
    same = parse("v:A,B:1h:2024-01-01..2024-01-02", funding="proxy:A", sentiment="mood")
    assert spec == same
    assert spec.fallback.symbol == "A"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "is no dataset"),
        ("v:A", "is no dataset"),
        ("v::1h", "is no dataset"),
        ("v:A,:1h", "at least one symbol"),
        ("v:A:1h:2024-01-01", "no span of time"),
        ("v:A:1h:..", "no span of time"),
        ("v:A,A:1h", "named twice: A"),
        ("v:A:1h:2024-02-01..2024-01-01", "is empty"),
        ("v:A:1h:2024-02-01T00:00..2024-02-01T00:00", "is empty"),
    ],
)
def test_wrong_names_are_explained(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        parse(text)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("text", "message"),
    [("v:A:7h", "unknown bar interval '7h'"), ("v:A:1h:soon..", "'soon' is not a date")],
)
def test_unknown_interval_and_date(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text)


@pytest.mark.parametrize("rule", ["", "auto", "constant", "constant:much", "constant:5", "proxy:"])
def test_wrong_funding_rules(rule: str) -> None:
    with pytest.raises(DataError, match=r"constant|funding rule"):
        parse("v:A:1h", funding=rule)


def test_funding_rules_ignore_case_but_not_that_of_symbols() -> None:
    assert parse("v:A:1h", funding="None").fallback.kind == "none"
    assert parse("v:A:1h", funding="Proxy:kPEPE").fallback.symbol == "kPEPE"
    assert parse("v:A:1h", funding="constant:-1e-4").fallback.rate == -1e-4
