"""`genesis kill` and `genesis rearm`, as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genesis.cli.main import dispatch
from genesis.decision.operations import read_operations
from genesis.paper.settings import PaperMode, PaperSettings, write_settings
from genesis.system.paper import RESULT
from genesis.trading.kill_latch import KillLatch
from genesis.trading.kill_report import KillReport, write_kill_report


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path / "home"


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return dict(json.loads(capsys.readouterr().out))


def test_a_kill_latches_is_on_record_and_stays_until_it_is_rearmed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--home", str(home)]
    assert dispatch([*line, "kill", "--reason", "drill", "--json"]) == 0
    assert said(capsys)["runs"] == []
    assert "drill" in KillLatch(home).closed()
    assert read_operations(home).kills["all"].reason == "drill"
    assert dispatch([*line, "kill", "--reason", "again", "--json"]) == 0, "twice does no harm"
    assert said(capsys)["reason"] == "drill"
    assert dispatch([*line, "rearm", "--reason", "drill over"]) == 2
    assert "--confirm REARM" in capsys.readouterr().err
    assert dispatch([*line, "rearm", "--confirm", "REARM"]) == 2
    assert "no reason" in capsys.readouterr().err
    assert KillLatch(home).closed()
    assert dispatch([*line, "rearm", "--reason", "over", "--confirm", "REARM", "--json"]) == 0
    assert said(capsys)["rearmed"] is True
    assert KillLatch(home).closed() == ""
    assert read_operations(home).kills == {}


def test_a_touched_file_is_on_record_when_it_is_taken_away(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "kill").touch()
    line = ["--home", str(home), "rearm", "--reason", "mine", "--confirm", "REARM"]
    assert dispatch(line) == 0
    assert not (home / "kill").exists()
    assert dispatch(line) == 2
    assert "not killed" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_does_not_hold_up_a_kill(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "operations").write_text("no folder")
    assert dispatch(["--home", str(home), "kill", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["latched"] is True
    assert "not in the log of operations" in captured.err
    assert KillLatch(home).closed()


def test_a_workspace_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["--home", str(tmp_path / "nowhere"), "kill"]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "command"),
    [
        (PaperMode.TESTNET, "paper run --resume net --key-file FILE"),
        (PaperMode.LIVE, "live run --account 0xa1 --key-file FILE"),
    ],
)
def test_a_run_that_nobody_trades_is_named_with_the_command_that_empties_it(
    home: Path, capsys: pytest.CaptureFixture[str], mode: PaperMode, command: str
) -> None:
    market = {
        "venue": "hyperliquid",
        "network": "local",
        "url": "",
        "symbols": ["SOL"],
        "interval": "1m",
        "accounts": {"one": "0xa1"},
        "anchor_ms": 0,
        "trade_from_ms": 0,
    }
    folder = home / "trading" / "net"
    folder.mkdir(parents=True)
    write_settings(folder, PaperSettings(mode=mode, strategies=(), market=market), {})
    assert dispatch(["--home", str(home), "kill", "--reason", "drill"]) == 1
    assert command in " ".join(capsys.readouterr().out.split())


def test_a_run_that_the_kill_has_ended_is_named_with_what_it_had(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--home", str(home), "kill", "--reason", "drill"]
    assert dispatch(line) == 0
    assert "no live run" in capsys.readouterr().out
    order = KillLatch(home).read()
    assert order is not None
    for name, at_ms in (("net", order.at_ms), ("old", order.at_ms - 1)):
        folder = home / "trading" / name
        folder.mkdir(parents=True)
        (folder / RESULT).write_text("{}")
        had = "no position, no working orders"
        write_kill_report(folder, KillReport(at_ms, at_ms, 0, (), verified=True, had=had))
    assert dispatch(line) == 0
    assert capsys.readouterr().out.splitlines() == [
        "net: had no position, no working orders; now no orders rest at the exchange, no position"
    ]
    assert dispatch([*line, "--json"]) == 0
    runs = said(capsys)["runs"]
    assert isinstance(runs, list)
    assert [(one["run"], one["had"], one["done"]) for one in runs] == [("net", had, True)]


def broken(home: Path, what: str) -> Path:
    folder = home / "trading" / "net"
    folder.mkdir(parents=True)
    market = {"venue": "hyperliquid", "accounts": {"one": "0xa1"}}  # most of it is missing
    write_settings(folder, PaperSettings(mode=PaperMode.LIVE, strategies=(), market=market), {})
    run, status = folder / "run.json", folder / "status.json"
    if what == "cut":
        run.write_text(run.read_text()[:40])
    elif what == "of another version":
        run.write_text('{"schema": 99}')
    elif what == "facts are none":
        run.write_text(run.read_text().replace('"facts": {}', '"facts": "no"'))
    elif what == "gone":
        run.unlink()
    status.write_text("{}")
    return folder


@pytest.mark.parametrize(
    "what", ["cut", "of another version", "facts are none", "gone", "market is damaged"]
)
def test_a_run_whose_settings_cannot_be_read_is_named_and_nothing_is_called_done(
    home: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    folder = broken(home, what)
    assert dispatch(["--home", str(home), "kill", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    assert row["run"] == "net"
    assert row["done"] is False
    assert "may be trading, settings unreadable" in row["text"]
    assert str(folder / "run.json") in row["fix"]
    assert KillLatch(home).closed(), "the latch does not wait for what can be read"
    assert dispatch(["--home", str(home), "kill"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "net: it may be trading, settings unreadable" in out
    assert "look at the exchange" in out


def test_an_empty_folder_never_came_to_trade(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "trading" / "net").mkdir(parents=True)
    assert dispatch(["--home", str(home), "kill", "--json"]) == 0
    assert said(capsys)["runs"] == []


def test_a_report_that_cannot_be_read_calls_nothing_done(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken(home, "nothing but its market")
    (folder / "killed.json").write_text("{")
    assert dispatch(["--home", str(home), "kill", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    assert row["done"] is False
