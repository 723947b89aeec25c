"""Gates in words: numbers without exponents, the sealed gate as two probabilities."""

from __future__ import annotations

from typing import Any

import pytest

from genesis.evidence.gates import Gate
from genesis.evidence.report_words import shortfall, shortfalls, value_text, worded
from genesis.evidence.sealed import sealed_measures

NUMBERS = {"sharpe": 1.0, "hedged_sharpe": 0.9, "p": 0.34, "days": 90}


def sealed_gate(threshold: float = 0.0) -> tuple[dict[str, Any], dict[str, Any]]:
    """The third candidate's verdict at a level of 0.3, and its dossier's details."""
    value, note = sealed_measures(NUMBERS, 0.3, 2.0, 2)["sealed_psr"]
    gate = Gate("sealed_psr", at_least=threshold).judge(value, note).to_plain()
    return gate, {"sealed": {**NUMBERS, "level": 0.3, "place": 3}}


def test_the_sealed_gate_shows_the_probability_and_what_was_needed() -> None:
    gate, details = sealed_gate()
    said = worded(gate, details)
    assert (said["value"], said["needs"]) == ("0.6600", "at least 0.7000")
    assert "less what" not in said["what"]
    assert shortfall(gate, details) == (
        "G3 sealed_psr is 0.6600, at least 0.7000 is needed: missed by 0.04"
        " (candidate 3 on this span)"
    )


def test_a_bound_of_the_file_moves_what_is_needed() -> None:
    gate, details = sealed_gate(threshold=-0.1)
    assert worded(gate, details)["needs"] == "at least 0.6000"


def test_sealed_bars_that_stayed_shut_have_no_number() -> None:
    gate = Gate("sealed_psr", at_least=0.0).judge(None, "looked at by hand").to_plain()
    assert worded(gate, {})["value"] == "–"
    assert "what the budget leaves is needed (looked at by hand)" in shortfall(gate, {})


@pytest.mark.parametrize(
    ("value", "text"),
    [(1_234_567.8, "1,234,568"), (999.94, "999.9"), (88.0, "88"), (0.03, "0.03"), (None, "–")],
)
def test_numbers_have_no_exponent(value: float | None, text: str) -> None:
    assert value_text(value) == text


def test_a_large_miss_has_no_exponent() -> None:
    gate = Gate("trades", at_least=1_000_000.0).judge(3.0).to_plain()
    assert shortfall(gate, {}).endswith("missed by 999,997")


def test_stages_that_are_told_elsewhere_are_left_out() -> None:
    gates = [Gate("trades", at_least=5).judge(3.0), Gate("lottery", at_least=0.9).judge(0.5)]
    facts = {"gates": [one.to_plain() for one in gates], "details": {}, "origin_problem": "lost"}
    assert [text.split()[0] for text in shortfalls(facts)] == ["origin:", "G0", "G1"]
    assert [text.split()[0] for text in shortfalls(facts, ("G1",))] == ["origin:", "G0"]
