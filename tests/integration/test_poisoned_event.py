"""An event that no handler can deal with: the run halts on it, and a person takes it out."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from genesis.strategy.text import dump_strategy
from genesis.trading.core import TradingCore
from genesis.trading.events import Event, EventType
from genesis.trading.status import Fault, read_status
from genesis.trading.store import EventReader
from genesis.trading.store.lock import WriterLock
from tests.e2e.command_line import Answer
from tests.unit.cli.command_answers import call
from tests.unit.paper.paper_runs import trading_strategy

RUN = "poisoned"
ERROR = "ValueError: nobody can deal with this"
PLACE = 4
"""Which one of its kind is the poison."""


class Poison:
    """Makes the core fail at one event, whoever folds the log and however often."""

    def __init__(self, patch: pytest.MonkeyPatch, kind: EventType) -> None:
        self.seq = self._seen = 0
        handle = TradingCore.handle

        def poisoned(core: TradingCore, event: Event) -> None:
            if event.type is kind and not self.seq:
                self._seen += 1
                if self._seen == PLACE:
                    self.seq = event.seq
            if event.seq == self.seq:
                raise ValueError("nobody can deal with this")
            handle(core, event)

        patch.setattr(TradingCore, "handle", poisoned)


KINDS = (EventType.NEWS_RECEIVED, EventType.SIGNAL_GENERATED, EventType.ORDER_ACCEPTED)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with bars, and a run in it that nothing poisoned."""
    home = tmp_path_factory.mktemp("poisoned") / "home"
    synth = ("--assets", "1", "--bars", "600", "--interval", "4h", "--seed", "3")
    made = call(home, "data", "synth", *synth, "--plant", "trend:0.003")
    assert made.code == 0, made.err
    (home / "strategy.json").write_text(json.dumps(dump_strategy(trading_strategy(6))))
    items = [{"at": f"2020-02-{day:02d}T03:00", "headline": f"day {day}"} for day in range(5, 25)]
    with (home / "news.jsonl").open("w") as file:
        file.writelines(json.dumps(item) + "\n" for item in items)
    done = call(home, *run_words(home, "clean"))
    assert done.code == 0, done.err
    return home


def run_words(home: Path, name: str) -> list[str]:
    words = ["paper", "run", str(home / "strategy.json"), "-d", "synth:SYN1:4h", "--json"]
    return [*words, "--funding", "none", "--run", name, "--news", str(home / "news.jsonl")]


def fills(home: Path, name: str) -> list[tuple[Any, ...]]:
    """Fills of a run; the latency of each, some ms, is drawn by its id and left out."""
    with EventReader(home / "trading" / name) as reader:
        rows = reader.rows("fills", order="ts_ms, fill_id")
    return [(r["ts_ms"] // 1_000, r["side"], r["size"], r["price"]) for r in rows]


def flow(home: Path, name: str) -> tuple[int, dict[str, Any]]:
    answer = call(home, "audit", "flow", name, "--json")
    found = json.loads(answer.out)["flow"]
    assert isinstance(found, dict)
    return answer.code, found


def quarantine(home: Path, *words: str) -> Answer:
    return call(home, "events", "quarantine", *words)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_halts_on_an_event_and_goes_on_without_it(
    market: Path, kind: EventType, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, name = market, f"{RUN}-{kind}"
    folder = home / "trading" / name
    poison = Poison(monkeypatch, kind)
    halted = call(home, *run_words(home, name))
    seq = poison.seq
    problem = json.loads(halted.out)["error"]
    assert halted.code == problem["exit_code"] == 1
    assert problem["what"] == f"trading is halted on event {seq} ({kind})"
    assert problem["why"] == ERROR
    assert f"events quarantine {name} {seq} --reason" in problem["fix"]
    status = read_status(folder)
    assert status is not None
    assert status.fault == Fault(seq, kind, ERROR)
    assert (status.state, status.healthy) == ("failed", False)
    assert f"critical: trading is halted on event {seq}" in halted.err

    # Nothing after it was handled: no event of the log was emitted by it or a later one.
    with EventReader(folder) as reader:
        events = list(reader.events())
    assert events[seq - 1].type is kind
    assert max(event.caused_by for event in events) < seq
    code, found = flow(home, name)
    (loop,) = (one for one in found["stages"] if one["stage"] == "loop")
    assert (code, found["healthy"], loop["verdict"]) == (1, False, "stalled")
    assert loop["lag"] == len(events) - seq + 1

    # A resume halts there again, in the same words, and adds nothing to the log.
    again = call(home, "paper", "run", "--resume", name, "--json")
    assert again.code == 1
    assert json.loads(again.out)["error"] == problem
    with EventReader(folder) as reader:
        assert reader.head.seq == len(events)

    require_refusals(home, name, seq)
    taken = quarantine(home, name, str(seq), "--reason", "a test", "--yes")
    assert taken.code == 0, taken.err
    assert f"halted   {ERROR}" in taken.err
    assert kind in taken.err
    (line,) = (folder / "quarantine.jsonl").read_text().splitlines()
    kept = json.loads(line)
    assert (kept["seq"], kept["reason"], kept["who"]) == (seq, "a test", getpass.getuser())
    assert kept["ts_ms"] > 1_700_000_000_000
    assert quarantine(home, name, str(seq), "--reason", "twice", "--yes").code == 2

    done = call(home, "paper", "run", "--resume", name, "--json")
    assert done.code == 0, done.out
    verified = call(home, "replay", name, "--verify", "--json")
    assert verified.code == 0, verified.out
    assert json.loads(verified.out)["replay"]["equal"]
    code, found = flow(home, name)
    assert (code, found["healthy"], found["state"]) == (0, True, "finished"), found
    assert len(fills(home, name)) > 40
    if kind is EventType.NEWS_RECEIVED:  # it led to nothing: all else is as without it
        assert fills(home, name) == fills(home, "clean")


def require_refusals(home: Path, name: str, seq: int) -> None:
    """What cannot be taken out, and that nothing was changed by trying."""
    cases = [
        ([name, "999999", "--reason", "x", "--yes"], 2, "has no event 999999"),
        ([name, "0", "--reason", "x", "--yes"], 2, "not a run and the number"),
        ([name, str(seq), "--yes"], 2, "no reason"),
        ([name, str(seq - 1), "--reason", "x", "--yes"], 3, "is not halted on event"),
        (["no-such-run", str(seq), "--reason", "x", "--yes"], 2, "no trading run"),
        ([name, str(seq), "--reason", "x"], 3, "nobody is there to confirm"),
    ]
    for words, code, text in cases:
        answer = quarantine(home, *words)
        assert (answer.code, text in answer.err) == (code, True), (words, answer)
    assert not (home / "trading" / name / "quarantine.jsonl").exists()


def test_an_event_behind_the_one_it_halts_on_cannot_be_taken_out(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, name = market, f"{RUN}-behind"
    poison = Poison(monkeypatch, EventType.BAR_CLOSED)
    assert call(home, *run_words(home, name)).code == 1
    with EventReader(home / "trading" / name) as reader:
        head = reader.head.seq
    assert head > poison.seq  # the candle that is ready with that bar
    answer = quarantine(home, name, str(head), "--reason", "x", "--yes")
    assert answer.code == 3
    assert f"is halted on event {poison.seq}, not on {head}" in answer.err


def test_a_run_that_is_held_keeps_its_events(market: Path) -> None:
    lock = WriterLock(market / "trading" / "clean")
    try:
        answer = quarantine(market, "clean", "5", "--reason", "x", "--yes")
    finally:
        lock.release()
    assert answer.code == 3
    assert "holds the run" in answer.err
