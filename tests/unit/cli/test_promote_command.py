"""`genesis promote` and its neighbours: words, codes, JSON, and a person at a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest

from genesis.cli.promote_words import same_way
from tests.conftest import REPOSITORY
from tests.e2e.command_line import Answer
from tests.unit.cli.command_answers import call
from tests.unit.decision.deployment_desk import ACCOUNT, DAY, OTHER, ManualClock, copied
from tests.unit.evidence.conftest import bred, settled_code
from tests.unit.system.promotion_homes import PRODUCTION, PromotionHome, promotion_home

__all__ = ["bred", "settled_code"]


NEW = ("--target", "loopback", "--symbols", "SYN1,SYN2", "--cap", "2,000")


@pytest.fixture(scope="module")
def deployed(bred: Path, tmp_path_factory: pytest.TempPathFactory) -> PromotionHome:
    """A strategy on paper with a run that is good enough; tests take it up and down."""
    home = promotion_home(bred, tmp_path_factory.mktemp("deployed"))
    home.judged(PRODUCTION)
    home.trade("whole")
    done = run(home, "promote", home.record.id[:9], "--to", "paper", "--account", ACCOUNT, *NEW)
    assert done.code == 0, done.err
    return home


def run(home: PromotionHome, *words: str) -> Answer:
    return call(home.home, *words)


def stage(home: PromotionHome, account: str) -> str:
    rows = run(home, "deployments", "list", "--account", account, "--json").json["deployments"]
    return str(rows[0]["stage"])


def test_the_whole_way_by_files_and_back(deployed: PromotionHome, tmp_path: Path) -> None:
    name, file = deployed.record.id, tmp_path / "a.json"
    # Nobody is at a terminal: without a file there is no consent.
    told = run(deployed, "promote", name, "--to", "canary", "--json")
    assert told.code == 3
    assert "needs an approval" in told.error["what"]
    assert "genesis" in told.error["fix"]
    made = run(deployed, "approve", name, "--stage", "canary", "--account", ACCOUNT,
               "--cap", "2000", "--out", str(file), "--json")  # fmt: skip
    assert made.code == 0, made.out
    assert file.stat().st_mode & 0o777 == 0o600
    assert run(deployed, "approve", name, "--stage", "canary", "--out", str(file)).code == 2
    done = run(deployed, "promote", name, "--to", "canary", "--approval", str(file), "--json")
    assert done.code == 0, done.out
    assert done.json["deployment"]["stage"] == "canary"
    assert done.json["deployment"]["capital"] == "100.00"
    again = run(deployed, "promote", name, "--to", "live_25", "--approval", str(file))
    assert again.code == 3
    assert "G5 canary_days could not be measured" in again.err
    shown = run(deployed, "deployments", "show", name)
    assert "paper_days" in shown.out
    assert "approval APR_" in shown.out
    checked = run(deployed, "deployments", "check", name, "--json").json["health"]
    assert checked["alarm"] == "unknown"  # it has not traded yet
    assert checked["reasons"]
    assert run(deployed, "demote", name).code == 2  # a reason is no option
    down = run(deployed, "demote", name, "--reason", "odd fills", "--json")
    assert down.json["deployment"]["stage"] == "paper"
    told = run(deployed, "promote", name, "--to", "canary", "--approval", str(file), "--json")
    assert told.code == 3


def test_words_that_make_no_sense_are_told(deployed: PromotionHome) -> None:
    name = deployed.record.id
    for words, code in (
        (("promote", name, "--to", "live"), 2),
        (("promote", name, "--to", "live_100"), 3),
        (("promote", "strat_none", "--to", "paper"), 2),
        (("promote", name, "--to", "canary", "--target", "moon"), 2),
        (("promote", name, "--to", "canary", "--account", "me"), 2),
        (("promote", name, "--to", "canary", "--cap", "lots"), 2),
        (("promote", name, "--to", "canary", "--approval", "/none"), 2),
        (("approve", name, "--stage", "canary", "--for", "9999", "--out", "/tmp/none.json"), 2),
        (("approve", name, "--stage", "live_50", "--out", "/tmp/none.json"), 3),
        (("demote", name, "--to", "live_100", "--reason", "x"), 3),
        (("deployments", "show", "strat_none"), 2),
        (("deployments", "allocate", "--total", "-3"), 2),
    ):
        answer = run(deployed, *words)
        assert answer.code == code, (words, answer.err)
        assert "Traceback" not in answer.err + answer.out


def test_a_step_up_names_the_next_one(deployed: PromotionHome) -> None:
    name, account = deployed.record.id, "0x" + "5" * 40
    line = ("promote", name, "--to", "paper", "--account", account, *NEW)
    done = run(deployed, *line)
    assert f"genesis --home {deployed.home} paper run {name}" in done.out.replace("\n", " ")
    assert f"promote {name} --to canary --account {account} --target loopback" in done.out
    assert run(deployed, "retire", name, "--account", account, "--reason", "x").code == 0
    steps = run(deployed, *line, "--json").json["next"]
    assert [step.split()[3:5] for step in steps] == [["paper", "run"], ["promote", name]]
    assert run(deployed, "retire", name, "--account", account, "--reason", "x").code == 0


def test_an_approval_says_what_forbids_the_step_now(
    bred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = promotion_home(bred, tmp_path)
    home.judged(PRODUCTION)
    name, file = home.record.id, tmp_path / "a.json"
    assert run(home, "promote", name, "--to", "paper", "--account", ACCOUNT, *NEW).code == 0
    line = ("approve", name, "--stage", "canary", "--out")
    told = run(home, *line, str(file))
    assert "note: the step would be refused now" in told.out
    assert "no paper run trades" in told.out.replace("\n", " ")
    told = run(home, *line, str(tmp_path / "b.json"), "--json")
    assert told.json["gate_passes"] is False
    home.trade("whole")
    told = run(home, *line, str(tmp_path / "c.json"), "--json")
    assert (told.json["gate_passes"], told.json["obstacle"]) == (True, "")
    done = run(home, "promote", name, "--to", "canary", "--approval", str(tmp_path / "c.json"))
    assert done.code == 0
    # A capital that no step can have; nor a file named "-".
    more = ("approve", name, "--stage", "live_25", "--cap", "3000", "--out", str(tmp_path / "d"))
    told = run(home, *more)
    assert told.code == 3
    assert "no step of" in told.err
    assert not (tmp_path / "d").exists()
    monkeypatch.chdir(tmp_path)
    assert run(home, *line, "-").code == 2
    assert not (tmp_path / "-").exists()


def test_in_scripted_time_hints_name_the_exchange_and_steps_down_the_later_time(
    bred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = ManualClock(int(time.time() * 1000) + 400 * DAY)
    monkeypatch.setattr("genesis.exchange.hyperliquid.pacing.PacedTime", lambda _: ahead)
    home = promotion_home(bred, tmp_path)
    home.judged(PRODUCTION)
    home.trade("whole")
    name, url = home.record.id, "http://127.0.0.1:1"
    at = ("--scripted", url)
    assert run(home, "promote", name, "--to", "paper", "--account", ACCOUNT, *NEW, *at).code == 0
    told = run(home, "promote", name, "--to", "canary", *at, "--json")
    fix = told.error["fix"]
    assert f"approve {name} --stage canary --account {ACCOUNT}" in fix
    assert f"--cap 2000 --scripted {url}, then add" in fix
    monkeypatch.setattr(
        "genesis.system.rehearsal_clock._last_events", lambda _: [ahead.ms + 5 * DAY]
    )
    down = run(home, "retire", name, "--reason", "enough", "--json")
    assert down.json["deployment"]["since_ms"] == ahead.ms + 5 * DAY
    assert "time was scripted here" in down.err


def test_commands_of_an_error_take_the_options_that_were_given() -> None:
    from genesis.domain.errors import RefusedError

    fix = "live: genesis live run --account 0x1; or genesis retire s --reason 'a b', then wait"
    with pytest.raises(RefusedError) as caught, same_way("http://h:1", Path("g.yaml")):
        raise RefusedError("no", fix=f"{fix}; genesis promote s --to paper")
    assert caught.value.fix == (
        "live: genesis live run --account 0x1 --url http://h:1 --scripted; or genesis retire s"
        " --reason 'a b' --scripted http://h:1, then wait;"
        " genesis promote s --to paper --gates g.yaml --scripted http://h:1"
    )


def test_steps_down_elsewhere_are_dated_by_the_machine(deployed: PromotionHome) -> None:
    from genesis.system.rehearsal_clock import clock_of_step_down

    clock, note = clock_of_step_down(deployed.workspace, deployed.manager().book())
    assert note == ""
    assert clock.floor_ms == 0


def test_amounts_have_no_exponent(deployed: PromotionHome) -> None:
    """Also those of a log that was written with one."""
    from genesis.decision import deployments
    from genesis.decision.approvals import usd_named

    assert str(usd_named("2,000")) == "2000"
    found = deployed.manager().book().deployments.values()
    old = next(one for one in found if one.account == ACCOUNT)
    with pytest.MonkeyPatch.context() as patch:
        step = copied(old.history[0], capital=Decimal("2E+3"))
        step = copied(step, grounds=copied(step.grounds, cap=Decimal("2E+3")))
        written = copied(old, capital=Decimal("2E+3"), cap=Decimal("2E+3"), history=(step,))
        book = deployments.DeploymentBook()
        book.deployments[old.id] = written
        patch.setattr(deployments, "read_book", lambda _: (None, book))
        patch.setattr("genesis.decision.manager.read_book", lambda _: (None, book))
        for words in (("list",), ("show", old.id)):
            for more in ((), ("--json",)):
                told = run(deployed, "deployments", *words, *more)
                assert told.code == 0, told.err
                assert "E+" not in told.out, told.out
                assert "2000" in told.out


def test_files_of_strategies(deployed: PromotionHome, tmp_path: Path) -> None:
    file = str(tmp_path / "s.yaml")
    assert run(deployed, "deployments", "save", deployed.record.id, file).code == 0
    assert run(deployed, "deployments", "validate", file, "--json").json["kind"] == "strategy"
    told = run(deployed, "deployments", "activate", file, "--json")
    assert told.code == 3
    assert "already" in told.error["what"]
    text = Path(file).read_text()
    Path(file).write_text(text.replace("loopback", "testnet").replace("00c1", "00c2"))
    done = run(deployed, "deployments", "activate", file, "--json")
    assert [one["stage"] for one in done.json["deployments"]] == ["candidate"]
    assert run(deployed, "retire", deployed.record.id, "--target", "testnet", "--reason",
               "a test").code == 0  # fmt: skip


def test_a_misprint_is_refused_and_a_wrong_symbol_corrected(deployed: PromotionHome) -> None:
    name, place = deployed.record.id, ("--account", OTHER, "--target", "loopback")
    promote = ("promote", name, "--to", "paper", *place, "--cap", "1000", "--symbols")
    told = run(deployed, *promote, "SYN11")
    assert told.code == 2
    assert "did you mean 'SYN1'" in told.err
    assert run(deployed, *promote, "SYN1").code == 0
    told = run(deployed, *promote, "SYN2")
    assert told.code == 3
    assert "registered again at once" in told.err
    ended = run(deployed, "retire", name, *place, "--reason", "wrong symbol")
    assert "note: it never sent an order, so once retired it may be registered" in ended.out
    assert run(deployed, *promote, "SYN2").code == 0
    ended = run(deployed, "retire", name, *place, "--reason", "tried", "--json")
    assert "registered again at once" in ended.json["note"]


def typed(home: PromotionHome, words: str) -> tuple[int, str]:
    """Promote at a real terminal and type."""
    command = [sys.executable, "-m", "genesis", "--home", str(home.home), "promote",
               home.record.id, "--to", "canary", "--account", OTHER]  # fmt: skip
    mine, theirs = pty.openpty()
    child = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, cwd=REPOSITORY
    )
    os.close(theirs)
    seen, until = "", time.monotonic() + 120
    while "Type exactly" not in seen or "> " not in seen:
        assert time.monotonic() < until, seen
        seen += os.read(mine, 4096).decode()
    os.write(mine, f"{words}\n".encode())
    out = child.communicate(timeout=60)[0].decode()
    with suppress(OSError):  # the terminal is gone with its process
        seen += os.read(mine, 4096).decode()
    os.close(mine)
    return child.returncode, seen + out


def test_a_person_types_the_words(deployed: PromotionHome) -> None:
    name = deployed.record.id
    assert run(deployed, "promote", name, "--to", "paper", "--account", OTHER, *NEW).code == 0
    code, seen = typed(deployed, "LIVE 00d2 200")
    assert code == 3, seen
    assert stage(deployed, OTHER) == "paper"
    code, seen = typed(deployed, "LIVE 00d2 2000")
    assert "Type exactly: LIVE 00d2 2000" in seen
    assert code == 0, seen
    assert stage(deployed, OTHER) == "canary"
    done = run(deployed, "retire", name, "--account", OTHER, "--reason", "done", "--json")
    assert done.json["deployment"]["stage"] == "retired"


def test_scripted_time_stays_out_of_a_workspace_with_real_deployments(
    deployed: PromotionHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its months would date the log, and with it whatever is deployed elsewhere."""
    ahead = ManualClock(int(time.time() * 1000) + 400 * DAY)
    monkeypatch.setattr("genesis.exchange.hyperliquid.pacing.PacedTime", lambda _: ahead)
    name, place = deployed.record.id, ("--account", "0x" + "3" * 40)
    line = ("promote", name, "--to", "paper", *place, "--symbols", "SYN1", "--cap", "2000")
    assert run(deployed, *line, "--target", "testnet").code == 0
    scripted = ("--target", "loopback", "--scripted", "http://127.0.0.1:1")
    for words in (
        (*line, *scripted),
        ("approve", name, "--stage", "canary", "--account", ACCOUNT, *scripted,
         "--out", "/tmp/none.json"),
        ("demote", name, "--account", ACCOUNT, "--reason", "x", *scripted),
        ("retire", name, "--account", ACCOUNT, "--reason", "x", *scripted),
        ("deployments", "check", name, "--account", ACCOUNT, *scripted),
    ):  # fmt: skip
        answer = run(deployed, *words)
        assert answer.code == 3, words
        assert "scripted time does not enter this workspace" in answer.err
    book = deployed.manager().book().deployments.values()
    assert max(one.since_ms for one in book) < ahead.ms - 399 * DAY
    assert run(deployed, "retire", name, *place, "--reason", "done").code == 0


def test_a_strategy_that_is_deployed_nowhere_is_told_how_to_begin(deployed: PromotionHome) -> None:
    nobody = "0x" + "ee" * 20
    answer = run(
        deployed, "retire", deployed.record.id, "--account", nobody, "--reason", "x", "--json"
    )
    assert answer.code == 2
    assert f"is not deployed with {nobody}" in answer.error["what"]
    assert "--to paper" in answer.error["fix"]
