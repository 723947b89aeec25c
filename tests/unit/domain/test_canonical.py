"""Canonical JSON and hashes."""

import hashlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesis.domain.canonical import array_hash, canonical_json, content_hash

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_spells_floats_as_hex_and_sorts_keys():
    assert canonical_json({"b": 0.1, "a": [1, None, True]}) == (
        '{"a":[1,null,true],"b":"0x1.999999999999ap-4"}'
    )


def test_hash_is_sha256_of_the_text():
    expected = hashlib.sha256(b'{"x":"0x1.8000000000000p+0"}').hexdigest()
    assert content_hash({"x": 1.5}) == expected


@given(VALUES)
def test_is_a_fixed_point_of_reading_back(value):
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_order_of_keys_does_not_matter(mapping):
    reverse = dict(reversed(list(mapping.items())))
    assert content_hash(mapping) == content_hash(reverse)


def test_numpy_scalars_spell_like_python_ones():
    assert canonical_json([np.int64(3), np.float64(0.5)]) == canonical_json([3, 0.5])


def test_refuses_what_json_cannot_hold():
    with pytest.raises(TypeError, match="set"):
        canonical_json({"x": {1, 2}})


def test_array_hash_sees_values_types_and_shapes():
    base = np.arange(6, dtype=np.float64)
    assert array_hash(base) == array_hash(base.copy())
    changed = base.copy()
    changed[3] = math.nextafter(3.0, 4.0)
    others = [changed, base.astype(np.float32), base.reshape(2, 3), base[::-1]]
    assert len({array_hash(base), *(array_hash(a) for a in others)}) == 5
    assert array_hash(base[:2], base[2:]) != array_hash(base[:3], base[3:])
