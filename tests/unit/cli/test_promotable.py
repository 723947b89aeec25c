"""`genesis strategies list` and `show`: what the gates said, and what does not match any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genesis.evidence.gates import PRODUCTION, parse_gates
from tests.e2e.command_line import Answer
from tests.unit.cli.command_answers import forge, judged_in
from tests.unit.cli.conftest import Small

Validated = tuple[Small, Answer]


def dossiers(small: Small) -> list[Path]:
    """Dossiers of the workspace."""
    return sorted((small.home / "dossiers").glob("*.json"))


def test_only_what_passed_is_listed(validated_small: Validated) -> None:
    small, answer = validated_small
    said = {row["id"]: row for row in answer.json["strategies"]}
    listed = small.run("strategies", "list", "--promotable", "--json").json["strategies"]
    assert {row["id"] for row in listed} == set(said)
    for row in listed:
        facts = json.loads(Path(row["dossier"]["path"]).read_text())
        assert row["dossier"]["gates"] == "lenient"
        assert row["dossier"]["mark"] == "REHEARSAL"
        assert row["dossier"]["status"] == "validated"
        assert row["dossier"]["created_ms"] == facts["created_ms"]
        assert row["dossier"]["sealed_psr"] == 1.0 - facts["details"]["sealed"]["p"]
    text = small.run("strategies", "list", "--promotable").out
    assert all(one in text for one in said)
    assert "REHEARSAL: passed gates for practice" in text


def test_the_plain_list_says_how_each_stands(small: Small) -> None:
    first = judged_in(dossiers(small)[0])
    assert small.validate(first, small.strict).code == 3
    rows = small.run("strategies", "list", "--json").json["strategies"]
    standings = {row["id"]: row["dossier"] and row["dossier"]["status"] for row in rows}
    judged = {judged_in(path) for path in dossiers(small)}
    assert standings[first] == "refused"
    assert all(standings[one] == "validated" for one in judged - {first})
    assert all(state is None for one, state in standings.items() if one not in judged)
    assert len(standings) > len(judged)
    lines = small.run("strategies", "list").out.splitlines()
    assert [line.split()[5] for line in lines if first in line] == ["refused"]
    left = small.run("strategies", "list", "--promotable", "--json").json["strategies"]
    assert first not in {row["id"] for row in left}


def test_nothing_is_promotable_yet(studied_small: Small, tmp_path: Path) -> None:
    other = Small(tmp_path / "empty", studied_small.lenient, studied_small.strict)
    assert "validate RUN" in other.run("strategies", "list", "--promotable").out


def test_show_mentions_the_dossier(validated_small: Validated) -> None:
    small, answer = validated_small
    judged = answer.json["strategies"][0]
    said = small.run("strategies", "show", judged["id"], "--json").json["dossier"]
    assert said["path"] == judged["dossier"]
    text = small.run("strategies", "show", judged["id"]).out
    assert judged["dossier"] in text
    assert "lenient REHEARSAL" in text
    rest = {row["id"] for row in small.run("strategies", "list", "--json").json["strategies"]}
    other = sorted(rest - {row["id"] for row in answer.json["strategies"]})[0]
    assert small.run("strategies", "show", other, "--json").json["dossier"] is None
    assert "not judged yet" in small.run("strategies", "show", other).out


# -- what does not match -------------------------------------------------------------------------


def changed_verdict(dossier: Path, home: Path) -> None:
    """Change a dossier by hand."""
    plain = json.loads(dossier.read_text())
    plain["gates"][0]["value"] = 0.5
    dossier.write_text(json.dumps(plain))


def other_genome(dossier: Path, home: Path) -> None:
    """Make it about another genome."""
    forge(dossier, genome="f" * 64)


def other_strategy(dossier: Path, home: Path) -> None:
    """Change the stored strategy."""
    file = home / "strategies" / f"{judged_in(dossier)}.json"
    plain = json.loads(file.read_text())
    plain["strategy"]["policy"]["size"] /= 2
    file.write_text(json.dumps(plain))


def no_strategy(dossier: Path, home: Path) -> None:
    """Take the stored strategy away."""
    (home / "strategies" / f"{judged_in(dossier)}.json").unlink()


def other_kind(dossier: Path, home: Path) -> None:
    """Pass a rehearsal off as the production gates."""
    forge(dossier, gates_file={"name": "production", "rehearsal": False, "hash": "a" * 64}, mark="")


def other_gates(dossier: Path, home: Path) -> None:
    """And put it where theirs would be."""
    other_kind(dossier, home)
    dossier.rename(dossier.with_name(f"{judged_in(dossier)}.json"))


def cut(dossier: Path, home: Path) -> None:
    """Leave half of it."""
    text = dossier.read_text()
    dossier.write_text(text[: len(text) // 2])


def emptied(dossier: Path, home: Path) -> None:
    """Leave nothing of it."""
    dossier.write_text("")


def other_schema(dossier: Path, home: Path) -> None:
    """As if another version had written it."""
    forge(dossier, schema=2)


def other_reruns(dossier: Path, home: Path) -> None:
    """Edit the reruns that it stands on."""
    (journal,) = home.glob("runs/*/evidence/surrogates.jsonl")
    journal.write_text(journal.read_text().replace('"index":3', '"index":33'))


def other_trials(dossier: Path, home: Path) -> None:
    """Edit the ledger behind it."""
    (ledger,) = home.glob("runs/*/trials.jsonl")
    ledger.write_text(ledger.read_text().replace('"generation":0', '"generation":1', 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed_verdict, "changed after it was written"),
        (other_genome, "another genome"),
        (other_strategy, "changed or damaged"),
        (no_strategy, "a strategy that is not here"),
        (other_kind, "which its name denies"),
        (other_gates, "made with other gates"),
        (cut, "is damaged"),
        (emptied, "is damaged"),
        (other_schema, "no dossier of a known schema"),
    ],
)
def test_what_does_not_match_is_refused_by_name(small: Small, change: Any, said: str) -> None:
    target = dossiers(small)[0]
    change(target, small.home)
    answer = small.run("strategies", "list", "--promotable", "--json")
    assert answer.code == 3
    assert judged_in(target) in answer.error["what"]
    assert said in answer.error["what"]
    assert answer.error["why"]
    assert answer.error["fix"]


@pytest.mark.parametrize(
    ("change", "said"),
    [(other_reruns, "finished reruns"), (other_trials, "cannot be counted any more")],
)
def test_evidence_that_was_changed_is_refused(small: Small, change: Any, said: str) -> None:
    target = dossiers(small)[0]
    change(target, small.home)
    answer = small.run("strategies", "list", "--promotable", "--json")
    assert answer.code == 3
    assert said in answer.error["what"]
    assert answer.error["why"]
    assert answer.error["fix"]
    again = small.validate("small", small.lenient, "--json")
    assert again.code == 3
    assert again.error["why"]
    assert again.error["fix"]


@pytest.mark.parametrize(
    "change", [changed_verdict, other_genome, other_kind, cut, emptied, other_schema]
)
def test_the_plain_list_tells_and_a_new_validation_mends(small: Small, change: Any) -> None:
    target = dossiers(small)[0]
    change(target, small.home)
    rows = small.run("strategies", "list", "--json").json["strategies"]
    standing = next(row["dossier"] for row in rows if row["id"] == judged_in(target))
    assert standing["status"] == "mismatch"
    assert judged_in(target) in standing["problem"]
    assert standing["problem"] in small.run("strategies", "show", judged_in(target)).out
    again = small.validate(judged_in(target), small.lenient)
    assert again.code == 0, again.err
    assert small.run("strategies", "list", "--promotable").code == 0


def test_production_gates_make_promotable_and_newer_ones_take_it_back(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = small.lenient.read_text().replace("rehearsal: true\n", "")
    file = tmp_path / "gates.yaml"
    file.write_text(text)
    monkeypatch.setattr("genesis.evidence.gates.PRODUCTION", file)
    for place in ("gates", "dossier_checks"):
        monkeypatch.setattr(f"genesis.evidence.{place}.PRODUCTION_HASH", parse_gates(text).hash)
    monkeypatch.setattr("genesis.evidence.gates.PROMOTION_HASH", "")
    wanted = judged_in(dossiers(small)[0])
    answer = small.validate(wanted, file, "--json")
    assert answer.code == 0, answer.out
    assert answer.json["strategies"][0]["mark"] == ""
    rows = small.run("strategies", "list", "--promotable", "--json").json["strategies"]
    standing = next(row["dossier"] for row in rows if row["id"] == wanted)
    assert (standing["status"], standing["mark"]) == ("promotable", "")

    monkeypatch.setattr("genesis.evidence.dossier_checks.PRODUCTION_HASH", "b" * 64)
    stale = small.run("strategies", "list", "--promotable", "--json")
    assert stale.code == 3
    assert f"{wanted}.json was made with other gates" in stale.error["what"]


def test_edited_gates_are_refused(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gates.yaml"
    file.write_text(PRODUCTION.read_text().replace("at_least: 100", "at_least: 1"))
    monkeypatch.setattr("genesis.evidence.gates.PRODUCTION", file)
    answer = small.run("strategies", "list", "--promotable", "--json")
    assert answer.code == 3
    assert str(file) in answer.error["what"]
    assert f"restore {file}" in answer.error["fix"]
    file.unlink()
    missing = small.run("strategies", "list", "--promotable", "--json")
    judged = small.run("validate", "small", "--json")
    assert (missing.code, missing.error) == (judged.code, judged.error)
    assert missing.error["what"] == f"cannot read the gates {file}"
