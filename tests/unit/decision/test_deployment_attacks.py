"""What must not lead to live: edited rows, files and clocks, replayed and foreign approvals."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from genesis.decision.approvals import (
    Approval,
    Uptime,
    read_approval,
    require_typed,
    usd_named,
    words_to_type,
    write_approval,
)
from genesis.decision.deployments import deployment_id, fold_deployments, read_book
from genesis.decision.operations import OperationsLog
from genesis.decision.ports import Consent
from genesis.decision.stages import Target
from genesis.domain.errors import GenesisError, InputError, RefusedError, StorageError
from genesis.trading.events import Event
from genesis.trading.payloads import (
    ApprovalUsed,
    CapitalAllocated,
    DeploymentChanged,
    decode,
    encode,
)
from genesis.trading.store import EventReader
from tests.conftest import REPOSITORY
from tests.unit.decision.deployment_desk import (
    ACCOUNT,
    DAY,
    OTHER,
    STRATEGY,
    Desk,
    amber,
    copied,
    green,
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "home")


@pytest.fixture
def paper(desk: Desk) -> Desk:
    """A desk with a strategy on paper."""
    desk.up_to("paper")
    return desk


def used(desk: Desk, file: Approval, to: str = "canary", **changes: Any) -> str:
    """How the use of an approval is refused; it must be."""
    before = desk.stage(**changes)
    with pytest.raises(RefusedError) as caught:
        desk.promote(to, Consent(file=file), **changes)
    assert desk.stage(**changes) == before
    return str(caught.value)


# ---- approvals ------------------------------------------------------------------------------


def test_a_file_is_used_once(paper: Desk, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_approval(path, paper.approve("canary"))
    assert paper.promote("canary", Consent(file=read_approval(path))).stage == "canary"
    paper.manager.demote(paper.wish(), None, "ann", "again")
    assert "was used already" in used(paper, read_approval(path))


def test_use_and_step_are_one_transaction(paper: Desk) -> None:
    file = paper.approve("canary")
    paper.evidence.refusal = ""
    paper.evidence.measures["G4"]["paper_days"] = 1.0
    with pytest.raises(RefusedError, match="G4"):
        paper.promote("canary", Consent(file=file))
    paper.evidence.measures["G4"]["paper_days"] = 30.0
    assert paper.promote("canary", Consent(file=file)).stage == "canary"  # it was not used up


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_usd", "1000000"),
        ("to_stage", "live_100"),
        ("expires_ms", 2_000_000_000_000),
        ("account", OTHER),
        ("strategy", "strat_ffffffffffff"),
        ("target", "mainnet"),
        ("nonce", "f" * 64),
        ("gates_hash", "f" * 64),
        ("dossier_hash", "f" * 64),
        ("symbols", ("ETH",)),
        ("who", "eve"),
        ("issued_ms", 0),
        ("uptime_s", 1e9),
    ],
)
def test_an_edited_file_fits_no_grant(paper: Desk, field: str, value: Any) -> None:
    edited = copied(paper.approve("canary"), **{field: value})
    assert "nobody granted this approval as it is" in used(paper, edited)


def test_an_invented_file_fits_no_grant(paper: Desk) -> None:
    real = paper.approve("canary")
    assert "nobody granted" in used(paper, copied(real, approval="APR_invented"))


def test_an_approval_serves_its_own_step_alone(paper: Desk) -> None:
    assert "for max usd 2000, not 1000" in used(paper, paper.approve("canary"), cap=Decimal(1000))
    paper.up_to("paper", account=OTHER, target=Target.LOOPBACK)
    elsewhere = {"account": OTHER, "target": Target.LOOPBACK}
    assert f"for account {ACCOUNT}" in used(paper, paper.approve("canary"), **elsewhere)
    with pytest.raises(RefusedError, match="one by one"):
        paper.approve("live_25")
    early = paper.approve("canary")
    paper.promote("canary", Consent(file=paper.approve("canary")))
    assert "for from stage paper, not canary" in used(paper, early, "live_25")


def test_another_strategys_approval_is_refused(paper: Desk) -> None:
    other = {"strategy": "strat_ffffffffffff", "symbols": ("ETH",)}
    paper.up_to("paper", **other)
    assert f"for strategy {STRATEGY}" in used(paper, paper.approve("canary"), **other)


def test_an_approval_dies_with_the_dossier_or_gates_it_looked_at(paper: Desk) -> None:
    file = paper.approve("canary")
    paper.evidence.gates_hash = "9" * 64
    assert "gates hash" in used(paper, file)


def test_an_approval_expires(paper: Desk) -> None:
    file = paper.approve("canary")
    paper.clock.ms = file.expires_ms + 1
    assert "expired" in used(paper, file)


def test_the_last_moment_counts(paper: Desk) -> None:
    file = paper.approve("canary")
    paper.clock.ms = file.expires_ms
    assert paper.promote("canary", Consent(file=file)).stage == "canary"


def test_a_clock_that_was_set_back_gives_no_time(paper: Desk) -> None:
    file = paper.approve("canary", life_ms=2_000)
    paper.clock.ms = file.issued_ms - 1
    assert "set back" in used(paper, file)
    # The log was written after the end: its time never goes back.
    paper.clock.ms = file.expires_ms + 1
    paper.up_to("paper", account=OTHER, target=Target.LOOPBACK)
    paper.clock.ms = file.issued_ms + 1
    assert "expired" in used(paper, file)


def test_no_step_off_this_machine_is_dated_in_the_future(paper: Desk) -> None:
    """A log that saw scripted time would give a deployment a canary that has not begun yet."""
    now = paper.clock.ms
    paper.clock.ms += 90 * DAY
    other = {"account": OTHER, "target": Target.LOOPBACK}
    paper.up_to("paper", **other)
    paper.clock.ms = now
    for step in (lambda: paper.promote("canary"), lambda: paper.approve("canary")):
        with pytest.raises(RefusedError, match="cannot be dated"):
            step()
    assert paper.promote("canary", **other).stage == "canary"  # a rehearsal may go on
    assert paper.manager.retire(paper.wish(), "ann", "no longer wanted").stage == "retired"


def test_uptime_goes_on_when_the_clock_is_set_back(paper: Desk) -> None:
    paper.uptime = Uptime("boot", 100.0)
    file = paper.approve("canary")
    paper.uptime = Uptime("boot", 100.0 + 601.0)
    assert "expired" in used(paper, file)
    paper.uptime = Uptime("another boot", 5.0)
    assert paper.promote("canary", Consent(file=file)).stage == "canary"


def test_an_approval_lives_a_day_at_most(paper: Desk) -> None:
    for life, says in ((0, "some time"), (-1, "some time"), (24 * 3_600_000 + 1, "that long")):
        with pytest.raises(InputError, match=says):
            paper.approve("canary", life_ms=life)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o622, 0o610])
def test_a_file_that_others_can_reach_is_refused(paper: Desk, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.json"
    write_approval(path, paper.approve("canary"))
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(mode)
    with pytest.raises(RefusedError, match="others can read or write"):
        read_approval(path)


def test_links_folders_and_nonsense_are_no_approvals(paper: Desk, tmp_path: Path) -> None:
    path, link, pipe = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "pipe"
    write_approval(path, paper.approve("canary"))
    link.symlink_to(path)
    os.mkfifo(pipe, 0o600)
    for wrong in (link, tmp_path, pipe):
        with pytest.raises(RefusedError):
            read_approval(wrong)
    with pytest.raises(InputError):
        read_approval(tmp_path / "none")
    for number, text in enumerate(
        ("", "{}", "[" * 9000, "[" * 8000, path.read_text() + "x", '{"kind": 1}')
    ):
        bad = tmp_path / f"bad{number}"
        bad.write_text(text)
        bad.chmod(0o600)
        with pytest.raises(RefusedError, match="no approval"):
            read_approval(bad)
    with pytest.raises(StorageError):  # it never replaces a file
        write_approval(path, paper.approve("canary"))


@pytest.mark.parametrize(
    "words",
    ["", "y", "yes", "LIVE", "LIVE 00c1", "live 00c1 2000", "LIVE 00c1 20000", "LIVE 00d2 2000",
     "LIVE 00c1 2e3", "LIVE 00c1 2000.0", "LIVE  00c1 2000"],
)  # fmt: skip
def test_nothing_but_the_exact_words_is_an_approval(paper: Desk, words: str) -> None:
    with pytest.raises(RefusedError):
        paper.promote("canary", Consent(typed=words))
    assert paper.stage() == "paper"


def test_the_words_name_account_and_capital(paper: Desk) -> None:
    assert words_to_type(ACCOUNT, usd_named("2,000.50")) == "LIVE 00c1 2000.5"
    require_typed("LIVE 00c1 2000.5\n", ACCOUNT, Decimal("2000.5"))
    assert paper.promote("canary", Consent(typed="LIVE 00c1 2000")).stage == "canary"
    # Typed words are no token: the next step needs them again.
    with pytest.raises(RefusedError, match="needs an approval"):
        paper.promote("live_25", Consent())


# ---- the log --------------------------------------------------------------------------------


def edit(desk: Desk, change: Callable[[DeploymentChanged], DeploymentChanged]) -> None:
    """Edit the last step in the database, as somebody with a SQLite shell would."""
    path = desk.home / "operations" / "events.db"
    db = apsw.Connection(str(path))
    (seq, body), *_ = db.execute(
        "SELECT seq, body FROM events WHERE type = 'deployment_changed' ORDER BY seq DESC LIMIT 1"
    ).fetchall()
    data = decode("deployment_changed", body)  # type: ignore[arg-type]
    assert isinstance(data, DeploymentChanged)
    db.execute("UPDATE events SET body = ? WHERE seq = ?", (encode(change(data)), seq))
    db.close()


def test_an_edited_row_stops_everything(paper: Desk) -> None:
    edit(paper, lambda row: copied(row, to_stage="live_100", capital=Decimal(2000)))
    for attempt in (
        lambda: read_book(paper.home),
        lambda: paper.promote("canary"),
        lambda: paper.approve("canary"),
        lambda: paper.manager.demote(paper.wish(), None, "ann", "x"),
    ):
        with pytest.raises(GenesisError, match=r"changed after it was written|damaged"):
            attempt()


def test_a_removed_row_stops_everything(paper: Desk) -> None:
    paper.up_to("canary")
    db = apsw.Connection(str(paper.home / "operations" / "events.db"))
    db.execute("DELETE FROM events WHERE seq = 2")
    db.close()
    with pytest.raises(RefusedError, match="changed after it was written"):
        read_book(paper.home)


def forged(desk: Desk, **changes: Any) -> DeploymentChanged:
    """A row that somebody writes past the manager, from the last true one."""
    return copied(desk.changes()[-1], **changes)


def smuggle(desk: Desk, *rows: Any) -> str:
    """Write rows through the log itself; says how the book refuses to read them."""
    try:
        with OperationsLog.open(desk.home, desk.clock) as log:
            for row in rows:
                log.append(row)
    except RefusedError as error:
        return str(error)
    with pytest.raises(RefusedError) as caught:
        read_book(desk.home)
    return str(caught.value)


def test_a_row_past_the_gates_is_refused_by_whoever_reads(paper: Desk) -> None:
    approval = paper.approve("canary")
    use = ApprovalUsed(approval.approval, paper.wish().id)
    row = forged(
        paper, from_stage="paper", to_stage="canary", approval=approval.approval,
        capital=Decimal("100.00"),
    )  # fmt: skip
    assert "G4 was not judged" in smuggle(paper, use, row)


def test_a_row_that_lies_about_a_verdict_is_refused(paper: Desk) -> None:
    true = paper.up_to("canary")
    del true
    good = paper.changes()[-1]
    paper.manager.demote(paper.wish(), None, "ann", "down")
    grounds = msgspec.to_builtins(good.evidence)
    for result in grounds["results"]:
        if result["measure"] == "paper_days":
            result["value"] = 3.0  # and the verdict still says pass
    approval = paper.approve("canary")
    row = copied(good, evidence=grounds, approval=approval.approval)
    use = ApprovalUsed(approval.approval, paper.wish().id)
    assert "paper_days is 3" in smuggle(paper, use, row)


def test_a_row_without_its_approval_is_refused(paper: Desk) -> None:
    paper.up_to("canary")
    good = paper.changes()[-1]
    paper.manager.demote(paper.wish(), None, "ann", "down")
    assert "approval" in smuggle(paper, good)  # the used one again
    assert "approval" in smuggle(paper, copied(good, approval=""))


def test_nothing_leaves_paper_without_a_decision_of_the_engine(paper: Desk) -> None:
    paper.engine.silent = True
    with pytest.raises(RefusedError, match="no decision of the engine lets"):
        paper.promote("canary")
    assert paper.stage() == "paper"
    paper.engine.silent = False
    assert paper.promote("canary").stage == "canary"


@pytest.mark.parametrize("key", [True, False])
def test_a_row_without_a_decision_is_refused(paper: Desk, key: bool) -> None:
    paper.up_to("canary")
    good = paper.changes()[-1]
    paper.manager.demote(paper.wish(), None, "ann", "down")
    approval = paper.approve("canary")
    grounds = dict(good.evidence) | {"decision": ""}
    if not key:
        del grounds["decision"]
    row = copied(good, evidence=grounds, approval=approval.approval)
    use = ApprovalUsed(approval.approval, paper.wish().id)
    assert "no decision of the engine lets" in smuggle(paper, use, row)


def test_rows_of_before_there_were_decisions_are_read(paper: Desk, tmp_path: Path) -> None:
    paper.up_to("live_25")
    with EventReader(paper.home / "operations") as reader:
        events = list(reader.events())
    old = []
    for event in events:
        data = event.data
        if isinstance(data, DeploymentChanged):
            grounds = {k: v for k, v in data.evidence.items() if k != "decision"}
            data = copied(data, evidence=grounds)
        old.append(Event(data, event.ts_ms, event.aggregate, seq=event.seq))
    (row,) = fold_deployments(old).deployments.values()
    assert row.stage == "live_25"


def test_an_approval_restores_half_a_size_once(paper: Desk) -> None:
    paper.up_to("canary")
    paper.evidence.verdict = amber()
    paper.manager.review(paper.wish())
    paper.evidence.verdict = green()
    paper.manager.promote(paper.wish(), "canary", "ann", paper.typed, "calm")
    good = paper.changes()[-1]
    paper.evidence.verdict = amber()
    paper.manager.review(paper.wish())
    assert "served another step already" in smuggle(paper, good)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to_stage": "live_100", "capital": Decimal(2000)}, "approval"),
        ({"to_stage": "live_25", "capital": Decimal(500)}, "approval"),
        ({"capital": Decimal(2000)}, "the stage's share of 2000 USD is 100.00 USD"),
    ],
)
def test_a_row_that_jumps_or_sizes_up_is_refused(
    paper: Desk, changes: dict[str, Any], words: str
) -> None:
    paper.up_to("canary")
    row = forged(paper, from_stage="canary", **changes)
    assert words in smuggle(paper, row)


def test_a_jump_with_an_approval_for_it_is_no_step(paper: Desk) -> None:
    """The log's own fold takes any stage that an approval names; the table does not."""
    approval = paper.approve("canary")
    granted = approval.granted("x")
    jump = copied(granted, approval="APR_jump", to_stage="live_100", token="t")
    use = ApprovalUsed("APR_jump", paper.wish().id)
    row = forged(
        paper, from_stage="paper", to_stage="live_100", approval="APR_jump", capital=Decimal(2000)
    )
    assert "no step from paper to live_100" in smuggle(paper, jump, use, row)


def test_a_rehearsal_that_is_written_to_mainnet_is_refused(desk: Desk) -> None:
    desk.evidence.rehearsal = True
    desk.up_to("paper")
    first, last = desk.changes()
    name = deployment_id(STRATEGY, OTHER, "mainnet")
    rows = [
        copied(row, deployment=name, account=OTHER, evidence={**row.evidence, "target": "mainnet"})
        for row in (first, last)
    ]
    assert "rehearsal does not lead to mainnet" in smuggle(desk, *rows)


def test_the_target_of_a_deployment_cannot_be_changed(paper: Desk) -> None:
    row = forged(paper, from_stage="paper", to_stage="retired", reason="x")
    moved = copied(row, evidence={**row.evidence, "target": "mainnet"})
    assert "not the deployment that its row describes" in smuggle(paper, moved)


def test_capital_is_not_allocated_beyond_the_stage(paper: Desk) -> None:
    paper.up_to("canary")
    row = CapitalAllocated({paper.wish().id: Decimal(1999)}, "hrp", "eve", "more")
    assert "100.00 USD is its most" in smuggle(paper, row)


def test_a_row_without_grounds_is_refused(paper: Desk) -> None:
    row = forged(paper, from_stage="paper", to_stage="retired", reason="x", evidence={})
    assert "no grounds" in smuggle(paper, row)


# ---- races ----------------------------------------------------------------------------------


def test_a_dossier_that_is_swapped_while_it_is_judged_stops_the_step(paper: Desk) -> None:
    seen = paper.evidence.asked

    def swap(asked: int) -> None:
        if asked == seen + 2:
            paper.evidence.dossier = "e" * 64

    paper.evidence.on_standing = swap
    with pytest.raises(RefusedError, match="changed while it was judged"):
        paper.promote("canary")
    assert paper.stage() == "paper"


def test_gates_that_are_swapped_while_they_judge_stop_the_step(paper: Desk) -> None:
    seen = paper.evidence.asked

    def swap(asked: int) -> None:
        if asked == seen + 2:
            paper.evidence.gates_hash = "9" * 64

    paper.evidence.on_standing = swap
    with pytest.raises(RefusedError, match="changed while it was judged"):
        paper.promote("canary")


def test_who_comes_second_is_told_what_the_first_did(paper: Desk) -> None:
    """The other one moves while this one's consent is awaited."""
    other = Desk(paper.home, clock=paper.clock, evidence=paper.evidence)

    def ask(words: str) -> Consent:
        other.manager.retire(other.wish(), "bob", "too late")
        return Consent(typed=words)

    with pytest.raises(RefusedError, match="moved meanwhile: it is retired now, by bob"):
        paper.promote("canary", ask)
    assert paper.stage() == "retired"


OPERATOR = """
import sys, time
from pathlib import Path
from genesis.decision.approvals import read_approval
from genesis.decision.ports import Consent
from genesis.domain.errors import GenesisError
from tests.unit.decision.deployment_desk import Desk, ManualClock

home, file, start, now = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
desk = Desk(home, clock=ManualClock(now))
consent = Consent(file=read_approval(file))
Path(f"{start}.{sys.argv[5]}").touch()
while not start.exists():
    time.sleep(0.001)
try:
    print(desk.promote("canary", consent).stage)
except GenesisError as error:
    print("refused:", error.what)
"""


def test_two_operators_at_once_take_one_step_with_one_approval(paper: Desk, tmp_path: Path) -> None:
    """Real processes, started at the same moment, over and over."""
    for attempt in range(4):
        home = tmp_path / f"copy{attempt}"
        shutil.copytree(paper.home, home)
        desk = Desk(home, clock=paper.clock)
        file, start = tmp_path / f"a{attempt}.json", tmp_path / f"start{attempt}"
        write_approval(file, desk.approve("canary"))
        words = [str(home), str(file), str(start), str(desk.clock.ms)]
        both = [
            subprocess.Popen(
                [sys.executable, "-c", OPERATOR, *words, name],
                cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for name in ("ann", "bob")
        ]  # fmt: skip
        while not all(Path(f"{start}.{name}").exists() for name in ("ann", "bob")):
            assert all(one.poll() is None for one in both), [one.communicate() for one in both]
        start.touch()
        told = [one.communicate(timeout=60) for one in both]
        lines = sorted(out.strip() for out, _ in told)
        assert lines[0] == "canary", told
        assert lines[1].startswith("refused:"), told
        rows = desk.changes()
        assert [row.to_stage for row in rows] == ["candidate", "paper", "canary"]


def test_the_content_of_a_file_is_not_in_the_log(paper: Desk) -> None:
    file = paper.approve("canary")
    held = b"".join(
        path.read_bytes() for path in (paper.home / "operations").iterdir() if path.is_file()
    )
    assert file.nonce.encode() not in held
    assert file.token.encode() in held
    assert json.loads(json.dumps(msgspec.to_builtins(file)))["nonce"] == file.nonce
