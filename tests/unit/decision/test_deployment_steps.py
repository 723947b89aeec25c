"""The career of a deployment: every step, what guards it, what takes it down."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from genesis.decision.deployments import fold_deployments
from genesis.decision.operations import OperationsLog
from genesis.decision.ports import Consent
from genesis.decision.retirement import Alarm, Health
from genesis.decision.rows import ENGINE, STAGES
from genesis.decision.stages import SHARES, TABLE, Move, Target, stage_capital, step_of
from genesis.domain.errors import InputError, RefusedError
from genesis.evidence.measures import PromotionSettings
from genesis.trading.events import Event
from genesis.trading.payloads import CapitalAllocated
from genesis.trading.store import EventReader
from tests.unit.decision.deployment_desk import (
    ACCOUNT,
    DAY,
    GOOD,
    OTHER,
    STAGES_UP,
    STRATEGY,
    Desk,
    amber,
    copied,
    green,
    red,
)
from tests.unit.decision.operation_samples import decided, resolved


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "home")


def refused(desk: Desk, to: str, **changes: object) -> str:
    with pytest.raises(RefusedError) as caught:
        desk.promote(to, **changes)
    return str(caught.value)


def test_a_career_step_by_step(desk: Desk) -> None:
    sizes = {}
    for stage in STAGES_UP:
        done = desk.promote(stage)
        assert done.stage == stage
        sizes[stage] = done.capital
        desk.clock.ms += DAY
    assert sizes == {
        "paper": Decimal(2000),
        "canary": Decimal("100.00"),
        "live_25": Decimal("500.00"),
        "live_50": Decimal("1000.00"),
        "live_100": Decimal("2000.00"),
    }
    rows = desk.changes()
    assert [(r.from_stage, r.to_stage) for r in rows] == [
        ("", "candidate"),
        ("candidate", "paper"),
        ("paper", "canary"),
        ("canary", "live_25"),
        ("live_25", "live_50"),
        ("live_50", "live_100"),
    ]
    assert [bool(r.approval) for r in rows] == [False, False, True, True, True, True]
    assert len({r.approval for r in rows if r.approval}) == 4
    assert desk.manager.retire(desk.wish(), "ann", "enough").stage == "retired"
    history = desk.manager.find(desk.wish()).history  # type: ignore[union-attr]
    assert [h.who for h in history] == ["ann"] * 7
    assert history[2].grounds.results[0]["measure"] == "paper_days"
    assert history[2].grounds.runs[0].run == "run"


def test_the_table_lets_up_one_stage_at_a_time_and_needs_approval_beyond_paper() -> None:
    names = ("", *STAGES)
    for now in names:
        for to in names:
            step = TABLE.get((now, to))
            if step is None:
                with pytest.raises(RefusedError):
                    step_of(now, to)
                continue
            if step.move is Move.PROMOTE:
                assert STAGES.index(to) == STAGES.index(now) + 1
                assert step.gate
                assert step.approval == (to in SHARES)
            elif step.move in (Move.DEMOTE, Move.HALVE, Move.RETIRE):
                assert not step.approval
                assert step.reason
            if to in SHARES and now not in SHARES:
                assert (now, step.move) == ("paper", Move.PROMOTE)
    assert {b for (a, b), s in TABLE.items() if a == "retired"} == {"candidate"}


SKIPPED = [
    (start, to)
    for start in ("", "paper", "canary")
    for to in ("canary", "live_25", "live_50", "live_100")
    if ("", *STAGES_UP).index(to) > ("", *STAGES_UP).index(start) + 1
]


@pytest.mark.parametrize(("start", "to"), SKIPPED)
def test_no_stage_is_skipped(desk: Desk, start: str, to: str) -> None:
    if start:
        desk.up_to(start)
    assert "one by one" in refused(desk, to)
    assert desk.stage() == start


CLOSE = {
    "paper_days": (29.0, "G4 paper_days is 29, at least 30 is needed: missed by 1"),
    "paper_trades": (49.0, "missed by 1"),
    "paper_position_match": (0.98, "G4 paper_position_match is 0.98, at least 0.99"),
    "paper_slippage": (1.2, "missed by 0.2"),
    "paper_equivalence": (0.06, "missed by 0.01"),
    "paper_sanity": (21.0, "missed by 1"),
    "canary_days": (59.0, "G5 canary_days is 59, at least 60 is needed: missed by 1"),
    "canary_position_match": (0.9, "missed by 0.09"),
    "canary_slippage": (1.5, "missed by 0.5"),
    "canary_equivalence": (None, "could not be measured"),
    "canary_drawdown": (1.25, "missed by 0.25"),
    "canary_upper_bound": (-0.5, "missed by 0.5"),
    "step_days": (29.0, "missed by 1"),
    "step_sprt": (-1.57, "missed by 0.01"),
}
STEP = {"G4": "canary", "G5": "live_25", "G6": "live_50"}


@pytest.mark.parametrize("measure", CLOSE)
def test_each_gate_stops_and_says_by_how_much(desk: Desk, measure: str) -> None:
    gate = next(stage for stage, values in GOOD.items() if measure in values)
    to = STEP[gate]
    desk.up_to(STAGES_UP[STAGES_UP.index(to) - 1])
    before, words = desk.stage(), CLOSE[measure][1]
    desk.evidence.measures[gate][measure] = CLOSE[measure][0]
    told = refused(desk, to)
    assert f"does not pass {gate}" in told
    assert words in told
    assert desk.stage() == before
    desk.evidence.measures[gate][measure] = GOOD[gate][measure]
    assert desk.promote(to).stage == to


def test_a_gate_that_is_reported_only_stops_nothing(desk: Desk) -> None:
    desk.up_to("paper")
    desk.evidence.measures["G4"]["paper_held_match"] = 0.1
    assert desk.promote("canary").stage == "canary"


def test_without_a_passed_dossier_there_is_no_paper(desk: Desk) -> None:
    desk.evidence.passed = False
    assert "G3 sealed_ratio is 0.3" in refused(desk, "paper")
    assert desk.stage() == ""
    desk.evidence.problem = RefusedError("it has no dossier", fix="genesis validate")
    assert "no dossier" in refused(desk, "paper")


def test_a_rehearsal_goes_to_loopback_and_testnet_only(desk: Desk) -> None:
    desk.evidence.rehearsal = True
    for target, account in ((Target.LOOPBACK, OTHER), (Target.TESTNET, "0x" + "1" * 40)):
        changes = {"target": target, "account": account}
        desk.up_to("live_100", **changes)
        assert desk.manager.find(desk.wish(**changes)).mark == "REHEARSAL"  # type: ignore[union-attr]
    assert "mainnet does not accept" in refused(desk, "paper", target=Target.MAINNET)


def test_another_target_starts_over(desk: Desk) -> None:
    desk.up_to("live_25")
    told = refused(desk, "live_50", target=Target.MAINNET)
    assert "not deployed" in told
    # On the same account the symbols still belong to the first one.
    assert "one deployment owns" in refused(desk, "paper", target=Target.MAINNET)
    desk.manager.retire(desk.wish(), "ann", "goes to mainnet")
    assert desk.promote("paper", target=Target.MAINNET).stage == "paper"


def test_one_deployment_for_each_account_and_symbol(desk: Desk) -> None:
    desk.up_to("paper", symbols=("BTC", "ETH"))
    other = {"strategy": "strat_ffffffffffff"}
    assert "trades ETH" in refused(desk, "paper", symbols=("ETH", "SOL"), **other)
    assert desk.promote("paper", symbols=("SOL",), **other).stage == "paper"
    assert desk.promote("paper", symbols=("ETH",), account=OTHER, **other).stage == "paper"


def test_a_strategy_that_adds_nothing_to_the_book_stays_on_paper(desk: Desk) -> None:
    desk.up_to("canary")
    desk.evidence.refusal = "its Sharpe ratio is 0.80; it needs more than 0.95: missed by 0.15"
    other = {"strategy": "strat_ffffffffffff", "symbols": ("ETH",)}
    desk.up_to("paper", **other)
    assert "missed by 0.15" in refused(desk, "canary", **other)
    assert desk.stage(**other) == "paper"


def test_limits_on_how_many_are_deployed(desk: Desk) -> None:
    desk.evidence.settings = PromotionSettings(concurrent=2, deployed=3)
    own = [{"strategy": f"strat_{n:012d}", "symbols": (f"S{n}",)} for n in range(4)]
    desk.up_to("canary", **own[0])
    desk.up_to("canary", **own[1])
    desk.up_to("paper", **own[2])
    assert "2 canaries" in refused(desk, "canary", **own[2])
    desk.promote("live_25", **own[0])
    desk.promote("canary", **own[2])
    desk.up_to("live_25", **own[1])
    desk.up_to("paper", **own[3])
    assert "3 deployments beyond paper" in refused(desk, "canary", **own[3])
    desk.manager.retire(desk.wish(**own[0]), "ann", "done")
    assert desk.promote("canary", **own[3]).stage == "canary"


def test_the_published_limits_are_the_defaults() -> None:
    assert (PromotionSettings().concurrent, PromotionSettings().deployed) == (5, 10)


def test_a_decision_on_the_pool_bounds_how_many_are_deployed(desk: Desk) -> None:
    desk.up_to("canary")
    with OperationsLog.open(desk.home, desk.clock) as log:
        small = decided(
            "DEC_1", kind="strategy_pool_sizing", strategy="", acts=True, review="none",
            action="keep", deadline_ms=None, body={"value": {"strategies": 1}},
        )  # fmt: skip
        log.append(small, aggregate="DEC_1")
    other = {"account": OTHER}
    desk.up_to("paper", **other)
    assert "strategies 1 by strategy_pool_sizing, DEC_1" in refused(desk, "canary", **other)


# ---- down -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "lower"),
    [("canary", "paper"), ("live_25", "canary"), ("live_50", "live_25"), ("live_100", "live_50")],
)
def test_a_rollback_is_one_step_back_without_approval(desk: Desk, stage: str, lower: str) -> None:
    desk.up_to(stage)
    done = desk.manager.demote(desk.wish(), None, "ann", "odd fills")
    assert done.stage == lower
    assert done.capital == stage_capital(Decimal(2000), lower, Decimal(1))
    assert (desk.changes()[-1].approval, desk.changes()[-1].reason) == ("", "odd fills")


def test_steps_down_need_a_reason_and_go_down(desk: Desk) -> None:
    desk.up_to("live_50")
    with pytest.raises(InputError, match="reason"):
        desk.manager.demote(desk.wish(), None, "ann", "  ")
    with pytest.raises(InputError, match="reason"):
        desk.manager.retire(desk.wish(), "ann", "")
    for to in ("live_100", "live_50", "candidate"):
        with pytest.raises(RefusedError):
            desk.manager.demote(desk.wish(), to, "ann", "why not")
    assert desk.manager.demote(desk.wish(), "paper", "ann", "stop").stage == "paper"
    with pytest.raises(RefusedError, match="cannot be rolled back"):
        desk.manager.demote(desk.wish(), None, "ann", "more")


def test_after_a_fall_everything_is_proved_again(desk: Desk) -> None:
    first = desk.up_to("live_25")
    desk.clock.ms += 5 * DAY
    done = desk.manager.demote(desk.wish(), "paper", "ann", "broken")
    assert done.fresh_from_ms == desk.clock.ms  # older bars are no evidence any more
    assert done.live_since_ms == 0
    assert "one by one" in refused(desk, "live_25")
    desk.evidence.measures["G4"]["paper_days"] = 3.0
    assert "missed by 27" in refused(desk, "canary")
    desk.evidence.measures["G4"]["paper_days"] = 30.0
    desk.clock.ms += 40 * DAY
    again = desk.promote("canary")
    assert again.live_since_ms == desk.clock.ms > first.live_since_ms


def test_red_sends_to_paper_and_amber_halves_once(desk: Desk) -> None:
    desk.up_to("live_50")
    desk.evidence.verdict = amber()
    done, found = desk.manager.review(desk.wish())
    assert (done.stage, done.scale, done.capital) == ("live_50", Decimal("0.5"), Decimal(500))
    assert found.reasons[0] in desk.changes()[-1].reason
    again, _ = desk.manager.review(desk.wish())
    assert again.seq == done.seq  # nothing further happens
    desk.evidence.verdict = red()
    done, _ = desk.manager.review(desk.wish())
    assert (done.stage, done.scale) == ("paper", Decimal(1))
    assert desk.changes()[-1].who == "genesis"


@pytest.mark.parametrize("how", ["amber", "demote"])
def test_a_step_down_takes_its_share_of_what_was_allocated(desk: Desk, how: str) -> None:
    desk.up_to("live_100")
    with OperationsLog.open(desk.home, desk.clock) as log:
        row = CapitalAllocated({desk.wish().id: Decimal(100)}, "hrp", "ann", "its share")
        log.append(row, aggregate=desk.wish().id)
    if how == "amber":
        desk.evidence.verdict = amber()
        done, _ = desk.manager.review(desk.wish())
        assert done.scale == Decimal("0.5")
    else:
        done = desk.manager.demote(desk.wish(), "live_50", "ann", "too large")
    assert done.capital == Decimal(50), "half of 100, and not of the 2,000 that are approved"


def allocate(desk: Desk, capital: int) -> None:
    with OperationsLog.open(desk.home, desk.clock) as log:
        row = CapitalAllocated({desk.wish().id: Decimal(capital)}, "hrp", "ann", "its share")
        log.append(row, aggregate=desk.wish().id)


def test_a_step_up_gives_no_more_than_its_share_of_what_was_allocated(desk: Desk) -> None:
    desk.up_to("live_25")
    allocate(desk, 100)  # of 500: as if the full capital were 400
    assert desk.promote("live_50").capital == Decimal(200)
    desk.evidence.verdict = amber()
    halved, _ = desk.manager.review(desk.wish())
    assert halved.capital == Decimal(100)
    desk.evidence.verdict = green()
    done = desk.manager.promote(desk.wish(), "live_50", "ann", desk.typed, "calm again")
    assert (done.scale, done.capital, done.allocated) == (1, Decimal(200), Decimal(400))
    assert desk.promote("live_100").capital == Decimal(400)
    allocate(desk, 2000)  # what is approved may be given back at any time
    assert desk.manager.demote(desk.wish(), "live_50", "ann", "too large").capital == Decimal(1000)
    allocate(desk, 0)
    assert desk.promote("live_100").capital == 0
    desk.manager.demote(desk.wish(), "paper", "ann", "begin anew")
    assert desk.promote("canary").capital == Decimal(100)  # of 2000, as it is approved anew


def test_a_row_that_forgets_what_was_allocated_is_refused(desk: Desk) -> None:
    desk.up_to("live_25")
    allocate(desk, 100)
    done = desk.promote("live_50")
    assert done.capital == Decimal(200)
    with EventReader(desk.home / "operations") as reader:
        events = list(reader.events())
    forged = copied(events[-1].data, capital=Decimal(1000))
    events[-1] = Event(forged, events[-1].ts_ms, events[-1].aggregate, seq=events[-1].seq)
    with pytest.raises(RefusedError, match="would trade 1000 USD as live_50"):
        fold_deployments(events)


def test_half_a_size_comes_back_with_green_and_an_approval_alone(desk: Desk) -> None:
    desk.up_to("live_25")
    desk.evidence.verdict = amber()
    halved, _ = desk.manager.review(desk.wish())
    assert "stays at half" in refused(desk, "live_25")
    desk.evidence.verdict = green()
    assert "needs an approval" in refused(desk, "live_25", consent=Consent())
    done = desk.manager.promote(desk.wish(), "live_25", "ann", desk.typed, "calm again")
    assert (done.scale, done.capital) == (Decimal(1), Decimal(500))
    assert done.since_ms == halved.since_ms  # it did not begin the stage anew


def test_without_data_nothing_is_restored_and_nothing_steps_up(desk: Desk) -> None:
    desk.up_to("live_25")
    desk.evidence.verdict = amber()
    desk.manager.review(desk.wish())
    why = "no log has a day of its own orders since its canary began"
    desk.evidence.verdict = Health(Alarm.UNKNOWN, (why,), {})
    same, found = desk.manager.review(desk.wish())
    assert (same.stage, found.alarm) == ("live_25", Alarm.UNKNOWN)  # nor does it fall for that
    for to, what in (("live_25", "stays at half its size"), ("live_50", "stays live_25")):
        told = refused(desk, to)
        assert f"{what}: its health is unknown" in told
        assert why in told
    desk.evidence.verdict = red()
    assert "stays live_25: its health is red" in refused(desk, "live_50")
    desk.evidence.verdict = green()
    assert desk.promote("live_50").stage == "live_50"


@pytest.mark.parametrize("held", ["all", "its own"])
@pytest.mark.parametrize("step", ["up", "restore"])
def test_an_open_decision_that_holds_a_strategy_keeps_it_from_more_risk(
    desk: Desk, held: str, step: str
) -> None:
    desk.up_to("live_25")
    if step == "restore":
        desk.evidence.verdict = amber()
        desk.manager.review(desk.wish())
        desk.evidence.verdict = green()
    to = "live_50" if step == "up" else "live_25"
    with OperationsLog.open(desk.home, desk.clock) as log:
        names = ("all",) if held == "all" else (desk.wish().strategy,)
        log.append(decided("DEC_9", holds=names, deadline_ms=None), aggregate="DEC_9")
    with pytest.raises(RefusedError, match="may not add risk while DEC_9 is open"):
        desk.manager.promote(desk.wish(), to, "ann", desk.typed, "calm again")
    with OperationsLog.open(desk.home, desk.clock) as log:
        log.append(resolved("DEC_9", resolution="rejected"), aggregate="DEC_9")
    assert desk.manager.promote(desk.wish(), to, "ann", desk.typed, "seen to").stage == to


def test_nobody_is_asked_for_consent_to_what_the_gates_refuse(desk: Desk) -> None:
    desk.up_to("paper")
    desk.evidence.measures["G4"]["paper_trades"] = 3.0
    asked: list[str] = []

    def ask(words: str) -> Consent:
        asked.append(words)
        return Consent(typed=words)

    assert "does not pass G4" in refused(desk, "canary", consent=ask)
    assert asked == []


def test_half_stays_half_on_the_way_up(desk: Desk) -> None:
    desk.up_to("live_25")
    desk.evidence.verdict = amber()
    desk.manager.review(desk.wish())
    assert desk.promote("live_50").capital == Decimal(500)


def test_a_retired_strategy_needs_sealed_bars_from_after_its_retirement(desk: Desk) -> None:
    desk.up_to("canary")
    desk.clock.ms += DAY
    desk.manager.retire(desk.wish(), "ann", "edge is gone")
    retired_ms = desk.clock.ms
    for hash_, sealed in (
        ("d" * 64, (retired_ms + 1, retired_ms + DAY)),  # the same dossier
        ("e" * 64, (0, 1)),  # a new dossier on the old bars
        ("e" * 64, (retired_ms - 1, retired_ms + DAY)),  # bars that it traded
        ("e" * 64, ()),
    ):
        desk.evidence.dossier, desk.evidence.sealed_ms = hash_, sealed
        assert "nothing new speaks for it" in refused(desk, "paper")
        assert desk.stage() == "retired"
        with pytest.raises(RefusedError):
            desk.manager.register(desk.wish(), "ann")
    desk.evidence.dossier, desk.evidence.sealed_ms = "e" * 64, (retired_ms, retired_ms + DAY)
    assert desk.promote("paper").stage == "paper"


def test_what_never_sent_an_order_is_corrected_by_registering_it_again(desk: Desk) -> None:
    desk.up_to("paper", symbols=("BTX",))
    told = refused(desk, "canary", symbols=("BTC",))
    assert f"{desk.wish().id} trades BTX, not BTC" in told
    assert "registered again at once" in told
    assert f"genesis retire {STRATEGY} --account {ACCOUNT} --target testnet" in told
    assert "--symbols BTC --cap 2000" in told
    desk.manager.retire(desk.wish(symbols=()), "ann", "misspelt")
    assert desk.promote("paper", symbols=("BTC",)).symbols == ("BTC",)
    assert desk.promote("canary", symbols=()).symbols == ("BTC",)
    # Now it sent orders: its symbols cost fresh data.
    assert "only with a new dossier" in refused(desk, "live_25", symbols=("ETH",))
    desk.manager.retire(desk.wish(), "ann", "enough")
    assert "nothing new speaks for it" in refused(desk, "paper")


def test_what_the_engine_ended_is_not_registered_again_as_it_was(desk: Desk) -> None:
    desk.up_to("paper")
    desk.manager.retire(desk.wish(), ENGINE, "negative for a week")
    assert "nothing new speaks for it" in refused(desk, "paper")


def test_a_symbol_that_nothing_knows_is_refused(desk: Desk) -> None:
    desk.evidence.known = frozenset({"BTCUSDT", "ETHUSDT"})
    with pytest.raises(InputError, match="knows the symbol 'BTX' - did you mean 'BTC'"):
        desk.promote("paper", symbols=("BTX",))
    assert desk.stage() == ""
    assert desk.promote("paper", symbols=("BTC", "ETH")).stage == "paper"


def test_what_is_on_paper_is_not_told_to_go_up_when_it_is_to_go_down(desk: Desk) -> None:
    desk.up_to("paper")
    with pytest.raises(RefusedError) as caught:
        desk.manager.demote(desk.wish(), "candidate", "ann", "not yet")
    assert "canary" not in str(caught.value)
    assert f"genesis retire {STRATEGY}" in str(caught.value)
    assert "the next one" not in refused(desk, "candidate")


def test_capital_grows_by_starting_over_only(desk: Desk) -> None:
    desk.up_to("canary")
    assert "its canary proved 2000 USD" in refused(desk, "live_25", cap=Decimal(3000))
    done = desk.promote("live_25", cap=Decimal(1000))
    assert done.capital == Decimal(250)
    assert desk.promote("live_50", cap=Decimal(2000)).capital == Decimal(1000)
    desk.manager.demote(desk.wish(), "paper", "ann", "more capital")
    assert desk.promote("canary", cap=Decimal(3000)).capital == Decimal(150)


def test_a_dossier_that_changed_since_paper_is_refused(desk: Desk) -> None:
    desk.up_to("paper")
    desk.evidence.dossier = "e" * 64
    assert "not the one that it was promoted with" in refused(desk, "canary")
    assert desk.stage() == "paper"


def test_a_killed_account_gets_no_more_orders(desk: Desk) -> None:
    from genesis.decision.operations import OperationsLog
    from genesis.trading.payloads import KillLatched, Rearmed

    desk.up_to("paper")
    with OperationsLog.open(desk.home, desk.clock) as log:
        log.append(KillLatched("all", "cli", "ann", "odd market"))
    assert "is killed" in refused(desk, "canary")
    with OperationsLog.open(desk.home, desk.clock) as log:
        log.append(Rearmed("all", "ann", "calm"))
    assert desk.promote("canary").stage == "canary"


def test_a_deployment_needs_symbols_and_capital(desk: Desk) -> None:
    for changes in ({"symbols": ()}, {"cap": None}):
        with pytest.raises(InputError, match="symbols and its full capital"):
            desk.promote("paper", **changes)


def test_registering_is_a_step_of_its_own(desk: Desk) -> None:
    assert desk.manager.register(desk.wish(), "ann").stage == "candidate"
    with pytest.raises(RefusedError, match="already"):
        desk.manager.register(desk.wish(), "ann")
    assert desk.promote("paper").stage == "paper"
