"""Which strategies are promotable: those whose dossier stands, and nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import ConfigError, InputError, RefusedError
from genesis.evidence import dossier_checks
from genesis.evidence import gates as shipped
from genesis.evidence.dossier import (
    REHEARSAL,
    Dossier,
    all_dossiers,
    dossier_folder,
    make_dossier,
    promotable,
    promotable_dossiers,
    read_dossier,
    standing_dossiers,
    write_dossier,
)
from genesis.evidence.gates import STAGES, GatesFile, load_gates, parse_gates
from genesis.evidence.journal import JOURNAL, SurrogateJournal
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.system.dossiers import promotable_standings, standing_of
from tests.unit.evidence.judged_homes import (
    FACTS,
    GOOD,
    PRACTICE,
    TEXT,
    edit,
    path_of,
    refusal,
    stored,
    written,
)


def test_without_a_dossier_nothing_is_promoted(tmp_path: Path) -> None:
    record = stored(tmp_path)
    found = refusal(tmp_path, record.id)
    assert found.what == f"{record.id} has no dossier"
    assert found.fix == f"make it: genesis validate {record.id}"
    with pytest.raises(InputError, match="no strategy"):
        promotable(tmp_path, "strat_ffff")


def test_a_dossier_of_another_strategy_is_refused(tmp_path: Path, production: GatesFile) -> None:
    one, two = stored(tmp_path, 5), stored(tmp_path, 7)
    written(tmp_path, one, production)
    path_of(tmp_path, one).rename(path_of(tmp_path, two))
    found = refusal(tmp_path, two.id)
    assert "about another strategy" in found.what
    assert one.id[:18] in found.why


def test_a_dossier_of_another_genome_is_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    (tmp_path / "strategies" / f"{record.id}.json").unlink()
    StrategyStore(tmp_path / "strategies").put(replace(record, genome="a" * 64))
    assert "about another genome" in refusal(tmp_path, record.id).what


def test_a_dossier_made_with_other_gates_is_refused(
    tmp_path: Path, production: GatesFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    monkeypatch.setattr(dossier_checks, "PRODUCTION_HASH", "9" * 64)
    found = refusal(tmp_path, record.id)
    assert "made with other gates" in found.what
    assert production.hash[:12] in found.why
    assert "9" * 12 in found.why


def test_a_changed_strategy_is_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    path = tmp_path / "strategies" / f"{record.id}.json"
    path.write_text(path.read_text().replace('"trials": 0', '"trials": 1'))
    found = refusal(tmp_path, record.id)
    assert f"{record.id}.json was changed or damaged" in found.what
    assert "genesis evolve --resume base" in found.fix


def test_a_strategy_whose_trials_are_gone_is_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    shutil.rmtree(tmp_path / "runs")
    found = refusal(tmp_path, record.id)
    assert found.what == f"the trials behind {record.id} cannot be counted any more"
    assert "is not here" in found.why


def test_a_rehearsal_is_marked_and_told_apart(tmp_path: Path, production: GatesFile) -> None:
    rehearsal = replace(production, rehearsal=True)
    record = stored(tmp_path)
    dossier = written(tmp_path, record, rehearsal)
    assert dossier.rehearsal
    assert dossier.facts["mark"] == REHEARSAL
    assert promotable(tmp_path, record.id).rehearsal


@pytest.mark.parametrize("move", [True, False])
def test_the_mark_cannot_be_taken_off_by_hand(
    tmp_path: Path, production: GatesFile, move: bool
) -> None:
    """Not even by someone who mends the digest: the gates' hash still says what they were."""
    rehearsal = replace(production, rehearsal=True)
    record = stored(tmp_path)
    written(tmp_path, record, rehearsal)

    def unmark(plain: dict[str, Any]) -> None:
        plain["mark"] = ""
        plain["gates_file"]["rehearsal"] = False

    path = path_of(tmp_path, record, PRACTICE)
    edit(path, unmark)
    if move:
        path.rename(path_of(tmp_path, record))
    said = "made with other gates" if move else "which its name denies"
    assert said in refusal(tmp_path, record.id).what


def test_a_later_dossier_replaces_the_earlier(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production, {"trades": 3.0})
    written(tmp_path, record, production)
    assert promotable(tmp_path, record.id).passed
    assert len(all_dossiers(tmp_path)) == 1


def test_promotable_ones_are_those_that_passed(tmp_path: Path, production: GatesFile) -> None:
    assert all_dossiers(tmp_path) == promotable_dossiers(tmp_path) == []
    good, bad, practice = (stored(tmp_path, n) for n in (5, 7, 10))
    written(tmp_path, good, production)
    written(tmp_path, bad, production, {"trades": 3.0})
    written(tmp_path, practice, replace(production, rehearsal=True))
    assert {d.strategy for d in all_dossiers(tmp_path)} == {good.id, bad.id, practice.id}
    assert {d.strategy for d in promotable_dossiers(tmp_path)} == {good.id, practice.id}
    # One that is broken is told, or passed over by whoever is about to make it again.
    edit(path_of(tmp_path, good), lambda plain: plain.update(genome="b" * 64))
    with pytest.raises(RefusedError, match="about another genome"):
        promotable_dossiers(tmp_path)
    assert [d.strategy for d in standing_dossiers(tmp_path)] == [practice.id]
    path_of(tmp_path, practice, PRACTICE).write_text("{}")
    with pytest.raises(RefusedError, match="no dossier of a known schema"):
        all_dossiers(tmp_path)
    assert standing_dossiers(tmp_path) == []


def test_a_dossier_whose_strategy_is_gone_is_told(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    (tmp_path / "strategies" / f"{record.id}.json").unlink()
    with pytest.raises(RefusedError, match="about a strategy that is not here"):
        promotable_dossiers(tmp_path)
    assert standing_dossiers(tmp_path) == []


@pytest.mark.parametrize("rehearsed_first", [True, False])
@pytest.mark.parametrize("passes", [True, False])
def test_a_rehearsal_and_what_counts_have_places_of_their_own(
    tmp_path: Path, production: GatesFile, rehearsed_first: bool, passes: bool
) -> None:
    record = stored(tmp_path)
    practice = parse_gates(TEXT.replace("name: mine", "name: practice\nrehearsal: true"))
    fails: dict[str, Any] = {"trades": 3.0}

    def judge(gates: GatesFile) -> Dossier:
        passed = passes == (gates is production)
        return written(tmp_path, record, gates, {} if passed else fails)

    made = [judge(gates) for gates in (practice, production)[:: 1 if rehearsed_first else -1]]
    counts, rehearsed = sorted(made, key=lambda one: one.rehearsal)
    assert read_dossier(path_of(tmp_path, record)) == counts
    assert read_dossier(path_of(tmp_path, record, PRACTICE)) == rehearsed
    # How it stands says the one that counts, to whoever asks.
    assert [one.digest for one in all_dossiers(tmp_path)] == [counts.digest]
    standing = standing_of(tmp_path, record)
    assert standing is not None
    assert standing.path == str(path_of(tmp_path, record))
    assert standing.mark == ""
    assert set(promotable_standings(tmp_path)) == ({record.id} if passes else set())
    assert standing.status == ("promotable" if passes else "refused")
    if passes:
        assert promotable(tmp_path, record.id) == counts
        assert promotable_standings(tmp_path)[record.id] == standing
    else:
        assert "did not pass" in refusal(tmp_path, record.id).what


def test_a_rehearsal_alone_says_how_a_strategy_stands(
    tmp_path: Path, production: GatesFile
) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, replace(production, rehearsal=True))
    assert not path_of(tmp_path, record).exists()
    standing = standing_of(tmp_path, record)
    assert standing is not None
    assert (standing.status, standing.mark) == ("validated", REHEARSAL)
    assert standing.path == str(path_of(tmp_path, record, PRACTICE))
    assert promotable_standings(tmp_path) == {record.id: standing}


def test_a_dossier_that_counts_in_the_place_of_a_rehearsal_is_refused(
    tmp_path: Path, production: GatesFile
) -> None:
    record = stored(tmp_path)
    dossier = written(tmp_path, record, production)
    path_of(tmp_path, record).rename(path_of(tmp_path, record, PRACTICE))
    found = refusal(tmp_path, record.id)
    assert "which its name denies" in found.what
    assert dossier.file_name in found.why
    assert dossier.command in found.fix
    standing = standing_of(tmp_path, record)
    assert standing is not None
    assert (standing.status, standing.problem) == ("mismatch", found.what)
    with pytest.raises(RefusedError, match="which its name denies"):
        promotable_dossiers(tmp_path)


def rehearsed_before(home: Path, record: StoredStrategy, gates: GatesFile) -> Dossier:
    """Dossier of a rehearsal, where earlier versions put it."""
    dossier = written(home, record, replace(gates, rehearsal=True))
    path_of(home, record, PRACTICE).rename(path_of(home, record))
    return dossier


def test_a_rehearsal_of_an_earlier_version_is_the_rehearsal_that_it_is(
    tmp_path: Path, production: GatesFile
) -> None:
    record, other = stored(tmp_path), stored(tmp_path, 7)
    dossier = rehearsed_before(tmp_path, record, production)
    written(tmp_path, other, production)
    assert promotable(tmp_path, record.id) == dossier
    standing = standing_of(tmp_path, record)
    assert standing is not None
    assert (standing.status, standing.mark) == ("validated", REHEARSAL)
    assert standing.path == str(path_of(tmp_path, record))
    found = promotable_standings(tmp_path)
    assert found.keys() == {record.id, other.id}
    assert found[record.id] == standing
    # Where its strategy is gone, the file that is named is the one that is there.
    (tmp_path / "strategies" / f"{record.id}.json").unlink()
    with pytest.raises(RefusedError, match="a strategy that is not here") as caught:
        promotable_dossiers(tmp_path)
    assert caught.value.fix.endswith(f"or delete {path_of(tmp_path, record)}")


@pytest.mark.parametrize("rehearsal", [True, False])
def test_a_rehearsal_of_an_earlier_version_is_replaced(
    tmp_path: Path, production: GatesFile, rehearsal: bool
) -> None:
    record = stored(tmp_path)
    old = rehearsed_before(tmp_path, record, production)
    gates = replace(production, rehearsal=rehearsal)
    new = written(tmp_path, record, gates, {"trades": 130.0})
    assert promotable(tmp_path, record.id) == new != old
    names = [file.name for file in dossier_folder(tmp_path).iterdir()]
    assert names == [new.file_name]


@pytest.mark.parametrize("change", ["none", "cut", "genome"])
def test_a_rehearsal_removes_no_dossier_that_counts(
    tmp_path: Path, production: GatesFile, change: str
) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    path = path_of(tmp_path, record)
    if change == "cut":
        path.write_text(path.read_text()[:99])
    elif change == "genome":
        edit(path, lambda plain: plain.update(genome="b" * 64))
    before = path.read_bytes()
    written(tmp_path, record, replace(production, rehearsal=True))
    assert path.read_bytes() == before


# -- what has changed since ----------------------------------------------------------------------


def test_other_reruns_than_those_of_then_are_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    journal = tmp_path / "runs" / "base" / "evidence" / JOURNAL
    SurrogateJournal(journal, "f").add("sign", 0, {"statistic": 1.0})
    tested = {"kind": "sign", "null": [1.0], "fingerprint": "f"}
    tested["digest"] = SurrogateJournal(journal, "f").digest("sign", 1)
    results = production.judge(GOOD, *STAGES)
    details = {"details": {"permutation_sign": tested}}
    write_dossier(tmp_path, make_dossier(record, production, results, FACTS | details))
    assert promotable(tmp_path, record.id).passed
    journal.unlink()
    SurrogateJournal(journal, "f").add("sign", 0, {"statistic": 2.0})
    found = refusal(tmp_path, record.id)
    assert "other reruns" in found.what
    with pytest.raises(RefusedError, match="other reruns"):
        promotable_dossiers(tmp_path)
    standing = standing_of(tmp_path, record)
    assert standing is not None
    assert (standing.status, standing.problem) == ("mismatch", found.what)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("surrogates: 19", "surrogates: 20", "are not the production gates"),
        ("trades: {at_least: 100", "trades: {at_least: 1", "are not the production gates"),
        ("schema: 1\n", "schema: 1\nrehearsal: true\n", "are not the production gates"),
        ("schema: 1", "schema: one", "cannot be read"),
        ("gates:", "gates: [", "cannot be read"),
    ],
)
def test_edited_gates_stop_every_promotion(
    tmp_path: Path, production: GatesFile, monkeypatch: pytest.MonkeyPatch,
    old: str, new: str, said: str,
) -> None:  # fmt: skip
    record = stored(tmp_path)
    written(tmp_path, record, production)
    text = shipped.PRODUCTION.read_text()
    assert old in text
    file = tmp_path / "gates.yaml"
    file.write_text(text)
    monkeypatch.setattr(shipped, "PRODUCTION", file)
    assert promotable(tmp_path, record.id).passed
    file.write_text(text.replace(old, new, 1))
    found = refusal(tmp_path, record.id)
    assert said in found.what
    assert found.exit_code == 3
    assert found.why
    assert f"restore {file}" in found.fix
    for home in (tmp_path, tmp_path / "empty"):  # before anything is looked at
        with pytest.raises(RefusedError, match=said):
            promotable_dossiers(home)
    standing = standing_of(tmp_path, record)
    assert standing is not None
    assert (standing.status, standing.problem) == ("mismatch", found.what)


def test_comments_in_the_gates_stop_nothing(
    tmp_path: Path, production: GatesFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    file = tmp_path / "gates.yaml"
    file.write_text("# mine\n" + shipped.PRODUCTION.read_text())
    monkeypatch.setattr(shipped, "PRODUCTION", file)
    assert promotable(tmp_path, record.id).passed


def test_without_gates_nothing_is_promotable_as_nothing_is_judged(
    tmp_path: Path, production: GatesFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    monkeypatch.setattr(shipped, "PRODUCTION", tmp_path / "gates.yaml")
    with pytest.raises(ConfigError) as judged:
        load_gates()
    for ask in (lambda: promotable(tmp_path, record.id), lambda: promotable_dossiers(tmp_path)):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert str(caught.value) == str(judged.value)


def test_a_dossier_under_another_name_is_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    path = path_of(tmp_path, record)
    path.rename(path.with_name("strat_000000000000.json"))
    with pytest.raises(RefusedError, match="about another strategy"):
        all_dossiers(tmp_path)
