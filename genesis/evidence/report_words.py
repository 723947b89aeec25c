"""What the gates said, in words: values, bounds, what stopped a strategy and by how much."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

SEALED_PSR = "sealed_psr"


def value_text(value: float | None) -> str:
    """A gate's value or threshold for people: whole numbers whole, others with four digits."""
    if value is None:
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    # Four digits of a large number would be written with an exponent.
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e15 else f"{value:.4g}"


def worded(gate: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """A gate of a dossier with value and bound as text, ``value`` and ``needs``.

    The measure of the sealed gate is the distance between two probabilities, since the bound of a
    gates file cannot know what is left of the budget; people are shown the two.

    Parameters
    ----------
    gate : mapping
        JSON form of its verdict.
    details : mapping
        Of the same dossier.
    """
    if gate["measure"] == SEALED_PSR:
        return {**gate, **_sealed_psr(gate, details.get("sealed") or {})}
    return {
        **gate,
        "value": value_text(gate["value"]),
        "needs": f"{gate['bound']} {value_text(gate['threshold'])}",
    }


def _sealed_psr(gate: Mapping[str, Any], sealed: Mapping[str, Any]) -> dict[str, str]:
    what = {"what": "PSR(0) on the sealed bars; needed is what the error budget leaves"}
    if "p" not in sealed:  # the bars were not opened
        return {**what, "value": value_text(None), "needs": "what the budget leaves"}
    needed = 1.0 - sealed["level"] + gate["threshold"]
    return {
        **what,
        "value": f"{1.0 - sealed['p']:.4f}",
        "needs": f"{gate['bound']} {needed:.4f}",
        "note": f"candidate {sealed['place']} on this span",
    }


def shortfalls(facts: Mapping[str, Any], without: Collection[str] = ()) -> list[str]:
    """What stopped a strategy, in words: its origin, and each gate as in `shortfall`.

    Parameters
    ----------
    facts : mapping
        Of its dossier.
    without : collection of str
        Stages that are told of elsewhere.
    """
    origin = facts.get("origin_problem")
    words = [] if origin is None else [f"origin: {origin}"]
    failed = [g for g in facts["gates"] if g["verdict"] == "fail" and g["stage"] not in without]
    return words + [shortfall(gate, facts["details"]) for gate in failed]


def shortfall(gate: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """A failed gate in words: its value, what it needed, by how much it was missed."""
    said = worded(gate, details)
    value, note = gate["value"], f" ({said['note']})" if said["note"] else ""
    name = f"{gate['stage']} {gate['measure']}"
    if value is None:
        return f"{name} could not be measured, {said['needs']} is needed{note}"
    missed = abs(value - gate["threshold"])
    by = value_text(missed) if missed >= 1e3 else f"{missed:.3g}"
    return f"{name} is {said['value']}, {said['needs']} is needed: missed by {by}{note}"
