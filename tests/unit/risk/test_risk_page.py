"""docs/risk.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from genesis.risk.breaker_kinds import Breaker
from genesis.risk.breakers import CONSEQUENCES
from genesis.risk.genome import GENES
from genesis.risk.levels import RiskLevel
from genesis.risk.track import Windows

PAGE = (Path(__file__).parents[3] / "docs" / "risk.md").read_text(encoding="utf-8")


def _rows(header: str) -> list[list[str]]:
    table = PAGE.split(header, 1)[1].split("\n\n", 1)[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_the_table_of_genes() -> None:
    rows = _rows("| gene | what it is")
    assert [row[0] for row in rows] == [f"`{gene.name}`" for gene in GENES]
    for row, gene in zip(rows, GENES, strict=True):
        assert row[1:3] == [gene.meaning, gene.unit]
        assert [float(cell) for cell in row[3:6]] == [gene.low, gene.default, gene.high]
        assert row[6] == ("larger" if gene.looser > 0 else "smaller")


def test_the_table_of_breakers() -> None:
    rows = {row[0].strip("`"): row for row in _rows("| breaker | trips when")}
    assert set(rows) == set(Breaker)
    for name, row in rows.items():
        assert row[2] == CONSEQUENCES[name].level.name
        words = CONSEQUENCES[name].rearms.replace("a cooldown", "`cooldown_minutes`")
        assert row[3].startswith(words)


def test_the_table_of_levels() -> None:
    rows = _rows("| level | meaning")
    assert [(row[0], row[1]) for row in rows] == [(one.name, one.meaning) for one in RiskLevel]


def test_the_numbers_of_the_windows() -> None:
    windows = Windows()
    assert re.search(rf"fewer than {windows.warm_up} bars", PAGE)
    assert re.search(rf"after {windows.memory} bars", PAGE)
