"""Lists of runs leave nothing out: what is missing of a run is said instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesis.cli.main import dispatch
from genesis.domain.errors import InputError
from genesis.paper.settings import PaperMode, PaperSettings, write_settings
from genesis.system.live_list import list_live_runs
from genesis.system.paper import list_paper
from genesis.system.workspace import Workspace
from genesis.trading.run_folders import find_run
from genesis.trading.store.lock import WriterLock

MARKET = {
    "venue": "hyperliquid",
    "network": "local",
    "url": "",
    "symbols": ["SOL"],
    "interval": "1m",
    "accounts": {"one": "0xa1"},
    "anchor_ms": 0,
    "trade_from_ms": 0,
}


def run_of(home: Path, name: str, mode: PaperMode = PaperMode.LIVE, *missing: str) -> Path:
    folder = home / "trading" / name
    folder.mkdir(parents=True)
    write_settings(folder, PaperSettings(mode=mode, strategies=(), market=MARKET), {})
    (folder / "events.db").write_bytes(b"a log")
    for one in missing:
        (folder / one).unlink()
    return folder


def states(rows: list[dict[str, object]]) -> dict[object, object]:
    return {row["run"]: row["state"] for row in rows}


def test_a_run_without_its_log_is_listed_as_damaged(tmp_path: Path) -> None:
    run_of(tmp_path, "whole")
    run_of(tmp_path, "lost", PaperMode.LIVE, "events.db")
    run_of(tmp_path, "replayed", PaperMode.REPLAY, "events.db")
    done = run_of(tmp_path, "over", PaperMode.LIVE, "events.db")
    (done / "result.json").write_text("{}")
    said = "damaged: its log events.db is missing"
    assert states(list_live_runs(Workspace(tmp_path))) == {
        "lost": said,
        "over": said,
        "whole": "stopped",
    }
    found = states(list_paper(Workspace(tmp_path)))
    assert found == {"lost": said, "over": said, "replayed": said, "whole": "can be resumed"}


def test_a_log_that_goes_while_it_is_written_is_told_too(tmp_path: Path) -> None:
    folder = run_of(tmp_path, "lost", PaperMode.LIVE, "events.db")
    lock = WriterLock(folder)
    for rows in (list_live_runs(Workspace(tmp_path)), list_paper(Workspace(tmp_path))):
        (state,) = states(rows).values()
        assert str(state).startswith("running, process")
        assert str(state).endswith("its log events.db is missing")
    lock.release()


@pytest.mark.parametrize("name", ["run.json", "status.json", "killed.json"])
def test_a_run_of_which_a_file_cannot_be_read_is_listed_as_damaged(
    tmp_path: Path, name: str
) -> None:
    (run_of(tmp_path, "torn") / name).write_text("{")
    (row,) = list_live_runs(Workspace(tmp_path))
    assert row["run"] == "torn"
    assert str(row["state"]).startswith("damaged, it may be a live run: ")
    assert name in str(row["state"])
    assert dispatch(["--home", str(tmp_path), "live", "list"]) == 0
    if name == "run.json":
        assert "damaged: " in str(states(list_paper(Workspace(tmp_path)))["torn"])


def test_an_empty_folder_is_no_live_run(tmp_path: Path) -> None:
    (tmp_path / "trading" / "empty").mkdir(parents=True)
    assert list_live_runs(Workspace(tmp_path)) == []


def test_who_names_a_run_without_its_log_is_told_what_is_missing(tmp_path: Path) -> None:
    run_of(tmp_path, "lost", PaperMode.LIVE, "events.db")
    with pytest.raises(InputError, match="damaged: its log") as told:
        find_run(tmp_path, "lost")
    assert "events.db" in told.value.fix
    with pytest.raises(InputError, match="no trading run"):
        find_run(tmp_path, "other")
    with pytest.raises(InputError, match="no trading run"):
        find_run(tmp_path, "../trading/lost")
