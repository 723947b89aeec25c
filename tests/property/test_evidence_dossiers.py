"""Whatever leaf of whatever dossier changes, its digest does not fit any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from genesis.domain.errors import RefusedError
from genesis.evidence.dossier import make_dossier, read_dossier, write_dossier
from genesis.evidence.gates import MEASURES, STAGES, parse_gates
from genesis.evolution.store import StoredStrategy
from tests.unit.evolution.trial_homes import strategy

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
FACTS = st.dictionaries(
    st.text(min_size=1, max_size=6).map("fact_".__add__),
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)
VALUES = st.dictionaries(
    st.sampled_from(sorted(MEASURES)), st.floats(allow_nan=True, allow_infinity=True), max_size=4
)
RECORD = StoredStrategy(strategy(5), "base", genome="ab" * 32)
GATES = parse_gates(
    "schema: 1\nname: all\nrehearsal: true\ngates:\n"
    + "".join(f"  {name}: {{at_least: 0.5}}\n" for name in MEASURES)
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        return [leaf for k, v in value.items() for leaf in leaves(v, (*path, k))]
    if isinstance(value, list) and value:
        return [leaf for k, v in enumerate(value) for leaf in leaves(v, (*path, k))]
    return [path]


def spelled(value: Any) -> str:
    """JSON text, in which 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(FACTS, VALUES, st.data())
def test_a_changed_leaf_is_refused(
    tmp_path: Path, facts: dict[str, Any], values: dict[str, float], data: st.DataObject
) -> None:
    results = GATES.judge(values, *STAGES)
    dossier = make_dossier(RECORD, GATES, results, facts)
    path = write_dossier(tmp_path, dossier)
    assert read_dossier(path).digest == dossier.digest
    plain = json.loads(path.read_text())
    place = data.draw(st.sampled_from(leaves(plain)))
    node = plain
    for key in place[:-1]:
        node = node[key]
    new = data.draw(SCALARS)
    assume(spelled(new) != spelled(node[place[-1]]))
    node[place[-1]] = new
    path.write_text(json.dumps(plain))
    with pytest.raises(RefusedError):
        read_dossier(path)
