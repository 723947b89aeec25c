"""`genesis events`: each command on a small log, as text, as JSON, and when something is wrong."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from genesis.cli import events
from genesis.trading.store import verify
from tests.e2e.command_line import Answer
from tests.unit.cli.command_answers import call
from tests.unit.decision.operation_samples import decided, resolved, sitting
from tests.unit.trading.event_samples import filled_store, mixed, open_store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with one trading run of forty events, twenty of them archived."""
    with filled_store(tmp_path / "trading" / "paper_1", 40) as store:
        store.archive(segment_events=10, before_seq=21)
    return tmp_path


def answer(home: Path, *words: str) -> Answer:
    return call(home, "events", *words)


def plain(home: Path, *words: str) -> dict:  # type: ignore[type-arg]
    return json.loads(answer(home, *words, "--json").out)


def seqs(found: dict) -> list[int]:  # type: ignore[type-arg]
    return [event["seq"] for event in found["events"]]


def test_tail_shows_the_latest(home: Path) -> None:
    assert seqs(plain(home, "tail", "-n", "3")) == [38, 39, 40]
    text = answer(home, "tail", "paper", "-n", "2").out.splitlines()
    assert len(text) == 2
    assert "alert_raised" in text[1]
    assert seqs(plain(home, "tail", "--type", "order_submit", "-n", "2")) == [34, 38]
    assert seqs(plain(home, "tail", "-n", "0")) == []


def test_tail_follows_what_comes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter(range(3))

    def more() -> None:
        if next(turns) == 2:
            raise KeyboardInterrupt
        with open_store(home / "trading" / "paper_1") as store:
            store.commit([mixed(n) for n in (40, 41)], [])

    monkeypatch.setattr(events, "_pause", more)
    got = answer(home, "tail", "-f", "-n", "1", "--json")
    assert got.code == 0
    lines = [json.loads(line)["event"]["seq"] for line in got.out.splitlines()]
    assert lines == [40, 41, 42, 43, 44]


def test_query_by_each_condition(home: Path) -> None:
    fits = [n + 1 for n in range(40) if mixed(n).correlation == "TPL_2"]
    assert seqs(plain(home, "query", "--correlation", "TPL_2")) == fits
    fits = [n + 1 for n in range(40) if mixed(n).aggregate == "BTC"]
    assert seqs(plain(home, "query", "--aggregate", "BTC")) == fits
    since, until = "1970-01-01T00:00:05", "1970-01-01T00:02:00"
    fits = [n + 1 for n in range(40) if 5_000 <= mixed(n).ts_ms <= 120_000]
    assert seqs(plain(home, "query", "--since", since, "--until", until)) == fits
    assert seqs(plain(home, "query", "--from", "19", "--to", "22")) == [19, 20, 21, 22]
    found = plain(home, "query", "--type", "bar_closed", "--newest-first", "--limit", "2")
    assert (seqs(found), found["more"]) == ([37, 33], True)
    assert found["events"][0]["data"]["symbol"] == "BTC"


def test_query_as_text(home: Path) -> None:
    text = answer(home, "query", "--type", "order_submit", "--limit", "2").out
    assert "TPL_0" in text
    assert "the first 2 are shown" in text
    assert "1970-01-01T00:00:01.000Z" in text
    nothing = answer(home, "query", "--type", "run_finished")
    assert (nothing.code, "no event of paper_1" in nothing.out) == (0, True)


def test_wrong_words_are_answered_with_the_right_ones(home: Path) -> None:
    kind = answer(home, "query", "--type", "order_submitt")
    assert (kind.code, "did you mean 'order_submit'" in kind.err) == (2, True)
    when = answer(home, "query", "--since", "yesterday")
    assert when.code == 2
    run = answer(home, "verify", "papr_1")
    assert (run.code, "did you mean 'paper_1'" in run.err) == (2, True)
    assert answer(home.parent / "empty", "tail").code == 2


def test_verify_says_that_all_is_well(home: Path) -> None:
    got = answer(home, "verify")
    assert got.code == 0
    assert "paper_1: 40 events, 2 archived segments: every link" in got.out
    report = plain(home, "verify")["report"]
    assert (report["events"], report["segments"], report["damage"]) == (40, 2, None)


def test_verify_names_what_was_changed_and_refuses(home: Path) -> None:
    db = sqlite3.connect(home / "trading" / "paper_1" / "events.db")
    db.execute("UPDATE events SET ts_ms = 1 WHERE seq = 33")
    db.commit()
    db.close()
    got = answer(home, "verify")
    assert got.code == 3
    assert "edited event 33" in got.err
    assert "events.db; the 32 events before it are sound" in got.err
    found = plain(home, "verify")
    assert found["ok"] is False
    assert found["error"]["exit_code"] == 3
    assert found["report"]["damage"]["seq"] == 33
    assert answer(home, "verify", "--json").code == 3


def test_verify_of_what_cannot_be_read_fails(home: Path) -> None:
    path = home / "trading" / "paper_1" / "events.db"
    content = bytearray(path.read_bytes())
    content[:16] = b"no database here"
    path.write_bytes(content)
    got = answer(home, "verify")
    assert got.code == 1
    assert "fix:" in got.err
    assert "Traceback" not in got.err


def test_archive_moves_whole_segments(home: Path) -> None:
    found = plain(home, "archive", "--segment", "5", "--before", "32")
    assert [(s["first"], s["last"]) for s in found["segments"]] == [(21, 25), (26, 30)]
    again = answer(home, "archive", "--segment", "5", "--before", "32")
    assert "nothing to do" in again.out
    assert "in 2 files" in answer(home, "archive", "--segment", "5").out
    assert verify(home / "trading" / "paper_1").segments == 6


def test_archive_by_age(home: Path) -> None:
    assert plain(home, "archive", "--segment", "5", "--older-than", "2000-01-01")["segments"] == []
    assert len(plain(home, "archive", "--segment", "5", "--older-than", "2100-01-01")["segments"])


def test_archive_is_refused_while_the_run_trades(home: Path) -> None:
    with open_store(home / "trading" / "paper_1"):
        got = answer(home, "archive", "--segment", "5")
        assert got.code == 3
        assert "another process writes" in got.err
        assert len(seqs(plain(home, "query"))) == 40  # reading goes on


def test_export_to_both_formats(home: Path, tmp_path: Path) -> None:
    lines = tmp_path / "all.jsonl"
    assert plain(home, "export", "--out", str(lines))["events"] == 40
    read = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [event["seq"] for event in read] == list(range(1, 41))
    assert read[1]["data"]["order"]["size"] == "0.002"
    table = tmp_path / "some.parquet"
    got = answer(home, "export", "--type", "order_submit", "--out", str(table))
    assert "10 events written" in got.out
    rows = pq.read_table(table).to_pylist()
    assert {row["type"] for row in rows} == {"order_submit"}
    assert json.loads(rows[0]["data"]) == read[1]["data"]


def test_export_overwrites_only_when_told(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.jsonl"
    target.write_text("mine")
    assert answer(home, "export", "--out", str(target)).code == 2
    assert target.read_text() == "mine"
    assert answer(home, "export", "--out", str(target), "--force").code == 0
    assert answer(home, "export", "--out", str(tmp_path / "x.csv")).code == 2
    assert answer(home, "export").code == 2


# ---- the log of operations ---------------------------------------------------------------------


def test_the_log_of_operations_is_a_log_like_any_other(home: Path, tmp_path: Path) -> None:
    told = answer(home, "verify", "operations", "--json")
    assert told.code == 2
    assert "no log of operations" in told.error["what"]
    assert "restore" in told.error["fix"]
    with sitting(home) as log:
        log.append(decided())
        log.append(resolved())
    assert plain(home, "verify", "operations")["report"]["events"] == 2
    assert "operations: 2 events: every link" in answer(home, "verify", "operations").out
    assert seqs(plain(home, "tail", "operations", "-n", "1")) == [2]
    assert seqs(plain(home, "query", "operations", "--type", "decision_made")) == [1]
    assert plain(home, "verify")["run"] == "paper_1"  # what is named by nothing is a run
    with sqlite3.connect(home / "operations" / "events.db") as db:
        db.execute("UPDATE events SET aggregate = 'other' WHERE seq = 2")
    told = answer(home, "verify", "operations")
    assert told.code == 3
    assert "the log of operations is damaged (edited event 2)" in told.err
