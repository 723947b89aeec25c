"""Feedback beside a stored strategy: kept apart, chained, and refused once it was touched."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from genesis.domain.errors import InputError, RefusedError
from genesis.evolution.feedback import Feedback, read_feedback, write_feedback
from genesis.evolution.files import write_json
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.strategy.genome import default_genome
from genesis.strategy.registry import SeedRegistry


@pytest.fixture
def stored(tmp_path: Path) -> StoredStrategy:
    registry = SeedRegistry()
    record = StoredStrategy(registry.express(default_genome(registry.get("donchian"))), "study")
    StrategyStore(tmp_path / "strategies").put(record)
    return record


def row(stored: StoredStrategy, run: str = "paper-1", score: float | None = 0.5) -> Feedback:
    return Feedback(
        strategy=stored.id,
        run_id=run,
        mode="replay",
        score=score,
        terms={"win_rate": 0.2, "sharpe": 0.3},
        measures={"trades": 41, "sharpe": 1.25, "win_rate": None},
        dataset_hash="d" * 64,
        span_ms=(0, 86_400_000),
        recorded_ms=1_700_000_000_000,
    )


def files(home: Path, stored: StoredStrategy) -> tuple[Path, Path]:
    folder = home / "strategies" / "feedback"
    return folder / f"{stored.id}.jsonl", folder / f"{stored.id}.end.json"


def test_what_is_written_is_read_and_the_record_stays(
    tmp_path: Path, stored: StoredStrategy
) -> None:
    record = tmp_path / "strategies" / f"{stored.id}.json"
    before = record.read_bytes()
    assert read_feedback(tmp_path, stored.id).rows == ()
    first, second = row(stored), row(stored, "paper-2", 0.7)
    assert write_feedback(tmp_path, first)
    assert write_feedback(tmp_path, second)
    history = read_feedback(tmp_path, stored.id[:10])
    assert history.rows == (first, second)
    assert history.latest == second
    assert history.score == pytest.approx(0.6)
    assert record.read_bytes() == before
    assert StrategyStore(tmp_path / "strategies").ids() == (stored.id,)


def test_the_same_outcome_of_a_run_is_written_once(tmp_path: Path, stored: StoredStrategy) -> None:
    assert write_feedback(tmp_path, row(stored))
    assert not write_feedback(tmp_path, replace(row(stored), recorded_ms=9))
    assert write_feedback(tmp_path, row(stored, "paper-2"))
    assert not write_feedback(tmp_path, row(stored))  # another run came between
    assert len(read_feedback(tmp_path, stored.id).rows) == 2


def test_a_run_that_went_on_counts_with_its_latest_row(
    tmp_path: Path, stored: StoredStrategy
) -> None:
    for run, score in (("a", 0.2), ("b", 0.4), ("a", 0.6), ("c", None)):
        write_feedback(tmp_path, replace(row(stored, run, score), reason="" if score else "none"))
    history = read_feedback(tmp_path, stored.id)
    assert [one.score for one in history.by_run.values()] == [0.6, 0.4, None]
    assert history.score == pytest.approx(0.5)
    assert len(history.rows) == 4


def test_what_a_study_must_hash_changes_with_every_row(
    tmp_path: Path, stored: StoredStrategy
) -> None:
    seen = [read_feedback(tmp_path, stored.id).identity()]
    for score in (0.1, 0.2, 0.1):
        write_feedback(tmp_path, row(stored, score=score))
        seen.append(read_feedback(tmp_path, stored.id).identity())
    assert len({json.dumps(one, sort_keys=True) for one in seen}) == 4
    json.dumps(read_feedback(tmp_path, stored.id).to_plain(), allow_nan=False)


def three_rows(tmp_path: Path, stored: StoredStrategy) -> tuple[Path, Path]:
    for run in ("a", "b", "c"):
        write_feedback(tmp_path, row(stored, run))
    return files(tmp_path, stored)


def edit(text: str) -> str:
    return text.replace('"score":0.5', '"score":0.9', 1)


def drop_middle(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([lines[0], lines[2]])


def drop_last(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def swap(text: str) -> str:
    a, b, c = text.splitlines(keepends=True)
    return b + a + c


def garbage(text: str) -> str:
    return "not json\n" + text


@pytest.mark.parametrize("harm", [edit, drop_middle, drop_last, swap, garbage])
def test_a_change_or_a_cut_is_refused(
    tmp_path: Path,
    stored: StoredStrategy,
    harm: object,
) -> None:
    path, _ = three_rows(tmp_path, stored)
    path.write_text(harm(path.read_text()))  # type: ignore[operator]
    with pytest.raises(RefusedError, match="changed or cut"):
        read_feedback(tmp_path, stored.id)
    with pytest.raises(RefusedError, match="changed or cut"):
        write_feedback(tmp_path, row(stored, "d"))


def test_a_lost_file_and_a_damaged_end_are_refused(tmp_path: Path, stored: StoredStrategy) -> None:
    path, end = three_rows(tmp_path, stored)
    text = path.read_text()
    path.unlink()
    with pytest.raises(RefusedError, match="changed or cut"):
        read_feedback(tmp_path, stored.id)
    path.write_text(text)
    end.write_text("{")
    with pytest.raises(RefusedError, match="changed or cut"):
        read_feedback(tmp_path, stored.id)


def test_a_file_without_its_end_is_refused(tmp_path: Path, stored: StoredStrategy) -> None:
    """Else its last rows could be cut off unseen."""
    path, end = three_rows(tmp_path, stored)
    end.unlink()
    for harm in (str, drop_last):
        path.write_text(harm(path.read_text()))
        with pytest.raises(RefusedError, match="changed or cut") as caught:
            read_feedback(tmp_path, stored.id)
        assert f"{end.name} is missing" in caught.value.why
        with pytest.raises(RefusedError, match="changed or cut"):
            write_feedback(tmp_path, row(stored, "d"))


def test_a_crash_after_the_first_row_loses_nothing(
    tmp_path: Path, stored: StoredStrategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crash(path: Path, value: object) -> None:
        if files(tmp_path, stored)[0].exists():
            raise Crash
        write_json(path, value)

    monkeypatch.setattr("genesis.evolution.feedback.write_json", crash)
    with pytest.raises(Crash):
        write_feedback(tmp_path, row(stored, "a"))
    monkeypatch.undo()
    assert [one.run_id for one in read_feedback(tmp_path, stored.id).rows] == ["a"]
    assert write_feedback(tmp_path, row(stored, "b"))
    assert [one.run_id for one in read_feedback(tmp_path, stored.id).rows] == ["a", "b"]


def test_rows_of_another_strategy_are_refused(tmp_path: Path, stored: StoredStrategy) -> None:
    registry = SeedRegistry()
    other = StoredStrategy(registry.express(default_genome(registry.get("rsi"))), "study")
    StrategyStore(tmp_path / "strategies").put(other)
    for mine, theirs in zip(three_rows(tmp_path, stored), files(tmp_path, other), strict=True):
        theirs.write_bytes(mine.read_bytes())
    with pytest.raises(RefusedError, match="changed or cut"):
        read_feedback(tmp_path, other.id)


def test_a_crash_in_mid_write_loses_only_the_torn_row(
    tmp_path: Path, stored: StoredStrategy
) -> None:
    path, _ = three_rows(tmp_path, stored)
    with path.open("a") as file:
        file.write('{"schema":1,"strat')
    assert len(read_feedback(tmp_path, stored.id).rows) == 3
    assert write_feedback(tmp_path, row(stored, "d"))
    assert [one.run_id for one in read_feedback(tmp_path, stored.id).rows] == ["a", "b", "c", "d"]


def test_a_crash_before_the_end_was_noted_loses_nothing(
    tmp_path: Path, stored: StoredStrategy
) -> None:
    path, end = files(tmp_path, stored)
    write_feedback(tmp_path, row(stored, "a"))
    before = end.read_bytes()
    write_feedback(tmp_path, row(stored, "b"))
    end.write_bytes(before)
    assert len(read_feedback(tmp_path, stored.id).rows) == 2
    assert write_feedback(tmp_path, row(stored, "c"))
    assert len(path.read_text().splitlines()) == 3


def test_an_unknown_strategy_and_an_impossible_score_are_refused(
    tmp_path: Path, stored: StoredStrategy
) -> None:
    with pytest.raises(InputError, match="there is no strategy"):
        write_feedback(tmp_path, replace(row(stored), strategy="strat_000000000000"))
    with pytest.raises(InputError, match="there is no strategy"):
        read_feedback(tmp_path, "strat_000000000000")
    for score in (-0.01, 1.01, float("nan")):
        with pytest.raises(InputError, match="is not possible"):
            write_feedback(tmp_path, row(stored, score=score))
