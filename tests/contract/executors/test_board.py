"""Who gets which unit: symbols stay with workers, failed units go elsewhere."""

from __future__ import annotations

from genesis.evolution.executors.board import UnitBoard
from genesis.evolution.work import WorkUnit


def units(symbols: int, blocks: int) -> list[WorkUnit]:
    return [WorkUnit(s * blocks + b, s, ("g",)) for s in range(symbols) for b in range(blocks)]


def drain(board: UnitBoard, workers: list[str]) -> dict[str, list[int]]:
    """Symbols that each worker gets when they take turns."""
    taken: dict[str, list[int]] = {w: [] for w in workers}
    while board:
        for worker in workers:
            unit = board.take(worker)
            if unit is not None:
                taken[worker].append(unit.symbol)
    return taken


def test_workers_keep_symbols_and_find_them_again_in_the_next_generation() -> None:
    first = drain(UnitBoard(units(4, 3), ["a", "b"]), ["a", "b"])
    assert first == {"a": [0, 0, 0, 2, 2, 2], "b": [1, 1, 1, 3, 3, 3]}
    assert drain(UnitBoard(units(4, 3), ["a", "b"]), ["a", "b"]) == first


def test_an_idle_worker_helps_with_the_longest_line() -> None:
    board = UnitBoard(units(1, 4), ["a", "b"])
    assert drain(board, ["a", "b"]) == {"a": [0, 0], "b": [0, 0]}


def test_a_failed_unit_goes_to_another_worker_and_at_last_to_none() -> None:
    board = UnitBoard(units(1, 2), ["a", "b"])
    unit = board.take("a")
    assert unit is not None
    assert board.failed(unit, "a", "died")
    other = board.take("a")
    assert other is not None
    assert other.unit != unit.unit
    assert board.take("a") is None
    assert board.take("b") == unit
    assert not board.failed(unit, "b", "hung")
    assert board.exhausted == [unit]
    assert board.causes(unit) == ("a: died", "b: hung")
    assert not board


def test_a_lone_worker_may_get_its_failed_unit_again() -> None:
    board = UnitBoard(units(1, 1), ["a"])
    unit = board.take("a")
    assert unit is not None
    board.failed(unit, "a", "died")
    assert board.take("a", alone=True) == unit


def test_a_unit_that_was_never_begun_is_not_blamed() -> None:
    board = UnitBoard(units(1, 2), ["a"])
    unit = board.take("a")
    assert unit is not None
    board.put_back(unit)
    assert board.take("a") == unit
    assert board.causes(unit) == ()
