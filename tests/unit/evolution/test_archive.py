"""The archive keeps the best of each behaviour and remembers nothing of its history."""

from __future__ import annotations

import itertools
import random
from typing import Any

from genesis.evolution.archive import DEPTH, Archive
from genesis.evolution.candidate import Candidate, Score
from genesis.strategy.genome import Genome


def _candidate(number: int, family: str = "rsi") -> Candidate:
    return Candidate(Genome(family, {"window": number}), "random")


def _score(fitness: float, **changes: Any) -> Score:
    measures = {"holding_bars": 20.0, "turnover": 2.0, "long_share": 0.5, **changes}
    size = int(measures.pop("size", 5))
    violation = float(measures.pop("violation", 0.0))
    phenotype = str(measures.pop("phenotype", f"{fitness!r}/{violation}"))
    return Score("valid", "", (fitness, 0.0), violation, size, phenotype, measures)


def _archive() -> Archive:
    return Archive(lambda family: {"rsi": "mean_reversion", "donchian": "breakout"}[family])


def test_cells_follow_behaviour() -> None:
    archive = _archive()
    cell = archive.cell_of
    assert cell(_candidate(1), _score(1.0)) == "mean_reversion/both/h2/t1"
    assert cell(_candidate(1, "donchian"), _score(1.0, holding_bars=2.0)) == "breakout/both/h0/t1"
    assert cell(_candidate(1), _score(1.0, holding_bars=1e4, turnover=99.0, long_share=0.9)) == (
        "mean_reversion/long/h5/t3"
    )
    assert cell(_candidate(1), _score(1.0, long_share=0.1)).split("/")[1] == "short"


def test_a_cell_keeps_its_best_in_order() -> None:
    archive = _archive()
    for i, fitness in enumerate([0.1, 0.9, 0.4, 0.7, 0.2, 0.8]):
        archive.insert(_candidate(i), _score(fitness), 2)
    assert [e.score.fitness for e in archive.entries()] == [0.9, 0.8, 0.7, 0.4]
    assert len(archive) == 1
    assert DEPTH == 4


def test_feasible_go_first_and_invalid_stay_out() -> None:
    archive = _archive()
    archive.insert(_candidate(1), _score(5.0, violation=0.5), 2)
    archive.insert(_candidate(2), _score(0.1), 2)
    assert not archive.insert(_candidate(3), Score("no_trades", "no trades"), 2)
    assert [e.score.fitness for e in archive.elites()] == [0.1]
    assert [e.score.fitness for e in archive.best(9)] == [0.1, 5.0]
    assert [e.score.fitness for e in archive.best(9, feasible=True)] == [0.1]


def test_of_equal_behaviour_the_simpler_stays() -> None:
    archive = _archive()
    assert archive.insert(_candidate(1), _score(1.0, phenotype="p", size=9), 2)
    assert archive.insert(_candidate(2, "donchian"), _score(1.0, phenotype="p", size=3), 2)
    assert not archive.insert(_candidate(3), _score(1.0, phenotype="p", size=8), 2)
    assert [e.score.complexity for e in archive.entries()] == [3]
    assert len(archive) == 1


def test_order_of_arrival_does_not_matter() -> None:
    offers = [
        (_candidate(i, family), _score(round(random.Random(i).random(), 1), phenotype=str(i)))
        for i, family in zip(range(12), itertools.cycle(["rsi", "donchian"]), strict=False)
    ]
    hashes = set()
    for seed in range(8):
        random.Random(seed).shuffle(offers)
        archive = _archive()
        for candidate, score in offers:
            archive.insert(candidate, score, 2)
        hashes.add(archive.archive_hash)
    assert len(hashes) == 1


def test_hash_covers_cell_genome_objectives_and_evaluations() -> None:
    def made(candidate: Candidate, score: Score, evaluations: int) -> str:
        archive = _archive()
        archive.insert(candidate, score, evaluations)
        return archive.archive_hash

    base = made(_candidate(1), _score(1.0), 2)
    assert made(_candidate(1), _score(1.0), 2) == base
    others = {
        made(_candidate(2), _score(1.0), 2),
        made(_candidate(1), _score(1.0 + 2**-52), 2),
        made(_candidate(1), _score(1.0), 3),
        made(_candidate(1), _score(1.0, turnover=50.0), 2),
    }
    assert base not in others
    assert len(others) == 4


def test_state_restores() -> None:
    archive = _archive()
    offers = {c.key: (c, _score(i / 7)) for i, c in enumerate(map(_candidate, range(9)))}
    for candidate, score in offers.values():
        archive.insert(candidate, score, 2)
    again = _archive()
    again.restore(
        archive.state(), {k: c for k, (c, _) in offers.items()},
        {k: s for k, (_, s) in offers.items()}, 2,
    )  # fmt: skip
    assert again.archive_hash == archive.archive_hash
    assert not again.insert(_candidate(0), _score(0.0), 2)
