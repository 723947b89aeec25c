"""Gates judge by their bound alone; a gates file that is written is read back the same."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.evidence.gates import MEASURES, STAGES, Gate, GatesFile, Settings, parse_gates

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
ANY = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers())


@st.composite
def gates(draw: st.DrawFn) -> Gate:
    bound = draw(NUMBERS)
    low = draw(st.booleans())
    return Gate(
        draw(st.sampled_from(sorted(MEASURES))),
        at_least=bound if low else None,
        at_most=None if low else bound,
        veto=draw(st.booleans()),
    )


@settings(max_examples=200, deadline=None)
@given(gates(), ANY)
def test_a_verdict_is_a_comparison(gate: Gate, value: float | None) -> None:
    result = gate.judge(value)
    known = value is not None and math.isfinite(value)
    good = known and (
        value >= gate.at_least if gate.at_least is not None else value <= gate.at_most
    )
    assert result.passed == good
    assert result.verdict == ("pass" if good else "fail" if gate.veto else "reported")


def text_of(file: GatesFile) -> str:
    lines = ["schema: 1", f"name: {file.name}", f"rehearsal: {str(file.rehearsal).lower()}"]
    lines.append("settings:")
    lines += [f"  {name}: {getattr(file.settings, name)!r}" for name in Settings.__struct_fields__]
    lines.append("gates:")
    for gate in file.gates:
        side = "at_least" if gate.at_least is not None else "at_most"
        veto = str(gate.veto).lower()
        # YAML reads 1e-05 as a word: a number needs its point.
        number = f"{gate.threshold:.17e}"
        lines.append(f"  {gate.measure}: {{{side}: {number}, veto: {veto}}}")
    return "\n".join(lines) + "\n"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(gates(), min_size=1, max_size=6, unique_by=lambda g: g.measure),
    st.booleans(),
    st.integers(19, 500),
    st.sampled_from([0.01, 0.25, 0.5, 0.99]),
)
def test_a_file_is_read_back_as_it_was_written(
    listed: list[Gate], rehearsal: bool, surrogates: int, alpha: float
) -> None:
    file = GatesFile(
        "mine", rehearsal, Settings(surrogates=surrogates, sealed_alpha=alpha), tuple(listed)
    )
    read = parse_gates(text_of(file))
    assert read == file
    assert read.hash == file.hash
    stages = [gate.stage for gate in read.gates]
    assert [r.gate.stage for r in read.judge({}, *STAGES)] == stages
