"""Control calls that a newcomer gets wrong: what is missing or impossible is said, and not done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.integration.venue.rig import Rig, rig

NOW = 1_795_600_800_000
USER = "0x00000000000000000000000000000000000000aa"
OF_USER: dict[str, Any] = {"user": USER}


@pytest.fixture(scope="module")
def still() -> Iterator[Rig]:
    """A venue whose time stands: its state changes by what is asked of it, and by nothing else."""
    with rig(scripted_ms=NOW) as running:
        yield running


@pytest.mark.parametrize(
    ("call", "body", "words"),
    [
        ("fund", {"usd": "100"}, "user is missing"),
        ("fund", {"user": "0x12", "usd": "100"}, "'0x12' is no address"),
        ("fund", OF_USER, "usd is missing"),
        ("fund", OF_USER | {"usd": "-5"}, "not a decimal number: '-5'"),
        ("fund", OF_USER | {"token": "NOPE", "amount": "1"}, "unknown token 'NOPE'"),
        ("fund", [1], "the body is an object"),
        ("time", {}, "advance_ms is missing"),
        ("time", {"advance_ms": "soon"}, "advance_ms is a whole number, not 'soon'"),
        ("time", {"advance_ms": -5}, "advance_ms is 0 or more"),
        ("time", {"now_ms": 5}, "time does not go back"),
        ("time", {"advance_ms": 10**17}, "400 days"),
        ("price", {"coin": "NOPE", "px": "1"}, "unknown coin 'NOPE'"),
        ("price", {"coin": "BTC", "px": "much"}, "not a decimal number"),
        ("price", {"coin": "BTC", "px": "60000", "oracle": "x"}, "not a decimal number"),
        ("premium", {"coin": "BTC", "premium": 0.5}, "premium is a whole number"),
        ("cap", {"coin": "BTC"}, "size is missing"),
        ("requests", OF_USER | {"used": -1}, "used is 0 or more"),
        ("end", OF_USER | {"oid": 1, "status": "canceled"}, "no living order 1"),
        ("order", OF_USER, "action is missing"),
        ("order", OF_USER | {"action": {"type": "dance"}}, "dance"),
        ("deleverage", OF_USER | {"coin": "BTC"}, "has no position"),
        ("faults", {"kind": "drop_aftr"}, "did you mean 'drop_after'"),
        ("faults", {"kind": "drop_after", "cont": 1}, "did you mean 'count'"),
        ("faults", {"kind": "drop_after", "where": {"paht": "info"}}, "did you mean 'path'"),
        ("faults", {"kind": "drop_after", "where": {"coin": "BTX"}}, "did you mean 'BTC'"),
        ("faults", {"kind": "ws_freeze", "from_s": 9, "until_s": 3}, "until_s is later"),
        ("faults", {"kind": "meta_change", "sz_decimals": 99}, "sz_decimals is 0 to 6"),
        ("faults", {"kind": "meta_change"}, "give sz_decimals or max_leverage"),
        ("faults", {"kind": "clock_skew"}, "give skew_ms"),
        ("faults", {"kind": "too_many", "probability": 2}, "probability is within"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_done(
    still: Rig, call: str, body: Any, words: str
) -> None:
    before = requests.get(f"{still.url}/control/hash", timeout=10).json()
    answer = requests.post(f"{still.url}/control/{call}", json=body, timeout=10)
    assert answer.status_code == 400
    told = answer.json()
    assert told["ok"] is False
    assert words in told["error"]
    assert "Error:" not in told["error"], "names of classes tell a newcomer nothing"
    assert requests.get(f"{still.url}/control/hash", timeout=10).json() == before
    assert requests.get(f"{still.url}/control/faults", timeout=10).json()["faults"] == []


def test_an_unknown_call_names_those_there_are(still: Rig) -> None:
    answer = requests.post(f"{still.url}/control/fundd", json={}, timeout=10)
    assert answer.status_code == 404
    told = answer.json()["error"]
    assert "did you mean 'POST /control/fund'" in told
    assert "DELETE /control/faults/{name}" in told
    wrong = requests.get(f"{still.url}/control/fund", timeout=10)
    assert wrong.status_code == 404
    assert "POST /control/fund" in wrong.json()["error"]
