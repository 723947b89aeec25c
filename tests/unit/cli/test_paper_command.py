"""`genesis paper`: every mode and option, what is refused, stopping and going on."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genesis.cli.paper_progress import PaperProgress
from genesis.paper.settings import PaperMode
from tests.e2e.command_line import Answer, command
from tests.unit.cli.paper_homes import DATASET, Home, copy_of, make_home, paper_home
from tests.unit.system.test_run_lists import run_of

__all__ = ["paper_home"]


@pytest.fixture
def own(paper_home: Home, tmp_path: Path) -> Home:
    """The workspace, for a test that writes."""
    return copy_of(paper_home, tmp_path)


@pytest.fixture
def stops_after(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Number of steps after which a user stops the next run; empty for never."""
    steps: list[int] = []
    told = PaperProgress.told

    def counted(self: PaperProgress, phases: int) -> None:
        told(self, phases)
        if steps and phases == steps[0]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(PaperProgress, "told", counted)
    return steps


def refused(answer: Answer, code: int, *words: str) -> None:
    """An error that says what is wrong and what to do, without a traceback."""
    assert answer.code == code, answer.out + answer.err
    assert "Traceback" not in answer.out + answer.err
    error = answer.error
    assert error["what"]
    assert error["fix"] or error["why"], error
    told = " ".join(str(error[k]) for k in ("what", "why", "fix"))
    for word in words:
        assert word in told, told


# ---- what a run answers ----------------------------------------------------------------------


def test_a_validation_run_is_faithful(paper_home: Home) -> None:
    answer = paper_home.call("paper", "report", "whole", "--json")
    (strategy,) = answer.json["paper"]["strategies"]
    fidelity = strategy["fidelity"]
    assert (fidelity["verdict"], fidelity["position_match"]) == ("FAITHFUL", 1.0)
    assert strategy["performance"]["trades"] > 10
    assert strategy["strategy"] in Path(answer.json["page"]).read_text()


def test_a_run_is_shown_as_text_too(own: Home) -> None:
    answer = own.run("second", strategy="counter")
    assert answer.code == 0, answer.err
    assert "paper run (after costs)" in answer.out
    assert "genesis --home" in answer.out
    assert "replay second --verify" in answer.out
    listed = own.call("paper", "list", "--json").json["runs"]
    assert [(r["run"], r["mode"], r["state"]) for r in listed] == [
        ("second", "replay", "finished"),
        ("whole", "backtest-validation", "finished"),
    ]
    assert "whole" in own.call("paper", "list").out
    assert "paper run (after costs)" in own.call("paper", "report", "second").out


def test_several_strategies_and_symbols_at_once(own: Home) -> None:
    words = ("paper", "run", own.file("trend"), own.file("counter"))
    answer = own.call(*words, *DATASET, "--run", "both", "--json")
    assert answer.code == 0, answer.err
    found = answer.json["paper"]["strategies"]
    assert len(found) == 2
    assert sorted(one["rank"] for one in found) == [1, 2]
    replayed = own.call("replay", "both", "--verify", "--json").json["replay"]
    assert len(replayed["state"]["accounts"]) == 2
    assert len(replayed["state"]["deployments"]) == 4


def test_a_simulation_needs_no_data(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    words = ("paper", "run", home.file("trend"), "--mode", "simulation", "--symbols", "AAA,BBB")
    answer = home.call(*words, "--bars", "120", "--seed", "4", "--run", "sim", "--json")
    assert answer.code == 0, answer.err
    again = home.call(*words, "--bars", "120", "--seed", "4", "--run", "sim2", "--json")
    other = home.call(*words, "--bars", "120", "--seed", "5", "--run", "sim3", "--json")
    hashes = []
    for name in ("sim", "sim2", "sim3"):
        replayed = home.call("replay", name, "--json").json["replay"]
        assert {p["symbol"] for p in replayed["state"]["positions"]} <= {"AAA", "BBB"}
        hashes.append(replayed["state"]["accounts"])
    assert hashes[0] == hashes[1] != hashes[2]
    assert again.code == other.code == 0
    warnings = answer.json["paper"]["warnings"]
    assert any("no shadow backtest" in text for text in warnings)


@pytest.mark.parametrize(
    "options",
    [
        ("--algorithm", "twap", "--slices", "3"),
        ("--algorithm", "iceberg", "--slices", "2"),
        ("--stops", "loop"),
        ("--capital", "5000", "--leverage", "2"),
    ],
)
def test_options_are_taken(own: Home, options: tuple[str, ...]) -> None:
    answer = own.run("other", *options, "--json")
    assert answer.code == 0, answer.err
    assert own.call("replay", "other", "--verify", "--json").json["replay"]["equal"] is True


def test_news_and_schedules_are_part_of_a_run(own: Home, tmp_path: Path) -> None:
    (tmp_path / "news.yaml").write_text(
        "version: 1\nnews:\n"
        "  - {at: 2020-01-10, headline: A fork, symbols: [SYN1], action: flatten, id: fork}\n"
    )
    (tmp_path / "schedule.yaml").write_text(
        'version: 1\nschedules:\n  - {id: night, at: "20:00", action: pause}\n'
        '  - {id: day, at: "08:00", action: resume}\n'
    )
    files = ("--news", str(tmp_path / "news.yaml"), "--schedule", str(tmp_path / "schedule.yaml"))
    answer = own.run("timed", *files, "--json")
    assert answer.code == 0, answer.err
    counts = {
        kind: len(
            own.call("events", "query", "timed", "--type", kind, "--limit", "1000", "--json").json[
                "events"
            ]
        )
        for kind in ("news_received", "schedule_due", "trading_halted", "trading_resumed")
    }
    assert counts["news_received"] == 1
    assert counts["schedule_due"] > 50
    assert counts["trading_halted"] > 20
    assert own.call("replay", "timed", "--verify", "--json").json["replay"]["equal"] is True


# ---- what is refused -------------------------------------------------------------------------


ADDRESS = "0x" + "a1" * 20
NET = ("--mode", "testnet", "--symbols", "BTC", "--account", ADDRESS, "--key-fd", "99")
NOT_ON_A_TESTNET = [
    ((*NET, "--url", "https://api.hyperliquid.xyz"), 3, ("mainnet", "venue serve")),
    (("--mode", "testnet", "--account", ADDRESS, "--key-fd", "99"), 2, ("--symbols",)),
    (("--mode", "testnet", "--symbols", "BTC", "--key-fd", "99"), 2, ("--account",)),
    (("--mode", "testnet", "--symbols", "BTC", "--account", ADDRESS), 2, ("--key-file",)),
    ((*NET, "--keyring", "a/b"), 2, ("several keys",)),
    (NET, 2, ("descriptor 99",)),
    ((*NET, "--leverage", "2"), 2, ("--leverage", "testnet")),
    ((*NET, "--capital", "-5"), 2, ("capital",)),
    ((*NET, "--interval", "7s"), 2, ("7s",)),
    (("--url", "http://127.0.0.1:1"), 2, ("--url", "testnet")),
    ((*NET[:-2], "--key-file", "/nowhere/agent.json"), 2, ("/nowhere/agent.json", "no such file")),
]


@pytest.mark.parametrize(("words", "code", "told"), NOT_ON_A_TESTNET)
def test_what_a_testnet_needs_is_said(
    paper_home: Home, words: tuple[str, ...], code: int, told: tuple[str, ...]
) -> None:
    line = ("paper", "run", paper_home.file("trend"), "--run", "net", *words, "--json")
    refused(paper_home.call(*line), code, *told)
    assert not (paper_home.home / "trading" / "net").exists()


BAD = [
    (("--mode", "replya"), ("replya", "replay")),
    (("--capital", "-5"), ("capital",)),
    (("--capital", "nan"), ("capital",)),
    (("--capital", "0"), ("capital",)),
    (("--leverage", "100"), ("leverage",)),
    (("--leverage", "0.5"), ("leverage",)),
    (("--algorithm", "vwap"), ("vwap", "twap")),
    (("--stops", "mental"), ("mental", "venue")),
    (("--algorithm", "twap", "--slices", "0"), ("slices",)),
    (("--slices", "1000"), ("slices",)),
    (("--news", "/nowhere/news.yaml"), ("/nowhere/news.yaml",)),
    (("--schedule", "/nowhere/s.yaml"), ("/nowhere/s.yaml",)),
    (("--dataset", "synth:SYN9:4h"), ("SYN9",)),
    (("--dataset", "nonsense"), ("nonsense",)),
    (("--funding", "sometimes"), ("sometimes",)),
    (("--run", "../escape"), ("../escape",)),
    (("--run", "whole"), ("whole", "--resume")),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[" ".join(o) for o, _ in BAD])
def test_bad_input_is_answered_by_what_to_do(
    paper_home: Home, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    before = sorted(p.name for p in (paper_home.home / "trading").iterdir())
    answer = paper_home.run("bad", *options, "--json")
    refused(answer, 2, *words)
    assert sorted(p.name for p in (paper_home.home / "trading").iterdir()) == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ((*DATASET,), ("no strategy", "strategies list")),
        (("strat_nobody", *DATASET), ("strat_nobody",)),
        (("/nowhere/s.json", *DATASET), ("/nowhere/s.json",)),
        (("FILE",), ("dataset", "data list")),
        (("FILE", "--mode", "simulation", "--dataset", "synth:SYN1:4h"), ("simulation",)),
        (("FILE", "--mode", "simulation", "--symbols", ","), ("symbols",)),
        (("FILE", "--mode", "simulation", "--interval", "7x"), ("7x",)),
        (("--resume", "nobody"), ("nobody",)),
        (("--resume", "whole"), ("finished", "paper report whole")),
        (("--resume", "whole", "--capital", "5"), ("--resume", "--capital")),
        (("FILE", "--resume", "whole"), ("--resume",)),
        (("FILE", "FILE", *DATASET), ("named twice", "name it once")),
    ],
)
def test_lines_that_cannot_mean_anything(
    paper_home: Home, line: tuple[str, ...], words: tuple[str, ...]
) -> None:
    line = tuple(paper_home.file("trend") if word == "FILE" else word for word in line)
    refused(paper_home.call("paper", "run", *line, "--json"), 2, *words)


def test_files_that_are_none_are_refused_before_anything_is_written(
    paper_home: Home, tmp_path: Path
) -> None:
    bad = tmp_path / "s.json"
    for text, code in (("{", 2), ("[]", 2), ('{"rules": {"long": "no_such(close)"}}', 2)):
        bad.write_text(text)
        refused(paper_home.call("paper", "run", str(bad), *DATASET, "--json"), code)
    for text, word in (
        ("version: 1\nnews:\n  - {at: whenever, headline: x}\n", "whenever"),
        ("version: 1\nnews:\n  - {at: 2020-01-10, headline: x, action: flaten}\n", "flatten"),
        ("version: 1\nnews:\n  - {at: 2020-01-10, headline: x, symbols: [SYN9]}\n", "SYN9"),
        ("\x00\x01", ""),
    ):
        news = tmp_path / "news.yaml"
        news.write_text(text)
        answer = paper_home.run("news", "--news", str(news), "--json")
        refused(answer, 2, "news.yaml", word)
        assert not (paper_home.home / "trading" / "news").exists()


def test_errors_as_text_say_what_and_fix(paper_home: Home) -> None:
    answer = paper_home.run("bad", "--mode", "replya")
    assert answer.code == 2
    assert answer.out == ""
    assert "unknown mode 'replya'" in answer.err
    assert "fix" in answer.err
    assert "Traceback" not in answer.err


# ---- stopped and gone on with ----------------------------------------------------------------


def test_ctrl_c_saves_and_resume_finishes(own: Home, stops_after: list[int]) -> None:
    stops_after.append(100)
    stopped = own.run("broken", "--mode", "backtest-validation", "--json")
    refused(stopped, 130, "--resume broken")
    states = {r["run"]: r["state"] for r in own.call("paper", "list", "--json").json["runs"]}
    assert states["broken"] == "can be resumed"
    refused(own.call("paper", "report", "broken", "--json"), 2, "--resume broken")
    again = own.call("paper", "run", "--resume", "bro", "--json")
    refused(again, 130, "--resume broken")
    stops_after.clear()
    done = own.call("paper", "run", "--resume", "broken", "--json")
    assert done.code == 0, done.err
    one, two = (
        own.call("replay", name, "--verify", "--json").json["replay"]
        for name in ("whole", "broken")
    )
    assert one["state_hash"] != two["state_hash"], "the run's own id is part of its state"
    assert one["state"]["accounts"] == two["state"]["accounts"]
    assert [p["size"] for p in one["state"]["positions"]] == [
        p["size"] for p in two["state"]["positions"]
    ]
    strategies = [
        own.call("paper", "report", name, "--json").json["paper"]["strategies"]
        for name in ("whole", "broken")
    ]
    assert strategies[0][0]["performance"] == strategies[1][0]["performance"]


def test_bars_that_were_replaced_are_refused(own: Home, stops_after: list[int]) -> None:
    stops_after.append(50)
    assert own.run("broken", "--json").code == 130
    stops_after.clear()
    shutil.rmtree(own.home / "data")
    synth = ("--assets", "2", "--bars", "240", "--interval", "4h", "--seed", "8")
    assert own.call("data", "synth", *synth).code == 0
    refused(own.call("paper", "run", "--resume", "broken", "--json"), 2, "replaced")
    refused(own.call("paper", "report", "whole", "--json"), 2, "replaced")
    assert own.call("replay", "whole", "--verify").code == 0, "the log needs no bars"


def test_a_report_needs_a_run(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    refused(home.call("paper", "report", "--json"), 2, "no trading run")
    assert "no paper run yet" in home.call("paper", "list").out
    assert home.call("paper", "list", "--json").json["runs"] == []


def test_a_run_that_is_traded_by_another_process_is_refused(own: Home) -> None:
    from genesis.trading.store.lock import WriterLock

    own.run("busy", "--json")
    (own.home / "trading" / "busy" / "result.json").unlink()
    lock = WriterLock(own.home / "trading" / "busy")
    try:
        refused(own.call("paper", "run", "--resume", "busy", "--json"), 3)
    finally:
        lock.release()
    assert own.call("paper", "run", "--resume", "busy", "--json").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("steps", [1, 40])
def test_a_real_process_that_is_interrupted(own: Home, number: int, steps: int) -> None:
    words = ("paper", "run", own.file("trend"), own.file("counter"), *DATASET, "--json")
    assert own.call(*words, "--run", "same").code == 0
    whole = own.call("replay", "same", "--verify", "--json").json["replay"]
    shutil.rmtree(own.home / "trading" / "same")
    process = subprocess.Popen(
        command(own.home, *words, "--run", "same"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a shell ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    log = own.home / "trading" / "same" / "events.db"
    while process.poll() is None and not _events(log) > steps:
        time.sleep(0.002)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    refused(Answer(process.returncode, out, err), 130, "--resume same")
    done = own.call("paper", "run", "--resume", "same", "--json")
    assert done.code == 0, done.err
    resumed = own.call("replay", "same", "--verify", "--json").json["replay"]
    assert resumed["state_hash"] == whole["state_hash"]
    assert resumed["state"] == whole["state"]
    assert resumed["events"] > whole["events"]


def _events(log: Path) -> int:
    """Events of a log that another process writes; 0 while there is none."""
    try:
        with sqlite3.connect(f"file:{log}?mode=ro", uri=True) as db:
            return int(db.execute("SELECT seq FROM head").fetchone()[0])
    except (sqlite3.Error, TypeError):
        return 0


def test_positions_that_a_person_closes_are_no_fault_of_execution(
    own: Home, tmp_path: Path
) -> None:
    from genesis.costs.model import CostModel
    from genesis.paper.agreement import agreement
    from genesis.paper.logged import read_logged

    (tmp_path / "schedule.yaml").write_text(
        "version: 1\nschedules:\n"
        '  - {id: home, at: "10:00", weekdays: [mon], action: flatten, symbols: [SYN1]}\n'
    )
    files = ("--schedule", str(tmp_path / "schedule.yaml"))
    answer = own.run("left", *files, "--mode", "backtest-validation", "--json")
    assert answer.code == 0, answer.err
    found = answer.json["paper"]["strategies"][0]["fidelity"]
    assert found["outside"] > 0
    assert (found["position_match"], found["held_match"]) == (1.0, 1.0)
    shown = own.call("paper", "report", "left")
    assert f"{found['outside']} bars aside" in " ".join(shown.out.split())
    page = Path(own.call("paper", "report", "left", "--json").json["page"]).read_text()
    assert f"{found['outside']} not compared" in page
    logged = read_logged(own.home / "trading" / "left", lambda _: True)
    assert logged is not None
    same = agreement(logged, CostModel(), 3.0)
    assert same is not None
    assert (same.position_match, same.outside) == (1.0, found["outside"])
    note = same.measures("paper", 0.1)["paper_position_match"][1]
    assert f"{same.outside} more not compared" in note
    whole = own.call("paper", "report", "whole", "--json").json["paper"]["strategies"][0]
    assert whole["fidelity"]["outside"] == 0


def _live_run(home: Home, *, finished: bool) -> None:
    """A run of promoted deployments, written after the others."""
    folder = run_of(home.home, "live-9", PaperMode.LIVE)
    if finished:
        (folder / "result.json").write_text('{"state_hash": "a", "events": 1, "build": "b"}')
    later = time.time_ns() + 10**9
    os.utime(folder / "events.db", ns=(later, later))


def test_a_report_is_of_the_latest_paper_run_and_never_of_a_live_one(own: Home) -> None:
    _live_run(own, finished=True)
    answer = own.call("paper", "report", "--json")
    assert answer.code == 0, answer.out + answer.err
    assert answer.json["paper"]["provenance"]["run_id"] == "whole"
    refused(own.call("paper", "report", "live-9", "--json"), 2, "is a live run", " trades live-9")


def test_a_live_run_that_is_not_finished_goes_on_by_live_run(own: Home) -> None:
    _live_run(own, finished=False)
    answer = own.call("paper", "report", "live-9", "--json")
    refused(answer, 2, "is a live run", " live run --account 0xa1")
    assert "--resume" not in answer.error["fix"]
