"""Numbers, spans and JSON as the user sees them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from genesis.cli import render
from genesis.cli.progress import sparkline


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    render.emit({"a": math.nan, "b": np.array([1.0, np.inf]), "c": (1, "ü"), "d": np.int64(3)})
    text = capsys.readouterr().out
    assert json.loads(text) == {
        "schema": 1,
        "ok": True,
        "a": None,
        "b": [1.0, None],
        "c": [1, "ü"],
        "d": 3,
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (math.nan, "-"), (1234, "1,234"), (1.236, "1.24"), (True, "yes"), ("x", "x")],
)
def test_number(value: object, text: str) -> None:
    assert render.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.14, "8.1 s"), (185.0, "3 min 05 s"), (7800.0, "2 h 10 min"), (None, "-"), (math.inf, "-")],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert render.duration(seconds) == text


def test_percent() -> None:
    assert render.percent(0.1234) == "12.3 %"
    assert render.percent(math.nan) == "-"


def test_table_cells_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    render.console().print(render.table([("a", "left")], [("[red]x[/]",)]))
    assert "[red]x[/]" in capsys.readouterr().out


def test_sparkline_scales_to_its_range() -> None:
    assert sparkline([1.0, 2.0, math.nan, 3.0]) == "▁▅█"
    assert sparkline([math.nan]) == ""
    assert sparkline([5.0, 5.0]) == "▁▁"
