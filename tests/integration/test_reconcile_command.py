"""`genesis reconcile` beside a loop that answers: confirmation, inbox, verdict, exit codes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.story import ALL_TABLES
from genesis.cli import reconcile as command
from genesis.cli.main import dispatch
from genesis.system.clock import SystemClock
from genesis.trading.events import Event
from genesis.trading.inbox import Inbox
from genesis.trading.ledger import StrategyLedger
from genesis.trading.payloads import OperatorCommand, Reconciled, RunResumed
from genesis.trading.store.writer import EventStore
from genesis.trading.tables import Row

RUN, ACCOUNT = "paper_one", "paper/a"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def store(home: Path) -> Iterator[EventStore]:
    with EventStore.open(
        home / "trading" / RUN,
        run=RUN,
        tables=ALL_TABLES,
        clock=SystemClock(),
        synchronous="OFF",
    ) as opened:
        rows: list[Row] = []
        ledger = StrategyLedger()
        ledger.deposit(ACCOUNT, Decimal(1_000), Event(RunResumed(""), 1, seq=1), rows)
        opened.commit([], rows)
        yield opened


class Loop:
    """Takes commands as the trading loop does, and says what it is told to say."""

    def __init__(self, store: EventStore, *differences: str) -> None:
        self.store, self.differences = store, differences
        self.inbox = Inbox(store.folder)
        self.took: list[OperatorCommand] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Loop:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._end.wait(0.01):
            for one in self.inbox.pending():
                self.took.append(one)
                adopt = bool(one.arguments["adopt"])
                verdict = Reconciled(
                    str(one.arguments["account"]),
                    self.differences,
                    adopt and bool(self.differences),
                )
                self.store.commit([Event(one, 1), Event(verdict, 1, ACCOUNT)])
                self.inbox.consumed(one.command_id)


def run(
    capsys: pytest.CaptureFixture[str], home: Path, *words: str
) -> tuple[int, dict[str, object]]:
    code = dispatch(["--home", str(home), "reconcile", *words, "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out.splitlines()[0])


def test_equal_books_end_well(
    capsys: pytest.CaptureFixture[str], home: Path, store: EventStore
) -> None:
    with Loop(store) as loop:
        code, said = run(capsys, home, RUN)
    assert code == 0, said
    assert (said["done"], said["differences"]) == (True, [])
    assert [one.arguments for one in loop.took] == [{"account": ACCOUNT, "adopt": False}]
    assert loop.inbox.pending() == []


def test_differences_are_told_and_refused(
    capsys: pytest.CaptureFixture[str], home: Path, store: EventStore
) -> None:
    with Loop(store, "position in BTC: 0 in the ledger, 1 at the exchange"):
        code, said = run(capsys, home, RUN)
    assert code == 3, said
    assert said["differences"] == ["position in BTC: 0 in the ledger, 1 at the exchange"]


def test_adopting_needs_the_name_of_the_account(
    capsys: pytest.CaptureFixture[str], home: Path, store: EventStore
) -> None:
    with Loop(store, "position in BTC") as loop:
        code, said = run(capsys, home, RUN, "--adopt")
        assert (code, said["ok"]) == (3, False)  # no terminal, nobody to ask
        assert run(capsys, home, RUN, "--adopt", "--confirm", "paper/b")[0] == 3
        assert loop.took == []
        code, said = run(capsys, home, RUN, "--adopt", "--confirm", ACCOUNT, "--reason", "sold")
    assert code == 0, said
    assert said["adopted"] is True
    (took,) = loop.took
    assert (took.command, took.reason, took.arguments["adopt"]) == ("reconcile", "sold", True)


def test_a_person_at_a_terminal_types_it(
    capsys: pytest.CaptureFixture[str],
    home: Path,
    store: EventStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter(["paper/x", ACCOUNT])
    monkeypatch.setattr(command.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(command.typer, "prompt", lambda *_, **__: next(answers))
    with Loop(store) as loop:
        assert run(capsys, home, RUN, "--adopt")[0] == 3
        assert loop.took == []
        code, said = run(capsys, home, RUN, "--adopt")
        assert code == 0, said
        assert len(loop.took) == 1


def test_without_a_loop_the_command_waits_in_the_inbox(
    capsys: pytest.CaptureFixture[str], home: Path, store: EventStore
) -> None:
    code, said = run(capsys, home, RUN, "--wait", "0")
    assert (code, said["done"]) == (0, False)
    (waits,) = Inbox(store.folder).pending()
    assert waits.command_id == said["command"]


def test_an_unknown_account_is_named(
    capsys: pytest.CaptureFixture[str], home: Path, store: EventStore
) -> None:
    assert run(capsys, home, RUN, "--account", "paper/q")[0] == 2
    assert Inbox(store.folder).pending() == []
