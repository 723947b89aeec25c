"""A shipped configuration is named by a path that exists where the command line is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesis.domain.errors import ConfigError
from genesis.domain.shipped import ROOT, shipped
from genesis.evolution.config import load_config
from tests.unit.cli.command_answers import call


def test_it_is_short_in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert shipped("configs/demo.yaml") == "configs/demo.yaml"


def test_it_is_whole_elsewhere_even_beside_another_folder_of_that_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(shipped("configs/demo.yaml")).samefile(ROOT / "configs/demo.yaml")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "demo.yaml").write_text("mine")
    assert Path(shipped("configs/demo.yaml")).samefile(ROOT / "configs/demo.yaml")


def test_what_the_commands_answer_can_be_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_config(Path("absent.yaml"))
    assert Path(caught.value.fix.split()[1]).is_file()
    fix = call(tmp_path / "home", "evolve", "--json").error["fix"]
    assert str(ROOT / "configs/demo.yaml") in fix
