"""How a run is set up, written before its first event and read to go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genesis.costs.execution import ExecutionModel
from genesis.costs.model import CostModel
from genesis.domain.errors import ConfigError, InputError, StorageError
from genesis.paper.settings import FILE, PaperMode, PaperSettings, read_settings, write_settings
from genesis.risk.limits import HardLimits
from genesis.trading.deployment import DeploymentOptions
from tests.unit.paper.engine_runs import settings_of, wild_strategies

MANY = settings_of(
    wild_strategies(1, 2),
    mode=PaperMode.REPLAY,
    market={"dataset": "synth:SYN1:4h", "bars": 12},
    costs=CostModel(taker=1e-3).plain(),
    limits=HardLimits(max_order=0.25).plain(),
    execution=ExecutionModel(seed=3, capital=1e4).plain(),
    capital=1234.5,
    leverage=7.0,
    options=DeploymentOptions(algorithm="twap", slices=4, spacing_ms=60_000, stops="loop"),
    news="/a/news.yaml",
    schedule="/a/schedule.yaml",
)


@pytest.mark.parametrize("settings", [MANY, settings_of(wild_strategies(2, 1))])
def test_what_is_written_is_read(settings: PaperSettings, tmp_path: Path) -> None:
    write_settings(tmp_path, settings, {"synchronous": "FULL"})
    assert read_settings(tmp_path) == (settings, {"synchronous": "FULL"})


def test_models_are_made_from_what_was_written(tmp_path: Path) -> None:
    write_settings(tmp_path, MANY, {})
    found, _ = read_settings(tmp_path)
    assert found.cost_model() == CostModel(taker=1e-3)
    model = found.execution_model()
    assert model is not None
    assert model.plain() == ExecutionModel(seed=3, capital=1e4).plain()
    assert settings_of([]).execution_model() is None
    assert found.core("run").desk.run == "run"


def test_a_core_has_the_limits_of_its_run() -> None:
    core = MANY.core("run")
    assert core._guard._manager.limits == HardLimits(max_order=0.25)
    with pytest.raises(ConfigError):
        settings_of([], limits={"max_ordr": 1}).core("run")


def test_a_folder_without_settings_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_settings(tmp_path)
    assert "paper list" in caught.value.fix


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda v: v | {"schema": 99}, InputError),
        (lambda v: [v], InputError),
        (lambda v: {k: x for k, x in v.items() if k != "settings"}, StorageError),
        (lambda v: {k: x for k, x in v.items() if k != "facts"}, StorageError),
        (lambda v: v | {"settings": v["settings"] | {"mode": "dream"}}, StorageError),
        (lambda v: v | {"settings": v["settings"] | {"capital": "much"}}, StorageError),
        (lambda v: v | {"settings": v["settings"] | {"capitl": 1.0}}, StorageError),
    ],
)
def test_damaged_settings_are_told(change, kind: type, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_settings(tmp_path, MANY, {})
    value = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(change(value)))
    with pytest.raises(kind) as caught:
        read_settings(tmp_path)
    assert str(tmp_path / FILE) in caught.value.what
    assert caught.value.fix


def test_a_file_that_is_no_json_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    with pytest.raises(StorageError):
        read_settings(tmp_path)
