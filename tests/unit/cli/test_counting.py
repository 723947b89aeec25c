"""One of a thing is not several."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from genesis.cli.story import _seen
from genesis.domain.counting import several
from genesis.domain.errors import InputError
from genesis.system.live_paper import live_settings
from genesis.trading.payloads import CandlesReady
from genesis.trading.store.reader import EventReader
from genesis.trading.store.selection import type_names
from genesis.trading.story import _origin_text
from tests.unit.cli.conftest import Small


def test_several_has_one_word_for_one() -> None:
    assert several(1, "run") == "1 run"
    assert several(0, "run") == "0 runs"
    assert several(1_234, "strategy", "strategies") == "1,234 strategies"


def test_accounts_are_counted(small: Small) -> None:
    from genesis.evolution.store import StrategyStore
    from genesis.system.clock import SystemClock

    one = StrategyStore(small.home / "strategies").list()[0].strategy
    with pytest.raises(InputError) as caught:
        live_settings([one], [], ["BTC"], "1h", "http://127.0.0.1:1", 1e3, {}, SystemClock())
    assert caught.value.what == "1 strategy and 0 accounts given"


def test_the_doctor_counts_runs(small: Small) -> None:
    checks = small.run("doctor", "--json").json["checks"]
    assert next(c for c in checks if c["name"] == "runs")["detail"] == "1 run"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00000012345678, "0.000000123457"),
        (-0.00025, "-0.00025"),
        (0.0, "0.000000"),
        (43210.5, "43210.500000"),
    ],
)
def test_what_a_signal_saw_keeps_its_digits(value: float, text: str) -> None:
    assert _seen(value) == text


def test_a_wrong_event_type_is_answered_with_the_few_that_are_near() -> None:
    with pytest.raises(InputError) as caught:
        type_names(["fill"])
    assert "did you mean 'order_filled'?" in caught.value.what
    assert caught.value.fix.startswith("use one of: order_filled")
    assert caught.value.fix.count(",") < 5
    with pytest.raises(InputError, match="did you mean 'order_filled'"):
        type_names(["order_fild"])
    with pytest.raises(InputError) as caught:
        type_names(["zzz"])
    assert "did you mean" not in caught.value.what


def test_a_story_says_when_the_bars_closed() -> None:
    event = SimpleNamespace(
        data=CandlesReady(open_ms=1_638_792_000_000, interval_ms=3_600_000, symbols=("SYN1",))
    )
    reader = SimpleNamespace(archived_seq=0, event=lambda _: event)
    told = _origin_text(cast(EventReader, reader), 5)
    assert told == "bars of 2021-12-06T12:00Z closed: SYN1"


def test_deployments_of_a_file_are_counted(small: Small, tmp_path: Path) -> None:
    best = small.run("strategies", "list", "--json").json["strategies"][0]["id"]
    file = tmp_path / "one.yaml"
    assert small.run("deployments", "save", best, str(file)).out.endswith(", 0 deployments\n")
    wish = {"account": "0x" + "a1" * 20, "target": "loopback", "symbols": ["BTC"], "cap": "100"}
    text = file.read_text().replace("deployments: []", f"deployments: [{json.dumps(wish)}]")
    file.write_text(text)
    answer = small.run("deployments", "validate", str(file))
    assert answer.out.endswith(", 1 deployment\n"), answer.err
