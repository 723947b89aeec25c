"""The workspace folder."""

from __future__ import annotations

import shutil
import stat
from collections import namedtuple
from pathlib import Path

import pytest

from genesis.domain.errors import InputError, StorageError
from genesis.system.clock import SystemClock
from genesis.system.workspace import Workspace


def test_open_creates_private_folders(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "deep" / "home").open()
    for folder in (workspace.home, workspace.data, workspace.runs, workspace.spool):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not workspace.open_to_others()
    assert (workspace.home / ".gitignore").read_text() == "*\n"
    workspace.home.chmod(0o755)
    assert workspace.open_to_others()


def test_open_twice_keeps_what_is_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home").open()
    (workspace.runs / "a").write_text("x")
    workspace.open()
    assert (workspace.runs / "a").read_text() == "x"


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(InputError, match="not a folder"):
        Workspace(tmp_path / "home").open()


def test_below_a_file_nothing_can_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be created"):
        Workspace(tmp_path / "file" / "home").open()


def test_full_disk_is_refused_before_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 2**20))
    workspace = Workspace(tmp_path / "not" / "yet" / "there")
    with pytest.raises(StorageError, match=r"only 1 MiB") as caught:
        workspace.require_space()
    assert "--home" in caught.value.fix
    workspace.require_space(least=2**19)


def test_clock_agrees_with_the_system() -> None:
    import time

    clock = SystemClock()
    assert abs(clock.now_ms() - time.time() * 1000) < 5_000
    first = clock.monotonic()
    assert clock.monotonic() >= first
