"""Which executor a study gets."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from genesis.domain.errors import ConfigError
from genesis.evolution.executors.select import choose


@pytest.mark.parametrize(
    ("kind", "settings", "name"),
    [
        ("auto", {"population": 99}, "inline"),
        ("auto", {"population": 100}, "ray"),
        ("auto", {"population": 10, "threshold": 10}, "ray"),
        ("auto", {"population": 10, "address": "127.0.0.1:6379"}, "ray"),
        ("local", {"population": 99}, "inline"),
        ("local", {"population": 100}, "processes"),
        ("local", {"population": 99, "workers": 2}, "processes"),
        ("local", {"population": 500, "workers": 1}, "inline"),
        ("processes", {"population": 5}, "processes"),
        ("ray", {"population": 5}, "ray"),
    ],
)
def test_the_kind_and_the_population_decide(kind: str, settings: dict[str, Any], name: str) -> None:
    assert choose(kind, **settings).name == name


def test_without_ray_auto_means_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert choose(population=256).name == "processes"


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'local'"):
        choose("locl", population=1)
    with pytest.raises(ConfigError, match="no use for the Ray address"):
        choose("local", population=1, address="127.0.0.1:6379")
    with pytest.raises(ConfigError, match="0 workers"):
        choose("ray", population=1, workers=0)
    with pytest.raises(ConfigError, match="timeout"):
        choose("processes", population=1, workers=1, timeout_s=0.0)
