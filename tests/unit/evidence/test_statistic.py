"""What a search found, as one number, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from genesis.evidence.statistic import CELLS, search_statistic


class Cells:
    """The part of an archive that the statistic reads: elites, best first."""

    def __init__(self, *fitness: float, infeasible: int = 0) -> None:
        self.rows = [(value, True) for value in fitness] + [(99.0, False)] * infeasible

    def elites(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(score=SimpleNamespace(fitness=value, feasible=feasible))
            for value, feasible in self.rows
        ]


def of(*fitness: float, infeasible: int = 0) -> float | None:
    return search_statistic(Cells(*fitness, infeasible=infeasible))  # type: ignore[arg-type]


def test_the_mean_of_ten_cells() -> None:
    assert CELLS == 10
    assert of(*range(20, 0, -1)) == pytest.approx(sum(range(11, 21)) / 10)


def test_a_missing_cell_and_a_losing_one_count_as_nothing() -> None:
    assert of(3.0, 1.0) == pytest.approx(0.4)
    assert of(3.0, 1.0, -5.0) == pytest.approx(0.4)
    assert of(-1.0) == 0.0


def test_only_what_is_feasible_counts() -> None:
    assert of(2.0, infeasible=3) == pytest.approx(0.2)
    assert of(infeasible=3) is None
    assert of() is None
