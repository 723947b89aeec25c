"""`genesis replay`: proof, time travel, publication, and what happens to a log that was changed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.unit.cli.paper_homes import Home, copy_of, paper_home
from tests.unit.cli.test_paper_command import refused

__all__ = ["paper_home"]


@pytest.fixture
def own(paper_home: Home, tmp_path: Path) -> Home:
    return copy_of(paper_home, tmp_path)


def replayed(home: Home, *words: str) -> dict:  # type: ignore[type-arg]
    answer = home.call("replay", *words, "--json")
    assert answer.code == 0, answer.out + answer.err
    return answer.json["replay"]  # type: ignore[no-any-return]


def test_a_log_leads_to_the_state_that_the_run_ended_with(paper_home: Home) -> None:
    found = replayed(paper_home, "whole", "--verify")
    result = json.loads((paper_home.home / "trading" / "whole" / "result.json").read_text())
    assert found["state_hash"] == found["expected"] == result["state_hash"]
    assert (found["equal"], found["pending"], found["divergences"]) == (True, 0, [])
    assert found["events"] == found["until"] == result["events"]
    (account,) = found["state"]["accounts"]
    assert float(account["fees"]) > 0
    assert replayed(paper_home) == found, "the latest run by default"
    assert replayed(paper_home, "who") == found


def test_the_text_says_the_same(paper_home: Home) -> None:
    answer = paper_home.call("replay", "whole", "--verify")
    assert answer.code == 0
    assert "every emitted event equals the log" in answer.out
    assert "is the state that the run ended with" in answer.out


def test_time_travel(paper_home: Home) -> None:
    whole = replayed(paper_home, "whole")
    states = {}
    for until in (1, 3, 200, 500, whole["until"] - 1, whole["until"]):
        found = replayed(paper_home, "whole", "--until", str(until))
        assert found["until"] == found["events"] == until
        assert (found["expected"] != "") == (until == whole["until"])
        states[until] = found["state_hash"]
    assert len(set(states.values())) >= 5
    assert states[whole["until"]] == whole["state_hash"]
    first = replayed(paper_home, "whole", "--until", "3")
    assert [d["deployment"].split("/")[1] for d in first["state"]["deployments"]] == [
        "SYN1",
        "SYN2",
    ]
    assert first["state"]["positions"] == []
    held = [
        replayed(paper_home, "whole", "--until", str(k))["state"]["positions"]
        for k in range(100, 700, 100)
    ]
    assert any(held)
    assert "state after event 200" in paper_home.call("replay", "whole", "--until", "200").out


def test_a_position_in_the_past_is_what_its_fills_add_up_to(paper_home: Home) -> None:
    lines = paper_home.call("replay", "whole", "--publish", "--until", "600").out.splitlines()
    sums: dict[str, float] = {}
    for event in map(json.loads, lines):
        if event["type"] == "order_filled":
            fill = event["data"]["fill"]
            sign = 1 if fill["side"] == "buy" else -1
            sums[fill["symbol"]] = sums.get(fill["symbol"], 0.0) + sign * float(fill["size"])
    found = replayed(paper_home, "whole", "--until", "600")["state"]["positions"]
    held = {p["symbol"]: float(p["size"]) for p in found}
    assert held == pytest.approx({k: v for k, v in sums.items() if abs(v) > 1e-9})
    assert sums


def test_events_are_published_again_in_their_order(paper_home: Home) -> None:
    answer = paper_home.call("replay", "whole", "--publish", "--until", "50")
    events = [json.loads(line) for line in answer.out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, 51))
    assert events[0]["type"] == "run_started"
    part = paper_home.call("replay", "whole", "--publish", "--from", "20", "--until", "30")
    assert [json.loads(line)["seq"] for line in part.out.splitlines()] == list(range(20, 31))


def test_what_cannot_be_asked(paper_home: Home) -> None:
    last = replayed(paper_home, "whole")["until"]
    call = paper_home.call
    refused(call("replay", "nobody", "--json"), 2, "nobody")
    refused(call("replay", "whole", "--until", str(last + 1), "--json"), 2, str(last))
    refused(call("replay", "whole", "--until", "0", "--json"), 2)
    refused(call("replay", "whole", "--until", "tomorrow", "--json"), 2)
    refused(call("replay", "whole", "--publish", "--json"), 2, "--publish")
    refused(call("replay", "whole", "--from", "3", "--json"), 2, "--publish")


def changed(home: Home, sql: str) -> None:
    with sqlite3.connect(home.home / "trading" / "whole" / "events.db") as db:
        db.execute(sql)


def test_a_state_that_is_not_the_run_s_is_told(own: Home) -> None:
    path = own.home / "trading" / "whole" / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps(result | {"state_hash": "f" * 64}))
    refused(own.call("replay", "whole", "--verify", "--json"), 3, "f" * 12)
    found = replayed(own, "whole")
    assert (found["equal"], found["divergences"]) == (False, [])
    assert "is NOT the run's" in own.call("replay", "whole").out


def test_a_log_of_other_settings_is_told(own: Home) -> None:
    """The limits of the run were other ones: its verdicts cannot be reproduced."""
    path = own.home / "trading" / "whole" / "run.json"
    plain = json.loads(path.read_text())
    plain["settings"]["limits"]["max_order"] = 0.01
    path.write_text(json.dumps(plain))
    answer = own.call("replay", "whole", "--verify", "--json")
    refused(answer, 3, "risk_assessed", "events verify whole")
    found = replayed(own, "whole")
    assert found["equal"] is False
    assert len(found["divergences"]) > 0
    assert "DIFFERS" in own.call("replay", "whole").out


def test_damage_is_told(own: Home) -> None:
    folder = own.home / "trading" / "whole"
    (folder / "result.json").write_text("{")
    answer = own.call("replay", "whole", "--json")
    assert answer.code in (1, 2)
    assert "Traceback" not in answer.err
    (folder / "result.json").unlink()
    assert replayed(own, "whole", "--verify")["expected"] == ""
    (folder / "run.json").unlink()
    refused(own.call("replay", "whole", "--json"), 2, "whole")
    log = folder / "events.db"
    log.write_bytes(log.read_bytes()[:4096])
    assert own.call("replay", "whole", "--json").code in (1, 2)


def test_a_killed_run_is_replayed_as_far_as_it_got(own: Home) -> None:
    """Emissions that were not stored yet are no difference; they are counted."""
    (own.home / "trading" / "whole" / "result.json").unlink()
    lines = own.call("replay", "whole", "--publish").out.splitlines()
    intents = [json.loads(x)["seq"] for x in lines if '"trade_intent"' in x]
    cut = intents[5]
    changed(own, f"DELETE FROM events WHERE seq > {cut}")
    import apsw

    db = apsw.Connection(str(own.home / "trading" / "whole" / "events.db"))
    row = db.execute("SELECT hash FROM events WHERE seq = ?", (cut,)).fetchone()
    db.execute("UPDATE head SET seq = ?, hash = ?", (cut, row[0]))
    db.close()
    found = replayed(own, "whole", "--verify")
    assert found["until"] == cut
    assert found["pending"] >= 1
    assert found["equal"] is True
    text = own.call("replay", "whole").out
    assert "were not stored before the run stopped" in text
