"""Gates are data: read strictly, hashed whole, judged exactly."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from genesis.domain.errors import ConfigError, RefusedError
from genesis.evidence import gates as module
from genesis.evidence.gates import (
    MEASURES,
    STAGES,
    Gate,
    GatesFile,
    load_gates,
    parse_gates,
    stopped_by,
)
from genesis.evidence.measures import (
    PROMOTION_MEASURES,
    PROMOTION_STAGES,
    PromotionSettings,
)
from tests.conftest import REPOSITORY

TEXT = """\
schema: 1
name: mine
rehearsal: true
settings:
  surrogates: 25
  sealed_alpha: 0.2
gates:
  trades: {at_least: 100}
  permutation_sign: {at_most: 0.05}
  random_arm: {at_least: 0, veto: false, why: "for the record"}
  sealed_psr: {at_least: 0}
"""


def wrong(text: str) -> str:
    """What a reader of a wrong file is told."""
    with pytest.raises(ConfigError) as caught:
        parse_gates(text, "g.yaml")
    return str(caught.value)


def test_a_file_is_read_as_it_says() -> None:
    found = parse_gates(TEXT, "g.yaml")
    assert (found.name, found.rehearsal) == ("mine", True)
    assert found.settings.surrogates == 25
    assert found.settings.sealed_alpha == 0.2
    assert found.settings.lottery_arms == 20  # a default
    assert [g.measure for g in found.gates] == [
        "trades",
        "permutation_sign",
        "random_arm",
        "sealed_psr",
    ]
    assert found.gates[0] == Gate("trades", at_least=100.0)
    assert found.gates[1] == Gate("permutation_sign", at_most=0.05)
    assert found.gates[2] == Gate("random_arm", at_least=0.0, veto=False, why="for the record")
    assert [g.stage for g in found.gates] == ["G0", "G1", "G1", "G3"]
    assert [g.threshold for g in found.gates] == [100.0, 0.05, 0.0, 0.0]


def test_the_order_of_the_file_is_kept() -> None:
    lines = TEXT.splitlines()
    swapped = "\n".join([*lines[:7], lines[9], lines[7], lines[10], lines[8]])
    found = parse_gates(swapped)
    names = [g.measure for g in found.gates]
    assert names == ["random_arm", "trades", "sealed_psr", "permutation_sign"]
    assert [r.gate.measure for r in found.judge({}, *STAGES)] == names
    assert [g.measure for g in found.of("G1")] == ["random_arm", "permutation_sign"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("schema: 1", "schema: 2", 1, "schema cannot be 2"),
        ("schema: 1", "", 0, "schema is missing"),
        ("name: mine", "name: 'a b'", 2, "name cannot be 'a b'"),
        ("name: mine", "nome: mine", 2, "did you mean 'name'"),
        ("rehearsal: true", "rehearsal: 1", 3, "true or false"),
        ("rehearsal: true", "veto: true", 3, "veto is not a key"),
        ("  surrogates: 25", "  surrogates: 18", 5, "at least 19"),
        ("  surrogates: 25", "  surrogates: 25.5", 5, "a whole number"),
        ("  surrogates: 25", "  surogates: 25", 5, "did you mean 'surrogates'"),
        ("  sealed_alpha: 0.2", "  sealed_alpha: 0", 6, "settings.sealed_alpha"),
        ("  sealed_alpha: 0.2", "  sealed_alpha: 1.0", 6, "settings.sealed_alpha"),
        ("  sealed_alpha: 0.2", "  sealed_alpha: .nan", 6, "settings.sealed_alpha"),
        ("  trades: {at_least: 100}", "  trads: {at_least: 100}", 8, "did you mean 'trades'"),
        ("  trades: {at_least: 100}", "  trades: {least: 100}", 8, "gates.trades.least"),
        ("  trades: {at_least: 100}", "  trades: {at_least: '100'}", 8, "cannot be '100'"),
        ("  trades: {at_least: 100}", "  trades: {at_least: .inf}", 8, "cannot be inf"),
        ("  trades: {at_least: 100}", "  trades: {at_least: .nan}", 8, "cannot be nan"),
        ("  trades: {at_least: 100}", "  trades: {at_least: true}", 8, "cannot be True"),
        ("  trades: {at_least: 100}", "  trades: {veto: true}", 8, "exactly one of"),
        ("  trades: {at_least: 100}", "  trades: {at_least: 1, at_most: 2}", 8, "exactly one of"),
        ("  trades: {at_least: 100}", "  trades: {at_least: null}", 8, "exactly one of"),
        ("  trades: {at_least: 100}", "  trades: 100", 8, "must be a block of keys"),
        ("  trades: {at_least: 100}", "  trades:", 8, "must be a block of keys"),
        ("  trades: {at_least: 100}", "  sealed_psr: {at_least: 1}", 11, "written twice"),
        ("veto: false", "veto: 0", 10, "true or false"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, line: int, words: str) -> None:
    assert old in TEXT
    told = wrong(TEXT.replace(old, new, 1))
    assert words in told
    assert (f"g.yaml:{line}:" if line else "g.yaml") in told


@pytest.mark.parametrize("block", ["gates: {}", "gates: []", "gates: 3", "gates:", ""])
def test_a_file_without_gates_is_none(block: str) -> None:
    text = TEXT[: TEXT.index("gates:")] + block + "\n"
    assert "must be a block of gates" in wrong(text)


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "schema: 08\n"])
def test_what_is_no_mapping_is_no_gates_file(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_gates(text)


def test_every_mistake_is_told_at_once() -> None:
    told = wrong(TEXT.replace("100", "x").replace("0.2", "2").replace("sealed_psr", "sealed"))
    assert "3 problems" in told
    for key in ("gates.trades.at_least", "settings.sealed_alpha", "gates.sealed "):
        assert key in told


def test_comments_layout_and_reasons_are_no_part_of_the_hash() -> None:
    laid = """
# quite another file
name: mine
schema: 1
gates:
  trades:
    at_least: 100.0   # a hundred
    why: enough to say something
  permutation_sign: {at_most: 5.0e-2}
  random_arm: {veto: false, at_least: 0.0}
  sealed_psr: {at_least: 0, veto: true}
settings: {sealed_alpha: 0.20, surrogates: 25, lottery_arms: 20}
rehearsal: true
"""
    assert parse_gates(laid).hash == parse_gates(TEXT).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("at_least: 100", "at_least: 101"),
        ("at_most: 0.05", "at_most: 0.0500001"),
        ("at_most: 0.05", "at_least: 0.05"),
        ("sealed_psr: {at_least: 0}", "sealed_psr: {at_least: 0, veto: false}"),
        ("veto: false", "veto: true"),
        ("rehearsal: true", "rehearsal: false"),
        ("name: mine", "name: yours"),
        ("surrogates: 25", "surrogates: 26"),
        ("sealed_alpha: 0.2", "sealed_alpha: 0.2\n  embargo: 0.02"),
        ("  sealed_psr: {at_least: 0}\n", ""),
        (
            "  trades: {at_least: 100}\n  permutation_sign: {at_most: 0.05}",
            "  permutation_sign: {at_most: 0.05}\n  trades: {at_least: 100}",
        ),
    ],
)
def test_whatever_decides_is_part_of_the_hash(old: str, new: str) -> None:
    assert old in TEXT
    changed = TEXT.replace(old, new, 1)
    assert parse_gates(changed).hash != parse_gates(TEXT).hash


def test_every_setting_is_part_of_the_hash() -> None:
    plain = parse_gates(TEXT)
    names = type(plain.settings).__struct_fields__
    seen = {plain.hash}
    head, _, rest = TEXT.partition("settings:\n")
    _, _, gates = rest.partition("gates:\n  trades")
    for changed in names:
        values = {name: getattr(plain.settings, name) for name in names}
        values[changed] = values[changed] * 0.9 if values[changed] < 1 else values[changed] + 1
        lines = "\n".join(f"  {name}: {value}" for name, value in values.items())
        seen.add(parse_gates(f"{head}settings:\n{lines}\ngates:\n  trades{gates}").hash)
    assert len(seen) == 1 + len(names)


LEAST, MOST = Gate("trades", at_least=100.0), Gate("permutation_sign", at_most=0.05)


@pytest.mark.parametrize(
    ("gate", "value", "passed"),
    [
        (LEAST, 100.0, True),
        (LEAST, math.nextafter(100.0, 0.0), False),
        (LEAST, 1e9, True),
        (LEAST, 100, True),
        (MOST, 0.05, True),
        (MOST, math.nextafter(0.05, 1.0), False),
        (MOST, -1.0, True),
        (LEAST, None, False),
        (MOST, None, False),
        (LEAST, math.nan, False),
        (MOST, math.nan, False),
        (LEAST, math.inf, False),
        (MOST, -math.inf, False),
    ],
)
def test_a_value_is_compared_exactly_and_what_is_no_number_fails(
    gate: Gate, value: float | None, passed: bool
) -> None:
    result = gate.judge(value, "a note")
    assert result.passed is passed
    assert result.verdict == ("pass" if passed else "fail")
    assert result.note == "a note"
    assert result.value is None or math.isfinite(result.value)


def test_a_failed_gate_without_veto_is_reported() -> None:
    reported = Gate("random_arm", at_least=0.0, veto=False)
    assert reported.judge(-1.0).verdict == "reported"
    assert reported.judge(None).verdict == "reported"
    assert reported.judge(1.0).verdict == "pass"
    results = [reported.judge(-1.0), LEAST.judge(1.0), MOST.judge(0.01), MOST.judge(None)]
    assert stopped_by(results) == [results[1], results[3]]


def test_judging_takes_values_with_and_without_a_note_and_misses_none() -> None:
    found = parse_gates(TEXT)
    measures = {"trades": 120, "permutation_sign": (0.04, "19 of 25"), "unasked": 1.0}
    results = found.judge(measures, "G0", "G1")
    assert [(r.gate.measure, r.value, r.verdict, r.note) for r in results] == [
        ("trades", 120, "pass", ""),
        ("permutation_sign", 0.04, "pass", "19 of 25"),
        ("random_arm", None, "reported", ""),
    ]
    plain = results[1].to_plain()
    assert plain["bound"] == "at most"
    assert plain["threshold"] == 0.05
    assert plain["what"] == MEASURES["permutation_sign"][1]


def test_every_measure_has_a_stage() -> None:
    assert {stage for stage, _ in MEASURES.values()} == set(STAGES)


def save(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gates.yaml"
    path.write_text(text)
    return path


def test_a_rehearsal_may_be_any_file_and_never_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load_gates(save(tmp_path, TEXT))
    assert not found.counts
    monkeypatch.setattr(module, "PRODUCTION_HASH", found.hash)
    assert not load_gates(save(tmp_path, TEXT)).counts


def test_gates_that_are_neither_a_rehearsal_nor_production_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    production = TEXT.replace("rehearsal: true\n", "")
    monkeypatch.setattr(module, "PRODUCTION_HASH", parse_gates(production).hash)
    monkeypatch.setattr(module, "PROMOTION_HASH", "")  # it says nothing of promotion
    assert load_gates(save(tmp_path, production)).counts
    assert load_gates(save(tmp_path, "# a comment\n" + production)).counts
    for old, new in (("100", "99"), ("0.05", "0.06"), ("surrogates: 25", "surrogates: 24")):
        with pytest.raises(RefusedError, match="not the production gates") as caught:
            load_gates(save(tmp_path, production.replace(old, new)))
        assert module.PRODUCTION_HASH[:12] in caught.value.why


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the gates"):
        load_gates(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot read the gates"):
        load_gates(tmp_path / "bytes.yaml")


def shipped(name: str) -> GatesFile:
    return parse_gates((REPOSITORY / "configs" / name).read_text(), name)


def test_the_shipped_files_hold_every_measure_once_and_the_rehearsal_says_so() -> None:
    production, rehearsal = shipped("gates.yaml"), shipped("gates.rehearsal.yaml")
    assert rehearsal.rehearsal
    assert not production.rehearsal
    for file in (production, rehearsal):
        assert {g.measure for g in file.gates} <= set(MEASURES)
        assert {g.stage for g in file.gates} == set(STAGES)
        assert file.promotion is not None
        assert [g.measure for g in file.promotion.gates] == list(PROMOTION_MEASURES)
    assert production.counts
    assert [g.measure for g in production.gates] == [g.measure for g in rehearsal.gates]
    assert module.PRODUCTION == REPOSITORY / "configs" / "gates.yaml"


PROMOTION = """\
promotion:
  settings:
    kelly: 0.2
  gates:
    paper_days: {at_least: 30}
    canary_days: {at_least: 60}
    step_sprt: {at_least: -1.56}
"""


def test_gates_of_promotion_are_read_and_judged() -> None:
    found = parse_gates(TEXT + PROMOTION).promotion
    assert found is not None
    assert found.settings == PromotionSettings(kelly=0.2)
    assert [(g.measure, g.stage) for g in found.gates] == [
        ("paper_days", "G4"),
        ("canary_days", "G5"),
        ("step_sprt", "G6"),
    ]
    results = found.judge({"canary_days": (59.0, "a note")}, "G5")
    assert [(r.gate.measure, r.verdict, r.note) for r in results] == [
        ("canary_days", "fail", "a note")
    ]
    assert {stage for stage, _ in PROMOTION_MEASURES.values()} == set(PROMOTION_STAGES)
    assert not set(PROMOTION_MEASURES) & set(MEASURES)


def test_a_dossiers_gates_do_not_depend_on_those_of_promotion() -> None:
    plain, more = parse_gates(TEXT), parse_gates(TEXT + PROMOTION)
    assert plain.hash == more.hash
    assert plain.gates == more.gates
    assert plain.promotion is None
    assert [r.gate.stage for r in more.judge({}, *STAGES)] == ["G0", "G1", "G1", "G3"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("paper_days: {at_least: 30}", "paper_days: {at_least: 29}"),
        ("canary_days: {at_least: 60}", "canary_days: {at_least: 60, veto: false}"),
        ("step_sprt: {at_least: -1.56}", "step_sprt: {at_most: -1.56}"),
        ("    canary_days: {at_least: 60}\n", ""),
        ("kelly: 0.2", "kelly: 0.3"),
        ("kelly: 0.2", "kelly: 0.2\n    concurrent: 6"),
    ],
)
def test_gates_of_promotion_have_a_hash_of_their_own_and_the_file_counts_with_both(
    old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TEXT.replace("rehearsal: true\n", "") + PROMOTION
    known = parse_gates(text)
    assert known.promotion is not None
    monkeypatch.setattr(module, "PRODUCTION_HASH", known.hash)
    monkeypatch.setattr(module, "PROMOTION_HASH", known.promotion.hash)
    assert load_gates(save(tmp_path, text)).counts
    assert old in text
    changed = text.replace(old, new)
    assert parse_gates(changed).hash == known.hash
    for swapped in (changed, text.replace(PROMOTION, "")):
        with pytest.raises(RefusedError, match="not the production gates") as caught:
            load_gates(save(tmp_path, swapped))
        assert "G4 to G6" in caught.value.why


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("paper_days", "paper_dys", "did you mean 'paper_days'"),
        ("paper_days: {at_least: 30}", "trades: {at_least: 30}", "promotion.gates.trades is no"),
        ("{at_least: 30}", "{at_least: x}", "promotion.gates.paper_days.at_least"),
        ("kelly: 0.2", "kelly: 1.2", "promotion.settings.kelly"),
        ("kelly: 0.2", "kely: 0.2", "did you mean 'kelly'"),
        ("  gates:\n", "  gats:\n", "promotion.gates must be a block"),
    ],
)
def test_a_mistake_in_the_gates_of_promotion_is_named(old: str, new: str, words: str) -> None:
    assert old in PROMOTION
    assert words in wrong(TEXT + PROMOTION.replace(old, new, 1))
