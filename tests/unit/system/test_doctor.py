"""Each check of the doctor can fail, and says what to do then."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest

from genesis.domain.errors import StorageError
from genesis.system import doctor
from genesis.system.doctor import Check, examine
from genesis.system.workspace import Workspace


def _by_name(workspace: Workspace) -> dict[str, Check]:
    return {check.name: check for check in examine(workspace)}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home").open()


def test_a_sound_machine(workspace: Workspace) -> None:
    checks = _by_name(workspace)
    assert checks["python"].status == "ok"
    assert checks["compiler"].status == "ok"
    assert checks["packages"].status == "ok", checks["packages"].detail
    assert checks["data"].detail == "no candles yet"
    assert all(check.fix for check in checks.values() if check.status != "ok")


def test_missing_packages(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", nothing)
    checks = _by_name(workspace)
    assert checks["packages"].status == "fail"
    assert "ray" in checks["packages"].detail
    assert checks["extras"].status == "warn"
    assert "ccxt" in checks["extras"].fix


def test_wrong_python(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    assert doctor._python(workspace).status == "fail"


def test_little_disk(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 2**20))
    checks = _by_name(workspace)
    assert checks["disk"].status == "fail"
    assert checks["shared memory"].status == "warn"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 2**30))
    assert doctor._disk(workspace).status == "warn"


def test_workspace_open_to_others(workspace: Workspace) -> None:
    workspace.home.chmod(0o755)
    check = doctor._home(workspace)
    assert check.status == "warn"
    assert "chmod" in check.fix


def test_compile_cache_writable_to_others(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path / "cache"))
    assert doctor._compile_cache(workspace).status == "ok"
    next((tmp_path / "cache" / "numba").iterdir()).chmod(0o777)
    assert doctor._compile_cache(workspace).status == "fail"


def test_missing_rust_engine(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert doctor._accounting(workspace).status == "warn"


def test_ray_without_tokens(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert doctor._ray_auth(workspace).status == "warn"
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert doctor._ray_auth(workspace).status == "ok"


def test_unfinished_runs_are_named(workspace: Workspace) -> None:
    folder = workspace.runs / "demo-1"
    folder.mkdir()
    (folder / "study.json").write_text('{"status": "running", "created_ms": 0}')
    check = doctor._runs(workspace)
    assert check.status == "warn"
    assert check.fix == "genesis evolve --resume demo-1"


def test_a_check_that_breaks_is_a_failure(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Workspace) -> Check:
        raise StorageError("no folder", fix="make one")

    def defect(_: Workspace) -> Check:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(doctor, "_disk", broken)
    monkeypatch.setattr(doctor, "_spool", defect)
    checks = _by_name(workspace)
    assert checks["broken"] == Check("broken", "fail", "no folder", "make one")
    assert "ZeroDivisionError: oops" in checks["defect"].detail
