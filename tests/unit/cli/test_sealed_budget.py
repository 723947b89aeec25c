"""What a validation spends of the sealed bars, and what a rehearsal leaves out, is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genesis.evidence.gates import PRODUCTION, load_gates
from tests.e2e.command_line import Answer
from tests.unit.cli.conftest import Small

Validated = tuple[Small, Answer]
ONE_GATE = "schema: 1\nname: one\nrehearsal: true\ngates:\n  trades: {at_least: 1}\n"


def levels(home: Path, alpha: float, share: float) -> tuple[int, float]:
    """Looks on record, and what they left of a budget; each that passed hands its level on."""
    looks = json.loads((home / "seals.json").read_text())["openings"]
    kept, handed = alpha, 0.0
    for look in looks:
        level = share * kept + handed
        kept -= share * kept
        handed = level if look["numbers"]["p"] <= level else 0.0
    return len(looks), kept + handed


def test_json_says_what_is_left_by_both_gates(validated_small: Validated) -> None:
    small, answer = validated_small
    found = answer.json["sealed_budget"]
    settings = load_gates(small.lenient).settings
    opened, left = levels(small.home, settings.sealed_alpha, settings.sealed_share)
    assert found["opened"] == opened == 2
    assert found["left"] == pytest.approx(left)
    production = load_gates().settings
    _, left = levels(small.home, production.sealed_alpha, production.sealed_share)
    assert found["production"]["alpha"] == production.sealed_alpha
    assert found["production"]["left"] == pytest.approx(left)


def test_text_says_it_at_the_end_and_warns_at_the_beginning(small: Small) -> None:
    answer = small.validate("small", small.lenient)
    lines = answer.out.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("sealed bars"))
    assert lines[place].startswith("sealed bars opened 2 times; ")
    assert lines[place].endswith("(rehearsal)")
    assert lines[place + 1].strip().startswith("opened 2 times; ")
    assert lines[place + 1].endswith("(production gates)")
    assert "a rehearsal opens the sealed bars too" in "\n".join(lines[:4])


def test_the_gates_in_use_have_their_own_budget(small: Small, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(
        small.lenient.read_text().replace("candidates: 2", "candidates: 2, sealed_alpha: 0.6")
    )
    found = small.validate("small", file, "--json").json["sealed_budget"]
    assert found["alpha"] == 0.6
    assert found["production"]["alpha"] == load_gates().settings.sealed_alpha


def test_show_and_the_page_say_it_too(validated_small: Validated) -> None:
    small, answer = validated_small
    judged = answer.json["strategies"][0]
    left = answer.json["sealed_budget"]["production"]
    said = small.run("strategies", "show", judged["id"], "--json").json
    assert said["sealed_budget"] == left
    text = small.run("strategies", "show", judged["id"]).out
    assert f"sealed bars          opened 2 times; {left['left']:.3g} of 0.375" in text
    page = Path(judged["report"]).read_text()
    assert f"these bars were opened 2 times; {left['left']:.3g} of 0.375" in page


def test_a_record_that_cannot_be_read_hides_no_strategy(small: Small) -> None:
    one = sorted((small.home / "strategies").glob("*.json"))[0].stem
    (small.home / "register.jsonl").write_text("{torn\n")
    answer = small.run("strategies", "show", one)
    assert answer.code == 3, answer.err
    assert "register" in answer.err
    assert "nobody can say what is left" in answer.out


def test_a_rehearsal_with_one_gate_is_told_what_it_leaves_out(small: Small, tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(ONE_GATE)
    text = small.validate("small", file).out
    vetoes = [gate.measure for gate in load_gates().gates if gate.veto]
    left_out = [name for name in vetoes if name != "trades"]
    assert (
        f"note: this rehearsal leaves out {len(left_out)} of the {len(vetoes)} vetoes of the"
        f" production gates; it proves little: {', '.join(left_out)}" in text
    )
    assert "opens the sealed bars too" not in text, "it has no gate that opens them"
    assert small.validate("small", file, "--json").json["vetoes_left_out"] == left_out


def test_the_rehearsal_of_the_checkout_leaves_out_nothing() -> None:
    from genesis.system.sealed_bars import remarks_on, vetoes_left_out

    rehearsal = load_gates(PRODUCTION.with_name("gates.rehearsal.yaml"))
    assert vetoes_left_out(rehearsal) == []
    assert len(remarks_on(rehearsal)) == 1
    assert remarks_on(load_gates()) == []


def test_help_says_that_a_rehearsal_spends(small: Small) -> None:
    text = " ".join(small.run("validate", "--help").out.split())
    assert "a rehearsal (--gates) spends it like the production gates do" in text


def test_nothing_is_said_of_a_run_before_its_options_are_right(small: Small) -> None:
    for more in (("--surrogates", "5"), ("--executor", "sky")):
        answer = small.validate("small", small.lenient, *more)
        assert answer.code in (2, 3)
        assert "run small" not in answer.out + answer.err


def test_workers_that_start_are_told(small: Small) -> None:
    place = ("--executor", "processes", "--workers", "1")
    lines = small.validate("small", small.lenient, *place).out.splitlines()
    begun = lines.index("starting workers (processes)…")
    assert lines[0].startswith("run small")
    assert lines[begun + 1].startswith("trials")
    assert "starting workers" not in small.validate("small", small.lenient).out


# -- what `runs show` and `strategies show` say ---------------------------------------------------


def test_runs_show_mentions_the_validation(small: Small) -> None:
    said = small.run("runs", "show", "small", "--json").json["validation"]
    assert (said["judged"], said["promotable"], said["passed_rehearsal"]) == (2, 0, 2)
    text = small.run("runs", "show", "small").out
    assert "validation        2 judged, 0 promotable, 2 passed a rehearsal (gates lenient; " in text
    for file in (small.home / "dossiers").glob("*.json"):
        file.unlink()
    text = small.run("runs", "show", "small").out
    assert f"none yet: genesis --home {small.home} validate small" in text
    assert small.run("runs", "show", "small", "--json").json["validation"] is None


def test_an_import_without_its_ledgers_is_not_sent_to_the_gates(
    validated_small: Validated, tmp_path: Path
) -> None:
    small, answer = validated_small
    one = answer.json["strategies"][0]["id"]
    file = tmp_path / "one.json"
    assert small.run("strategies", "export", one, "--out", str(file)).code == 0
    (tmp_path / "one.ledgers.zip").unlink()
    other = Small(tmp_path / "other", small.lenient, small.strict)
    assert other.run("strategies", "import", str(file)).code == 0
    text = other.run("strategies", "show", one).out
    assert "nothing here can make it promotable" in text
    assert f"genesis --home {other.home} strategies import FILE.json" in text
    assert "genesis validate" not in text
    assert other.run("strategies", "show", one, "--json").json["origin_problem"]
