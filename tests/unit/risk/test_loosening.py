"""Loosening limits while live: what counts as looser, and what must be typed."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from genesis.risk.limits import HardLimits
from genesis.risk.loosening import confirms, loosened, loosening_phrase


@pytest.mark.parametrize("name", [spec.name for spec in fields(HardLimits)])
def test_each_limit_is_looser_when_it_grows(name: str) -> None:
    old = HardLimits()
    new = replace(old, **{name: getattr(old, name) * 2})
    assert loosened(old, new) == (name,)
    assert loosened(new, old) == ()
    assert loosened(old, old) == ()


def test_the_phrase_names_every_limit_and_its_new_value() -> None:
    old = HardLimits()
    new = replace(old, max_order=2.0, max_gross=5.0, max_daily_loss=0.1)
    assert loosening_phrase(old, new) == "LOOSEN max_gross=5 max_order=2"
    assert confirms(" LOOSEN  max_gross=5 max_order=2\n", old, new)
    for typed in ("", "yes", "LOOSEN", "LOOSEN max_gross=5", "loosen max_gross=5 max_order=2"):
        assert not confirms(typed, old, new)


def test_tightening_needs_nothing() -> None:
    old = HardLimits()
    new = replace(old, max_order=0.5)
    assert loosening_phrase(old, new) == ""
    assert confirms("", old, new)
