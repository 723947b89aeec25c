"""The ledger: nothing twice, nothing changed unseen, nothing lost by a torn tail."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from genesis.domain.canonical import canonical_json
from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.candidate import Score
from genesis.evolution.trials import GENESIS, Trial, TrialLedger


def _trial(
    genome: str, generation: int = 0, *, role: str = "search", fitness: float = 1.0
) -> Trial:
    score = Score("valid", "", (fitness, -0.1), 0.0, 3, "ff", {"trades": 10.0, "odd": float("nan")})
    return Trial(
        study="s", data="d", generation=generation, island="island-0", role=role, genome=genome,
        plain={"family": "rsi"}, origin="random", parents=(), score=score.to_plain(),
    )  # fmt: skip


def test_rows_survive_reopening(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    ledger = TrialLedger(path)
    assert ledger.append([_trial("a", fitness=0.1), _trial("b", fitness=1 / 3)]) == 2
    again = TrialLedger(path)
    assert (again.head, again.size) == (ledger.head, 2)
    scores = [Score.from_plain(row) for row in again.rows()]
    assert [s.fitness for s in scores] == [0.1, 1 / 3]
    assert scores[0].measures["trades"] == 10.0
    assert scores[0].measures["odd"] != scores[0].measures["odd"]


def test_head_is_the_chain_of_hashes(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path / "t.jsonl")
    ledger.append([_trial("a"), _trial("b")])
    head = GENESIS
    for trial in (_trial("a"), _trial("b")):
        head = hashlib.sha256((head + canonical_json(trial.row())).encode()).hexdigest()
    assert ledger.head == head
    assert ledger.head_at(2) == head
    with pytest.raises(RefusedError, match="rows, but 3 were written"):
        ledger.head_at(3)


def test_same_trial_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    ledger = TrialLedger(path)
    ledger.append([_trial("a"), _trial("b")])
    before = path.read_bytes()
    assert ledger.append([_trial("b"), _trial("a")]) == 0
    assert TrialLedger(path).append([_trial("a")]) == 0
    assert path.read_bytes() == before
    # Another generation or role is another trial.
    assert ledger.append([_trial("a", 1), _trial("a", role="random")]) == 2


def test_another_result_for_the_same_trial_is_told(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path / "t.jsonl")
    ledger.append([_trial("a")])
    with pytest.raises(StorageError, match="another result"):
        ledger.append([_trial("b"), _trial("a", fitness=1.0000001)])
    assert ledger.size == 1


@pytest.mark.parametrize("how", ["change", "drop", "insert", "swap", "no row", "no json"])
def test_tampering_is_seen(tmp_path: Path, how: str) -> None:
    path = tmp_path / "t.jsonl"
    TrialLedger(path).append([_trial(name) for name in "abcd"])
    lines = path.read_text().splitlines()
    if how == "change":
        row = json.loads(lines[1])
        row["objectives"][0] = 2.0
        lines[1] = json.dumps(row)
    elif how == "drop":
        del lines[1]
    elif how == "insert":
        lines.insert(1, lines[0])
    elif how == "no row":
        lines[1] = "3"
    elif how == "no json":
        lines[1] = "{"
    else:
        lines[1], lines[2] = lines[2], lines[1]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(RefusedError, match="chain of hashes") as caught:
        TrialLedger(path)
    assert "row 2 " in caught.value.what
    assert caught.value.why
    assert str(path) in caught.value.fix


@pytest.mark.parametrize("keep", [1, 40, 200])
def test_torn_tail_is_cut_off(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "t.jsonl"
    ledger = TrialLedger(path)
    ledger.append([_trial("a")])
    whole = path.read_bytes()
    ledger.append([_trial("b")])
    path.write_bytes(path.read_bytes()[: len(whole) + keep])
    again = TrialLedger(path)
    assert again.torn_bytes == keep
    assert again.size == 1
    assert path.read_bytes() == whole
    again.append([_trial("b")])
    assert TrialLedger(path).head == ledger.head


def test_lottery_is_stored_and_not_counted(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path / "t.jsonl")
    roles = ("search", "random", "human", "lottery", "surrogate")
    ledger.append([_trial("a", role=role) for role in roles])
    assert ledger.size == 5
    assert ledger.trials == 3


def test_a_ledger_in_memory_keeps_chain_and_counts(tmp_path: Path) -> None:
    written, kept = TrialLedger(tmp_path / "t.jsonl"), TrialLedger(None)
    for ledger in (written, kept):
        ledger.append([_trial("a"), _trial("b", role="surrogate")])
        ledger.append([_trial("a"), _trial("c", 1)])
    assert (kept.head, kept.size, kept.trials) == (written.head, 3, 2)
    assert kept.head_at(2) == written.head_at(2)
    assert list(kept.rows()) == []
    with pytest.raises(StorageError, match="another result"):
        kept.append([_trial("a", fitness=2.0)])
    assert [p.name for p in tmp_path.iterdir()] == ["t.jsonl"]
