"""`genesis validate`: what it answers, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from genesis.evidence.dossier import read_dossier
from genesis.evidence.gates import load_gates
from tests.e2e.command_line import Answer
from tests.unit.cli.command_answers import judged_in
from tests.unit.cli.conftest import Small

Validated = tuple[Small, Answer]


def test_json_says_everything(validated_small: Validated) -> None:
    small, answer = validated_small
    said = answer.json
    assert said["ok"] is True
    assert said["run_id"] == "small"
    gates = load_gates(small.lenient)
    assert said["gates_file"] == {"name": "lenient", "rehearsal": True, "hash": gates.hash}
    study = json.loads((small.home / "runs" / "small" / "study.json").read_text())
    assert said["trials"]["total"] == study["trials"]
    assert 0 < said["trials"]["effective"] <= said["trials"]["unique"] <= said["trials"]["total"]
    assert [row["run_id"] for row in said["trials"]["studies"]] == ["small"]
    verdicts = {row["measure"]: row["verdict"] for row in said["search"]}
    assert verdicts == {
        "permutation_sign": "pass",
        "permutation_shuffle": "pass",
        "lottery": "pass",
        "random_arm": "reported",
    }
    assert len(said["strategies"]) == 2
    for row in said["strategies"]:
        assert row["passed"] is True
        assert {gate["measure"] for gate in row["gates"]} == {g.measure for g in gates.gates}
        dossier = read_dossier(Path(row["dossier"]))
        assert dossier.strategy == row["id"]
        assert dossier.gates == row["gates"]
        assert Path(row["report"]) == Path(row["dossier"]).with_suffix(".html")
        assert row["id"] in Path(row["report"]).read_text()
    assert said["promotable"] == [row["id"] for row in said["strategies"]]


def test_progress_goes_to_standard_error(validated_small: Validated) -> None:
    _, answer = validated_small
    lines = answer.err.splitlines()
    assert lines[0] == "run small   gates 'lenient', a REHEARSAL"
    assert any(line.startswith("sign        19 of 19 reruns") for line in lines)
    assert any(line.startswith("shuffle     19 of 19 reruns") for line in lines)
    assert sum(line.startswith("sign") for line in lines) <= 6


def test_a_run_is_judged_whatever_the_verdict(small: Small) -> None:
    answer = small.validate("smal", small.strict)
    assert answer.code == 0, answer.err
    ids = sorted(judged_in(p) for p in (small.home / "dossiers").glob("*.json"))
    for one in ids:
        assert f"{one}  " in answer.out
    assert "G2 sharpe_2x is" in answer.out
    assert "at least 99 is needed: missed by" in answer.out
    assert f"passed      0 of {len(ids)}" in answer.out
    assert "different, worth" in answer.out
    for row in ("permutation_sign", "random_arm", "sealed_psr", "the search (G1)"):
        assert row in answer.out
    assert "--promotable" not in answer.out, "there is nothing to list"


def test_what_to_do_next_with_what_passed(small: Small) -> None:
    answer = small.validate("small", small.lenient)
    assert answer.code == 0, answer.err
    assert "REHEARSAL  passed the rehearsal" in answer.out
    assert "promotable" not in answer.out, "a rehearsal promotes nothing"
    genesis = f"genesis --home {small.home}"
    assert f"next        {genesis} strategies explain strat_" in answer.out
    assert f"let the production gates decide: {genesis} validate small\n" in answer.out


def test_finished_reruns_are_not_done_again(small: Small) -> None:
    journal = small.home / "runs" / "small" / "evidence" / "surrogates.jsonl"
    before = journal.read_text()
    assert len(before.splitlines()) == 38
    assert small.validate("small", small.lenient, "--surrogates", "20").code == 0
    after = journal.read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == 40


def test_a_page_that_is_there_never_grows_old(small: Small) -> None:
    kept, deleted = sorted((small.home / "dossiers").glob("*.html"))
    kept.write_text("old")
    deleted.unlink()
    said = small.validate("small", small.strict, "--json").json
    assert "Refused" in kept.read_text()
    assert not deleted.exists()
    reports = {row["id"]: row["report"] for row in said["strategies"]}
    assert reports == {judged_in(kept): str(kept), judged_in(deleted): None}


def test_a_page_that_cannot_be_drawn_fails_nothing(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no ink")

    monkeypatch.setattr("genesis.evidence.report.write_dossier_page", broken)
    answer = small.validate("small", small.lenient, "--report", "--json")
    assert answer.code == 0
    assert "no ink" in answer.json["notices"][0]
    last = small.validate("small", small.lenient, "--report").out.split("dossiers ")[1]
    assert "note        no page for strat_" in last
    assert answer.json["strategies"][0]["report"] is None


# -- one strategy --------------------------------------------------------------------------------


def one_of(small: Small) -> str:
    """Id of a strategy that was judged."""
    return sorted(judged_in(p) for p in (small.home / "dossiers").glob("*.json"))[0]


def test_a_strategy_that_passes(small: Small) -> None:
    wanted = one_of(small)
    said = small.validate(wanted[:-3], small.lenient, "--json").json
    assert [row["id"] for row in said["strategies"]] == [wanted]
    assert said["promotable"] == [wanted]
    text = small.validate(wanted.removeprefix("strat_"), small.lenient)
    assert text.code == 0
    assert f"{wanted} (G0, G2, G3)" in text.out


def test_a_strategy_that_does_not_pass_is_refused_by_name(small: Small) -> None:
    wanted = one_of(small)
    answer = small.validate(wanted, small.strict, "--json")
    assert answer.code == 3
    assert answer.error["kind"] == "RefusedError"
    assert wanted in answer.error["what"]
    value = next(
        g["value"] for g in answer.json["strategies"][0]["gates"] if g["measure"] == "sharpe_2x"
    )
    assert f"missed by {99 - value:.3g}" in answer.error["why"]
    assert answer.json["strategies"][0]["stopped_by"] == ["sharpe_2x"]
    assert f"genesis --home {small.home} evolve CONFIG" in answer.error["fix"]
    text = small.validate(wanted, small.strict)
    assert text.code == 3
    assert "sharpe_2x" in text.err
    assert f"{wanted} is not promotable" in text.err
    assert "\nnext " not in text.out, "the error says what to do"


def test_what_stopped_the_whole_search_is_said_once(small: Small, tmp_path: Path) -> None:
    file = tmp_path / "gates.yaml"
    file.write_text(
        small.lenient.read_text()
        .replace("random_arm: {at_least: 1000, veto: false}", "random_arm: {at_least: 1000}")
        .replace("name: lenient", "name: searched")
    )
    text = small.validate("small", file).out
    assert "the search  refused, and with it all that it found" in text
    assert text.count("G1 random_arm is") == 1
    assert "missed by 1e+03" not in text
    assert text.count("refused with the search") == 2
    assert "search elsewhere" in text


def test_the_table_shows_two_probabilities_for_the_sealed_gate(small: Small) -> None:
    said = small.validate("small", small.lenient, "--json").json["strategies"]
    sealed = [json.loads(Path(row["dossier"]).read_text())["details"]["sealed"] for row in said]
    lines = small.validate("small", small.lenient).out.splitlines()
    place = next(i for i, line in enumerate(lines) if line.strip().startswith("sealed_psr"))
    for row in sealed:
        assert f"{1 - row['p']:.4f}" in lines[place]
        assert f"{-row['level']:.4f}" in lines[place + 1]  # the bound of these gates is -1
    one = small.validate(said[0]["id"], small.lenient).out
    assert f"at least {-sealed[0]['level']:.4f}" in one


def test_a_strategy_without_a_finished_run_here(small: Small) -> None:
    wanted = one_of(small)
    set_status(small, "interrupted")
    stopped = small.validate(wanted, small.lenient, "--json")
    assert stopped.code == 2
    assert "small is not finished (interrupted)" in stopped.error["why"]
    assert f"genesis --home {small.home} evolve --resume small" in stopped.error["fix"]
    shutil.rmtree(small.home / "runs" / "small")
    gone = small.validate(wanted, small.lenient, "--json")
    assert gone.code == 2
    assert gone.error["why"].startswith("small is not in this workspace")


def test_a_strategy_that_broke_its_constraints_is_not_judged(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genesis.evidence.campaign import Campaign

    wanted = one_of(small)
    monkeypatch.setattr(Campaign, "candidates", lambda *_: [])  # none of the ledger's met them
    answer = small.validate(wanted, small.lenient, "--json")
    assert answer.code == 3
    assert "constraints" in answer.error["what"]


# -- refusals ------------------------------------------------------------------------------------


def set_status(small: Small, status: str) -> None:
    """Rewrite the status of the run."""
    file = small.home / "runs" / "small" / "study.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "status": status}))


def test_an_unfinished_run(small: Small) -> None:
    set_status(small, "interrupted")
    answer = small.validate("small", small.lenient, "--json")
    assert answer.code == 2
    assert f"genesis --home {small.home} evolve --resume small" in answer.error["fix"]


@pytest.mark.parametrize("name", ["smoll", "strat_zzz"])
def test_an_unknown_id(studied_small: Small, name: str) -> None:
    answer = studied_small.validate(name, studied_small.lenient, "--json")
    assert answer.code == 2
    assert f"'{name}'" in answer.error["what"]
    assert ("did you mean 'small'" in answer.error["what"]) == (name == "smoll")
    assert f"genesis --home {studied_small.home} strategies list" in answer.error["fix"]


def test_a_beginning_that_is_not_unique(small: Small) -> None:
    shutil.copytree(small.home / "runs" / "small", small.home / "runs" / "smaller")
    answer = small.validate("smal", small.lenient, "--json")
    assert answer.code == 2
    assert "small, smaller" in answer.error["fix"]


def test_fewer_surrogates_than_the_gates_ask(studied_small: Small) -> None:
    answer = studied_small.validate("small", studied_small.lenient, "--surrogates", "5", "--json")
    assert answer.code == 3
    assert "5 surrogates are fewer than the 19" in answer.error["what"]
    assert answer.error["why"]
    assert "19 or more" in answer.error["fix"]


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("  trades: {at_least: 1}", "  tradez: {at_least: 1}", 2, "did you mean 'trades'"),
        ("trades: {at_least: 1}", "trades: {at_least: 1, at_most: 2}", 2, "exactly one of"),
        ("trades: {at_least: 1}", "trades: {}", 2, "exactly one of"),
        ("surrogates: 19", "surrogates: 3", 2, "settings.surrogates"),
        ("rehearsal: true\n", "", 3, "are not the production gates"),
        ("gates:", "gatez:", 2, "did you mean 'gates'"),
        ("name: lenient", "x: 1\nname: lenient", 2, "rehearsal, settings, gates"),
    ],
)
def test_bad_gates(
    studied_small: Small, tmp_path: Path, old: str, new: str, code: int, said: str
) -> None:
    text = studied_small.lenient.read_text()
    assert old in text
    file = tmp_path / "gates.yaml"
    file.write_text(text.replace(old, new))
    answer = studied_small.validate("small", file, "--json")
    assert answer.code == code
    assert said in answer.error["what"] + answer.error["why"]
    assert answer.error["fix"]
    if code == 3:
        assert "rehearsal: true" in answer.error["fix"]


@pytest.mark.parametrize("text", ["", "- trades", "7"])
def test_gates_that_are_no_mapping(studied_small: Small, tmp_path: Path, text: str) -> None:
    file = tmp_path / "gates.yaml"
    file.write_text(text)
    answer = studied_small.validate("small", file, "--json")
    assert answer.code == 2
    assert answer.error["fix"] == "see configs/gates.yaml"


def test_no_gates_file(studied_small: Small, tmp_path: Path) -> None:
    answer = studied_small.validate("small", tmp_path / "none.yaml", "--json")
    assert answer.code == 2
    assert "--gates" in answer.error["fix"]


def cut_ledger(home: Path) -> None:
    """Take the last trial away."""
    file = home / "runs" / "small" / "trials.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))


def other_config(home: Path) -> None:
    """Say that the study had another seed."""
    file = home / "runs" / "small" / "config.yaml"
    file.write_text(file.read_text().replace("seed: 4", "seed: 5"))


@pytest.mark.parametrize(("change", "said"), [(cut_ledger, "ledger"), (other_config, "config")])
def test_a_run_that_was_changed(small: Small, change: Any, said: str) -> None:
    change(small.home)
    answer = small.validate("small", small.lenient, "--json")
    assert answer.code == 3
    assert said in answer.error["what"]


def test_an_interrupted_validation_says_how_to_go_on(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("genesis.evidence.validate.validate", stopped)
    answer = small.validate("small", small.lenient, "--full", "--workers", "2", "--json")
    assert answer.code == 130
    assert answer.error["fix"] == (
        f"go on with: genesis --home {small.home} validate small --gates {small.lenient}"
        " --full --workers 2 --json"
    )


def test_data_too_short_for_a_gate_are_refused_before_anything_is_computed(small: Small) -> None:
    kept = {file: file.read_bytes() for file in small.home.rglob("*") if file.is_file()}
    gates = small.home.parent / "long.yaml"
    gates.write_text(
        small.lenient.read_text().replace("{surrogates", "{walk_forward_windows: 90, surrogates")
        + "  walk_forward_efficiency: {at_least: 0}\n"
    )
    answer = small.validate("small", gates)
    assert answer.code == 3
    assert "walk_forward_efficiency: " in answer.err
    assert "days are too few, " in answer.err
    assert f"genesis --home {small.home} validate small --gates FILE" in " ".join(
        answer.err.split()
    )
    assert not answer.out
    assert {file: file.read_bytes() for file in small.home.rglob("*") if file.is_file()} == kept
