"""The journal of reruns: an edited one is refused, and a dossier is bound to its reruns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import RefusedError
from genesis.evidence.journal import JOURNAL, UNCHAINED, SurrogateJournal, refuse_changed_reruns

DRAWS = 6
Lines = list[str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Six reruns of a run, two of another seed between them."""
    path = tmp_path / "runs" / "base" / "evidence" / JOURNAL
    fill(path)
    return path


def fill(path: Path, worse: float = 0.0, order: range = range(DRAWS)) -> None:
    for index in order:
        answer = {"statistic": index + 0.1 - worse, "ledger_head": f"h{index}"}
        SurrogateJournal(path, "f").add("sign", index, answer)
        if index % 3 == 0:
            SurrogateJournal(path, "g").add("sign", index, {"statistic": None})


def reread(path: Path, *, look: bool = False) -> list[float]:
    journal = SurrogateJournal(path, "f", look=look)
    rows = [journal.get("sign", index) for index in range(DRAWS)]
    return [row["statistic"] for row in rows if row is not None]


def test_what_is_added_is_read_back(path: Path) -> None:
    assert reread(path) == [index + 0.1 for index in range(DRAWS)]
    journal = SurrogateJournal(path, "f")
    assert journal.finished("sign", 99) == DRAWS
    assert journal.finished("sign", 4) == 4
    assert journal.finished("shuffle", DRAWS) == 0
    assert SurrogateJournal(path, "g").finished("sign", DRAWS) == 2


def worse(lines: Lines) -> Lines:
    row = json.loads(lines[2])
    row["statistic"] = -9.0
    return [*lines[:2], json.dumps(row), *lines[3:]]


def worse_at_the_end(lines: Lines) -> Lines:
    return [*lines[:-1], lines[-1].replace('"statistic":5.1', '"statistic":0.1')]


def drop(lines: Lines) -> Lines:
    return [*lines[:2], *lines[3:]]


def drop_first(lines: Lines) -> Lines:
    return lines[1:]


def swap(lines: Lines) -> Lines:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def repeat(lines: Lines) -> Lines:
    return [*lines, lines[-1]]


def without_links(lines: Lines) -> Lines:
    rows = [json.loads(line) for line in lines]
    return [json.dumps({k: v for k, v in row.items() if k != "hash"}) for row in rows]


def damaged(lines: Lines) -> Lines:
    return [lines[0], "{no json", *lines[2:]]


def no_row(lines: Lines) -> Lines:
    return [lines[0], "[1]", *lines[2:]]


def without_one_link(lines: Lines) -> Lines:
    return [*without_links(lines[:1]), *lines[1:]]


def without_other_links(lines: Lines) -> Lines:
    return [*without_links(lines[:-1]), lines[-1]]


def without_links_and_damaged(lines: Lines) -> Lines:
    return damaged(without_links(lines))


def without_links_and_no_row(lines: Lines) -> Lines:
    return no_row(without_links(lines))


EDITS = [worse, worse_at_the_end, drop, drop_first, swap, repeat, damaged, no_row]
EDITS += [without_one_link, without_other_links]
EDITS += [without_links_and_damaged, without_links_and_no_row]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("look", [True, False])
def test_an_edited_journal_is_refused(
    path: Path, edit: Callable[[Lines], Lines], look: bool
) -> None:
    path.write_text("\n".join(edit(path.read_text().splitlines())) + "\n")
    with pytest.raises(RefusedError, match="finished reruns") as caught:
        reread(path, look=look)
    assert caught.value.exit_code == 3
    assert str(path) in caught.value.what
    assert caught.value.why
    assert caught.value.fix.startswith(f"delete {path} and validate again")


def test_rows_of_an_earlier_version_are_never_believed(path: Path) -> None:
    """They have no hashes: they are put aside, and their reruns are run again."""
    chained = path.read_bytes()
    old = "\n".join(without_links(path.read_text().splitlines())) + "\n"
    path.write_text(old)
    assert reread(path, look=True) == []
    assert path.read_text() == old
    journal = SurrogateJournal(path, "f")
    assert journal.finished("sign", DRAWS) == 0
    assert not path.exists()
    assert path.with_name(UNCHAINED).read_text() == old
    fill(path)
    assert path.read_bytes() == chained
    assert reread(path) == [index + 0.1 for index in range(DRAWS)]


@pytest.mark.parametrize("rows", [1, 4, 8])
def test_rows_at_the_end_may_go(path: Path, rows: int) -> None:
    """They are computed again, to what they were."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-rows]))
    assert reread(path) == [index + 0.1 for index in range(DRAWS)][: len(reread(path))]
    assert len(reread(path)) < DRAWS


def test_a_torn_last_line_is_a_rerun_that_did_not_finish(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert len(reread(path, look=True)) == DRAWS - 1
    assert path.read_bytes() == whole[:-20]
    journal = SurrogateJournal(path, "f")
    journal.add("sign", 5, {"statistic": 5.1, "ledger_head": "h5"})
    assert path.read_bytes() == whole


# -- the dossier ---------------------------------------------------------------------------------


def facts(path: Path, draws: int = DRAWS) -> dict[str, Any]:
    tested = {
        "kind": "sign",
        "null": [0.0] * draws,
        "fingerprint": "f",
        "digest": SurrogateJournal(path, "f").digest("sign", draws),
    }
    return {"run_id": "base", "details": {"permutation_sign": tested, "lottery": {"digest": "x"}}}


def test_a_dossier_of_other_reruns_is_refused(path: Path, tmp_path: Path) -> None:
    dossier = facts(path)
    refuse_changed_reruns(tmp_path, "strat_1", dossier)
    path.unlink()
    fill(path, worse=1.0)
    with pytest.raises(RefusedError, match="made from other reruns") as caught:
        refuse_changed_reruns(tmp_path, "strat_1", dossier)
    assert caught.value.exit_code == 3
    assert "genesis validate strat_1" in caught.value.fix


def test_one_bad_rerun_among_those_that_counted_is_seen(path: Path, tmp_path: Path) -> None:
    few, all_ = facts(path, 3), facts(path)
    path.unlink()
    for index in range(DRAWS):
        shift = 1.0 if index == 4 else 0.0
        SurrogateJournal(path, "f").add(
            "sign", index, {"statistic": index + 0.1 - shift, "ledger_head": f"h{index}"}
        )
    refuse_changed_reruns(tmp_path, "strat_1", few)  # it was decided before that one
    with pytest.raises(RefusedError, match="made from other reruns"):
        refuse_changed_reruns(tmp_path, "strat_1", all_)


def test_reruns_that_were_run_again_in_another_order_are_the_same(
    path: Path, tmp_path: Path
) -> None:
    dossier = facts(path)
    path.unlink()
    refuse_changed_reruns(tmp_path, "strat_1", dossier)  # gone is no contradiction
    fill(path, order=range(DRAWS - 1, 1, -1))
    refuse_changed_reruns(tmp_path, "strat_1", dossier)  # nor is half of them
    fill(path, order=range(1, -1, -1))
    refuse_changed_reruns(tmp_path, "strat_1", dossier)


def test_a_dossier_of_an_imported_study_has_its_reruns_there(path: Path, tmp_path: Path) -> None:
    dossier = facts(path)
    there = tmp_path / "origins" / "base-study-1" / "evidence" / JOURNAL
    fill(there, worse=1.0)
    path.unlink()
    with pytest.raises(RefusedError, match="made from other reruns") as caught:
        refuse_changed_reruns(tmp_path, "strat_1", dossier)
    assert "origins" in caught.value.why


def test_a_dossier_of_an_earlier_version_is_not_bound(path: Path, tmp_path: Path) -> None:
    old = {"run_id": "base", "details": {"permutation_sign": {"kind": "sign", "null": [1.0]}}}
    refuse_changed_reruns(tmp_path, "strat_1", old)


def test_a_journal_in_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "er" / JOURNAL
    journal = SurrogateJournal(place, "f")
    assert journal.get("sign", 0) is None
    journal.add("sign", 0, {"statistic": None})
    row = SurrogateJournal(place, "f").get("sign", 0)
    assert row is not None
    assert row["statistic"] is None
