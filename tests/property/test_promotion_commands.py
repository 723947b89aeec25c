"""No sequence of commands reaches a live stage past its gates and approvals."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.decision.approvals import Approval
from genesis.decision.deployments import read_book
from genesis.decision.ports import Consent
from genesis.decision.retirement import Alarm, Health
from genesis.decision.rows import REAL, STAGES
from genesis.decision.stages import SHARES, Target
from genesis.domain.errors import InputError, RefusedError
from genesis.trading.payloads import ApprovalGranted, ApprovalUsed, DeploymentChanged
from genesis.trading.store import EventReader
from tests.unit.decision.deployment_desk import ACCOUNT, GATES, GOOD, OTHER, Desk

NEXT = {
    "": "paper",
    "candidate": "paper",
    "paper": "canary",
    "canary": "live_25",
    "live_25": "live_50",
    "live_50": "live_100",
}
WISHES: list[dict[str, Any]] = [
    {},
    {"account": OTHER, "target": Target.MAINNET},
    {"strategy": "strat_ffffffffffff", "symbols": ("ETH",)},
    {"cap": Decimal(500)},
]
# The next stage is weighted, or hardly any sequence would get anywhere.
STAGE = st.one_of(st.just("next"), st.just("next"), st.sampled_from(STAGES))
CONSENT = st.sampled_from(["typed", "wrong", "none", "file", "old file"])
COMMAND = st.one_of(
    st.tuples(st.just("promote"), st.sampled_from(range(len(WISHES))), STAGE, CONSENT),
    st.tuples(st.just("promote"), st.just(0), st.just("next"), st.sampled_from(["typed", "file"])),
    st.tuples(st.just("approve"), st.sampled_from(range(len(WISHES))), STAGE),
    st.tuples(st.just("demote"), st.sampled_from(range(len(WISHES))), STAGE),
    st.tuples(st.just("retire"), st.sampled_from(range(len(WISHES)))),
    st.tuples(st.just("review"), st.sampled_from(range(len(WISHES))), st.sampled_from(list(Alarm))),
    st.tuples(st.just("time"), st.sampled_from([-700_000, 1_000, 700_000, 86_400_000])),
    st.tuples(
        st.just("gate"), st.sampled_from(sorted(m for v in GOOD.values() for m in v)),
        st.booleans(),
    ),
    st.tuples(st.just("dossier"), st.sampled_from(["d" * 64, "e" * 64]), st.booleans()),
    st.tuples(st.just("rehearsal"), st.booleans()),
)  # fmt: skip


def carry_out(desk: Desk, files: list[Approval], command: tuple[Any, ...]) -> None:
    kind, *rest = command
    wish = WISHES[rest[0]] if kind in ("promote", "approve", "demote", "retire", "review") else {}
    stage = rest[1] if len(rest) > 1 else ""
    if stage == "next":
        stage = NEXT.get(desk.stage(**wish), "paper")
    if kind == "promote":
        desk.promote(stage, consent_of(desk, files, rest[2], stage, wish), **wish)
    elif kind == "approve":
        files.append(desk.approve(stage, **wish))
    elif kind == "demote":
        desk.manager.demote(desk.wish(**wish), stage, "ann", "some reason")
    elif kind == "retire":
        desk.manager.retire(desk.wish(**wish), "ann", "some reason")
    elif kind == "review":
        desk.evidence.verdict = Health(rest[1], ("a layer says so",), {})
        desk.manager.review(desk.wish(**wish))
    elif kind == "time":
        desk.clock.ms += rest[0]
    elif kind == "gate":
        measure, good = rest
        gate = next(g for g, values in GOOD.items() if measure in values)
        desk.evidence.measures[gate][measure] = GOOD[gate][measure] if good else None
    elif kind == "dossier":
        desk.evidence.dossier, desk.evidence.passed = rest
    else:
        desk.evidence.rehearsal = rest[0]


def consent_of(
    desk: Desk, files: list[Approval], how: str, stage: str, wish: dict[str, Any]
) -> Any:
    if how == "typed":
        return desk.typed
    if how == "wrong":
        return Consent(typed="LIVE 00c1 1")
    if how == "file":
        return Consent(file=desk.approve(stage, **wish))
    if how == "old file" and files:
        return Consent(file=files[0])
    return Consent()


def require_honest(home: Path) -> int:
    """Walk the log without the code under test; how many steps led to an exchange."""
    if not (home / "operations" / "events.db").exists():
        return 0
    with EventReader(home / "operations") as reader:
        events = list(reader.events())
    granted = {e.data.approval: e.data for e in events if isinstance(e.data, ApprovalGranted)}
    used = [e.data for e in events if isinstance(e.data, ApprovalUsed)]
    assert len({one.approval for one in used}) == len(used)
    stage: dict[str, str] = {}
    spent: list[str] = []
    scale: dict[str, str] = {}
    up = 0
    for event in events:
        row = event.data
        if not isinstance(row, DeploymentChanged):
            continue
        assert row.from_stage == stage.get(row.deployment, "")
        plain = row.evidence
        now, to = row.from_stage, row.to_stage
        rises = to in REAL and (now not in REAL or STAGES.index(to) > STAGES.index(now))
        larger = to in REAL and now == to and Decimal(plain["scale"]) > Decimal(
            scale[row.deployment]
        )  # fmt: skip
        if rises or larger:
            up += 1
            given = granted[row.approval]
            assert row.approval not in spent
            spent.append(row.approval)
            assert (given.strategy, given.account, given.from_stage, given.to_stage) == (
                row.strategy, row.account, now, to,
            )  # fmt: skip
            assert given.max_usd == Decimal(plain["cap"])
            assert given.target == plain["target"]
            assert event.recorded_ms <= given.expires_ms
        else:
            assert row.approval == ""
        if rises:
            assert STAGES.index(to) == STAGES.index(now) + 1
            gate = {"canary": "G4", "live_25": "G5"}.get(to, "G6")
            values = {r["measure"]: r["value"] for r in plain["results"]}
            assert all(r.verdict != "fail" for r in GATES.judge(values, gate))
            if plain["target"] == "mainnet":
                assert not plain["mark"]
        if to in REAL:
            share = Decimal(plain["cap"]) * SHARES[to] * Decimal(plain["scale"])
            assert row.capital <= share
        stage[row.deployment] = to
        scale[row.deployment] = plain["scale"]
    read_book(home)
    return up


@settings(max_examples=60, deadline=None)
@given(st.lists(COMMAND, min_size=5, max_size=22))
def test_no_sequence_of_commands_reaches_live_past_its_guards(
    commands: list[tuple[Any, ...]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder) / "home")
        files: list[Approval] = []
        for command in commands:
            try:
                carry_out(desk, files, command)
            except (RefusedError, InputError):
                continue
        require_honest(desk.home)


def test_the_walk_sees_steps_at_all(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "home")
    for command in [("promote", 0, "next", "typed")] * 5:
        carry_out(desk, [], command)
    assert desk.wish().account == ACCOUNT
    assert require_honest(desk.home) == 4
