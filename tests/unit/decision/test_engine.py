"""The six types of decisions at, just below and just above each of their limits.

Expected numbers are those of the reference table of the decision engine, written out here.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from genesis.decision.calibration import Bin, Calibration
from genesis.decision.context import DecisionContext, MarketFacts, StrategyFacts
from genesis.decision.engine import AutomatedDecisionEngine, decide, replay
from genesis.decision.rules import KINDS, DecisionRules
from genesis.domain.timeline import DAY_MS, HOUR_MS
from genesis.trading.payloads import DecisionMade, encode
from genesis.trading.payloads import decode as decode_payload
from tests.unit.decision.decision_samples import (
    AS_OF,
    LAST,
    RULES,
    account,
    ask,
    context,
    falling,
    market,
    pool,
    proven,
    series,
)
from tests.unit.decision.operation_samples import decided

TINY = 1e-9
SIZING, RETIREMENT, APPROVAL = KINDS[:3]
EMERGENCY, RISK, SESSION = KINDS[3:]


def rules_with(kind: str, **changes: Any) -> DecisionRules:
    plain = RULES.plain()
    plain[kind] = plain[kind] | changes
    return DecisionRules.from_plain(plain)


# ---- pool sizing -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capital", "sharpe", "size"),
    [
        (10_000.0, 1.0, 10),
        (10_999.99, 1.0, 10),  # one for each whole thousand
        (500.0, 1.0, 3),
        (0.0, 1.0, 3),
        (10_000.0, 2.0, 10),
        (10_000.0, 2.0 + TINY, 15),
        (10_000.0, 0.5, 10),
        (10_000.0, 0.5 - TINY, 7),
        (5_000.0, 0.0, 3),  # 5 - 3 is below the least
        (25_000.0, 1.0, 25),
        (26_000.0, 1.0, 25),  # the normal branch is held within the bounds too
        (1e9, 1.0, 25),
        (24_000.0, 3.0, 25),
        (1e9, -1.0, 25),
    ],
)
def test_size_of_the_pool(capital: float, sharpe: float, size: int) -> None:
    made = ask(SIZING, context(account=account(capital=capital, average_sharpe=sharpe)))
    assert made.value == {"strategies": size}


@pytest.mark.parametrize(
    ("capital", "asks", "confidence"),
    [(4_000.0, True, 0.7), (5_000.0, False, 0.9), (20_000.0, False, 0.9), (21_000.0, True, 0.7)],
)
def test_a_pool_near_its_bounds_is_looked_at(capital: float, asks: bool, confidence: float) -> None:
    # Of 3 to 25: more than 80 % of 25 is from 21 on, less than 1.5 times 3 is up to 4.
    made = ask(SIZING, context(account=account(capital=capital)))
    assert made.raw_confidence == confidence
    assert (made.review != "none") == asks
    told = [reason.text for reason in made.reasons if reason.rule.startswith("review_")]
    assert all(text.startswith("proposed size of the pool is ") for text in told), told
    assert told


def test_a_pool_that_grows_waits_for_its_review_and_one_that_shrinks_does_not() -> None:
    grows = ask(SIZING, context(account=account(capital=22_000.0, strategies=8)))
    assert (grows.action, grows.review, grows.acts) == ("grow", "before", False)
    assert grows.cautious == {"strategies": 8}
    shrinks = ask(SIZING, context(account=account(capital=4_000.0, strategies=8)))
    assert (shrinks.action, shrinks.review, shrinks.acts) == ("shrink", "after", True)


# ---- retirement ------------------------------------------------------------------------------


def retired(facts: dict[str, StrategyFacts]) -> tuple[str, ...]:
    return tuple(ask(RETIREMENT, context(strategies=facts)).value["retire"])


@pytest.mark.parametrize(("days", "ends"), [(0, False), (6, False), (7, True), (8, True)])
def test_days_of_a_negative_sharpe_ratio(days: int, ends: bool) -> None:
    assert retired(pool(a=falling(days))) == (("a",) if ends else ())


@pytest.mark.parametrize(
    ("falls", "ends"),
    [
        ((0.16, 0.16, 0.16), True),
        ((0.15 + TINY,) * 3, True),
        ((0.15,) * 3, False),
        ((0.01, 0.16, 0.16), False),
        ((0.16, 0.15, 0.16), False),
        ((0.16, 0.16, 0.16, 0.14), False),
    ],
)
def test_days_of_a_deep_drawdown(falls: tuple[float, ...], ends: bool) -> None:
    values = [0.01] * (60 - len(falls)) + list(falls)
    assert retired(pool(a=series(drawdown=values))) == (("a",) if ends else ())


@pytest.mark.parametrize(("days", "ends"), [(13, False), (14, True)])
def test_days_of_a_low_win_rate(days: int, ends: bool) -> None:
    # One trade a day and three wins in ten: each 30 days have 9, and 0.30 is not below 0.30.
    # On the day that begins the breach the wins end, and one leaves the window.
    start = 60 - days
    won = [n < start and (n - start) % 10 < 3 for n in range(60)]
    wins = [sum(won[: n + 1]) for n in range(60)]
    assert (wins[start - 1] - wins[start - 31], wins[start] - wins[start - 30]) == (9, 8)
    assert retired(pool(a=series(wins=wins))) == (("a",) if ends else ())


def test_few_trades_have_no_win_rate() -> None:
    trades = [0] * 31 + [min(n // 3 + 1, 9) for n in range(29)]
    assert retired(pool(a=series(trades=trades, wins=[0] * 60))) == ()
    trades = [0] * 31 + [min(n + 1, 10) for n in range(29)]
    assert retired(pool(a=series(trades=trades, wins=[0] * 60))) == ("a",)


@pytest.mark.parametrize(("count", "asks"), [(0, False), (1, False), (2, False), (3, True)])
def test_many_retirements_at_once_are_looked_at_first(count: int, asks: bool) -> None:
    facts = pool(**{f"bad{n}": falling(10) for n in range(count)}, good=series())
    made = ask(RETIREMENT, context(strategies=facts))
    names = tuple(f"bad{n}" for n in range(count))
    assert made.value["retire"] == names
    assert made.raw_confidence == (0.8 if count else 1.0)
    assert (made.review == "before") == asks
    assert made.acts == (not asks)
    if asks:  # while a person is waited for, none of them adds risk; then they end
        assert made.holds == names
        assert made.cautious["retire"] == names
        assert made.deadline_ms == AS_OF + 4 * HOUR_MS
    else:
        assert made.review == ("flagged" if count else "none")


def test_a_strategy_can_be_asked_about_alone() -> None:
    facts = pool(a=falling(10), b=falling(10), c=falling(10))
    made = ask(RETIREMENT, context(strategies=facts), "b")
    assert made.value == {"retire": ("b",), "pause": ()}
    assert made.review == "flagged"
    assert made.context is not None
    assert list(made.context.strategies) == ["b"]
    gone = ask(RETIREMENT, context(strategies=facts), "nobody")
    assert gone.value == {"retire": (), "pause": ("nobody",)}
    assert gone.review == "before"


# ---- approval --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("backtest_sharpe", 1.0, 1.0 - TINY),
        ("paper_days", 3, 2),
        ("paper_sharpe", 0.8, 0.8 - TINY),
        ("paper_drawdown", 0.12, 0.12 + TINY),
    ],
)
def test_each_criterion_of_a_new_strategy(name: str, good: float, bad: float) -> None:
    facts = context(strategies={"s": proven(**{name: good})})
    made = ask(APPROVAL, facts, "s")
    assert (made.action, made.confidence, made.review) == ("approve", 1.0, "none")
    made = ask(APPROVAL, context(strategies={"s": proven(**{name: bad})}), "s")
    assert (made.action, made.raw_confidence, made.review) == ("approve", 0.75, "before")
    assert made.acts is False
    assert made.cautious == {"approve": False, "passed": 3}


@pytest.mark.parametrize(("failures", "action"), [(0, "approve"), (1, "approve"), (2, "reject")])
def test_three_of_four_criteria_are_enough(failures: int, action: str) -> None:
    bad = {"backtest_sharpe": 0.0, "paper_days": 0}
    changes = dict(list(bad.items())[:failures])
    made = ask(APPROVAL, context(strategies={"s": proven(**changes)}), "s")
    assert made.action == action
    assert made.raw_confidence == 1.0 - failures / 4


# ---- emergency -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "at", "below"),
    [
        ("daily_return", -0.05, -0.05 + TINY),
        ("weekly_return", -0.15, -0.15 + TINY),
        ("drawdown", 0.20, 0.20 - TINY),
    ],
)
def test_each_condition_of_a_shutdown(name: str, at: float, below: float) -> None:
    made = ask(EMERGENCY, context(account=account(**{name: at})))
    assert (made.action, made.acts, made.review) == ("shutdown", True, "after")
    assert (made.urgency, made.confidence, made.deadline_ms) == ("CRITICAL", 1.0, AS_OF)
    assert made.holds == ("all",)
    made = ask(EMERGENCY, context(account=account(**{name: below})))
    assert (made.action, made.acts, made.review, made.holds) == ("continue", True, "none", ())


def test_a_loss_that_is_the_limit_but_for_the_last_digit_of_a_float_counts() -> None:
    loss = 0.3 - 0.35
    assert -loss < 0.05
    assert ask(EMERGENCY, context(account=account(daily_return=loss))).action == "shutdown"


def test_a_shutdown_waits_neither_for_missing_values_nor_for_stale_ones() -> None:
    facts = context(account=account(daily_return=-0.06, weekly_return=None, drawdown=None))
    for data_ms in (None, AS_OF - 10 * DAY_MS):
        stale = msgspec.structs.replace(facts, data_ms=data_ms)
        made = ask(EMERGENCY, stale)
        assert (made.action, made.acts, made.review) == ("shutdown", True, "after")


def test_a_shutdown_does_not_depend_on_a_calibration() -> None:
    bins = (Bin(1.0, 300, 3, 0.0, 0.1, 10, 0.0, 0.2, 0.01),)
    worthless = Calibration(300, dict.fromkeys(KINDS, bins))
    for change, action, acts in ((-0.06, "shutdown", True), (0.0, "continue", True)):
        facts = context(account=account(daily_return=change))
        made = decide(EMERGENCY, facts, RULES, calibration=worthless)
        assert (made.action, made.acts, made.confidence) == (action, acts, 1.0)


@pytest.mark.parametrize("name", ["daily_return", "weekly_return", "drawdown"])
def test_an_account_that_nobody_knows_adds_no_risk(name: str) -> None:
    made = ask(EMERGENCY, context(account=account(**{name: None})))
    assert (made.action, made.acts, made.review) == ("shutdown", False, "before")
    assert made.holds == ("all",)
    assert made.cautious == {"shutdown": True}
    assert (made.urgency, made.deadline_ms) == ("HIGH", AS_OF + 4 * HOUR_MS)


@pytest.mark.parametrize("data_ms", [None, AS_OF - 37 * HOUR_MS])
def test_an_account_whose_data_stand_still_adds_no_risk(data_ms: int | None) -> None:
    made = ask(EMERGENCY, context(data_ms=data_ms))
    assert (made.action, made.acts, made.review) == ("shutdown", False, "before")
    assert (made.value, made.cautious) == ({"shutdown": True}, {"shutdown": True})
    assert made.holds == ("all",)


# ---- risk and session ------------------------------------------------------------------------

RISKS = {"volatility": 0.05, "correlation": 0.8, "volume_ratio": 0.7}


def broken(*names: str) -> MarketFacts:
    step = {"volatility": TINY, "correlation": TINY, "volume_ratio": -TINY}
    return market(**{name: RISKS[name] + step[name] for name in names})


@pytest.mark.parametrize(
    ("names", "factor"),
    [
        ((), 1.2),
        (("volatility",), 1.0),
        (("correlation",), 1.0),
        (("volume_ratio",), 1.0),
        (("volatility", "correlation"), 0.5),
        (("correlation", "volume_ratio"), 0.5),
        (("volatility", "correlation", "volume_ratio"), 0.5),
    ],
)
def test_factor_of_sizes(names: tuple[str, ...], factor: float) -> None:
    made = ask(RISK, context(market=broken(*names)))
    assert made.value == {"size_factor": factor}
    assert made.raw_confidence == 0.85
    # Half the size is carried out at once and looked at afterwards.
    assert (made.review, made.acts) == ("after" if len(names) > 1 else "flagged", True)


def test_at_a_limit_itself_a_risk_does_not_count() -> None:
    assert ask(RISK, context(market=market(**RISKS))).value == {"size_factor": 1.2}
    assert ask(SESSION, context(market=market(**RISKS))).action == "normal"


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        ((), (1.0, 20, 1.0)),
        (("volatility",), (0.8, 15, 0.7)),
        (("correlation",), (0.9, 10, 0.8)),
        (("volatility", "correlation"), (0.8, 10, 0.7)),
    ],
)
def test_settings_of_a_session(names: tuple[str, ...], settings: tuple[float, int, float]) -> None:
    made = ask(SESSION, context(market=broken(*names)))
    assert tuple(made.value.values()) == settings
    assert (made.confidence, made.review, made.acts) == (0.9, "none", True)


def test_a_third_factor_that_is_not_known_changes_nothing() -> None:
    facts = msgspec.structs.replace(broken("volatility", "correlation"), volume_ratio=None)
    made = ask(RISK, context(market=facts))
    assert (made.value, made.missing, made.confidence) == ({"size_factor": 0.5}, (), 0.85)


def test_unknown_risks_tighten_at_once_and_are_looked_at() -> None:
    made = ask(RISK, context(market=MarketFacts()))
    assert (made.value, made.acts, made.review) == ({"size_factor": 0.5}, True, "after")
    made = ask(SESSION, context(market=MarketFacts()))
    assert (made.action, made.acts, made.review) == ("defend", True, "after")


# ---- confidence and reviews ------------------------------------------------------------------


def calibrated(kind: str, value: float) -> Calibration:
    return Calibration(200, {kind: (Bin(0.9, 200, 180, 0.8, 0.9, 20, 0.7, 0.95, value),)})


@pytest.mark.parametrize(
    ("value", "band", "review"),
    [
        (0.9, "automatic", "none"),
        (0.9 - TINY, "medium", "flagged"),
        (0.7, "medium", "flagged"),
        (0.7 - TINY, "low", "before"),
    ],
)
def test_bands_of_confidence(value: float, band: str, review: str) -> None:
    made = decide(SESSION, context(), RULES, calibration=calibrated(SESSION, value))
    assert (made.band, made.review, made.acts) == (band, review, review != "before")
    assert (made.raw_confidence, made.confidence) == (0.9, value)
    other = decide(SESSION, context(), RULES, calibration=calibrated(RISK, value))
    assert other.confidence == 0.9


def test_calibration_never_carries_out_what_the_rules_want_seen() -> None:
    sure = Calibration(200, {APPROVAL: (Bin(0.75, 200, 200, 0.9, 1.0, 20, 0.9, 1.0, 1.0),)})
    facts = context(strategies={"s": proven(paper_sharpe=0.0)})
    made = decide(APPROVAL, facts, RULES, strategy="s", calibration=sure)
    assert made.confidence == 1.0
    assert (made.review, made.acts) == ("before", False)


def test_medium_confidence_is_seen_first_where_the_rules_say_so() -> None:
    handling = RULES.plain()[RISK]["handling"] | {"medium_confidence": "review"}
    rules = rules_with(RISK, handling=handling)
    made = decide(RISK, context(), rules)
    # A greater size waits although the type is reviewed afterwards.
    assert (made.action, made.review, made.acts) == ("loosen", "before", False)
    made = decide(RISK, context(market=broken("volatility")), rules)
    assert (made.action, made.review, made.acts) == ("keep", "after", True)


@pytest.mark.parametrize(
    ("urgency", "hours"), [("LOW", None), ("MEDIUM", 24), ("HIGH", 4), ("CRITICAL", 0)]
)
def test_deadlines(urgency: str, hours: int | None) -> None:
    handling = RULES.plain()[SIZING]["handling"] | {"review_urgency": urgency}
    rules = rules_with(SIZING, handling=handling)
    facts = context(account=account(capital=1e6))
    made = decide(SIZING, facts, rules, made_ms=123)
    assert made.urgency == urgency
    assert made.deadline_ms == (None if hours is None else 123 + hours * HOUR_MS)


def test_nothing_changes_at_a_deadline_where_the_rules_say_so() -> None:
    handling = RULES.plain()[SIZING]["handling"] | {"on_expiry": "nothing"}
    facts = context(account=account(capital=1e6))
    made = decide(SIZING, facts, rules_with(SIZING, handling=handling))
    assert (made.cautious, made.cautious_action) == ({}, "")


# ---- incomplete and broken -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "facts", "word"),
    [
        (SIZING, context(account=account(capital=None)), "capital"),
        (SIZING, context(account=account(average_sharpe=None)), "average Sharpe ratio"),
        (RETIREMENT, context(), "strategies"),
        (RETIREMENT, context(strategies=pool(a=None)), "a.series"),
        (APPROVAL, context(strategies={"s": proven(paper_days=None)}), "s.days on paper"),
        (APPROVAL, context(), "s.days on paper"),
        (EMERGENCY, context(account=account(drawdown=None)), "drawdown"),
        (RISK, context(market=market(volatility=None)), "volatility"),
        (SESSION, context(market=market(correlation=None)), "correlation"),
    ],
)
def test_a_missing_value_is_named_and_a_person_looks(
    kind: str, facts: DecisionContext, word: str
) -> None:
    made = ask(kind, facts, "s" if kind == APPROVAL else "")
    assert word in made.missing
    assert made.review in ("before", "after")
    assert made.band == "low"
    assert made.confidence <= 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data_ms", [None, AS_OF - 37 * HOUR_MS, AS_OF + 1])
def test_data_of_another_time_are_no_data(kind: str, data_ms: int | None) -> None:
    facts = context(strategies={"s": proven(series=series())}, data_ms=data_ms)
    made = ask(kind, facts, "s")
    assert made.review in ("before", "after")
    assert made.missing


@pytest.mark.parametrize("kind", KINDS)
def test_data_within_their_age_are(kind: str) -> None:
    facts = context(strategies={"s": proven(series=series())}, data_ms=AS_OF - 36 * HOUR_MS)
    assert ask(kind, facts, "s").missing == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.01])
@pytest.mark.parametrize("name", ["volatility", "volume_ratio"])
def test_a_value_that_cannot_be_is_missing(name: str, value: float) -> None:
    assert name.replace("_", " ") in ask(RISK, context(market=market(**{name: value}))).missing


def test_an_unknown_type_is_left_to_a_person() -> None:
    made = decide("emergency_shutdwon", context(), RULES)
    assert "did you mean 'emergency_shutdown'" in made.error
    assert (made.action, made.confidence, made.review, made.urgency) == (
        "",
        0.0,
        "before",
        "MEDIUM",
    )
    assert made.acts is False


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_inside_is_left_to_a_person(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_rule(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(AutomatedDecisionEngine, "_find", broken_rule)
    made = decide(kind, context(), RULES)
    assert "ZeroDivisionError: a defect" in made.error
    assert (made.action, made.confidence, made.review) == ("", 0.0, "before")
    assert (made.urgency, made.deadline_ms) == ("HIGH", AS_OF + 4 * HOUR_MS)
    assert made.holds == (("all",) if kind == EMERGENCY else ())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("facts", [None, {}, "text", MarketFacts()])
def test_what_is_no_context_is_left_to_a_person(kind: str, facts: Any) -> None:
    made = decide(kind, facts, RULES)
    assert made.error
    assert (made.action, made.review, made.acts) == ("", "before", False)


# ---- replay ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known", [True, False])
def test_a_stored_decision_can_be_taken_again(kind: str, known: bool) -> None:
    facts = context(strategies={"s": proven(series=falling(9)), "t": proven(series=series())})
    if not known:
        facts = context(account=account(capital=None, drawdown=None), market=MarketFacts())
    calibration = calibrated(kind, 0.8)
    made = decide(kind, facts, RULES, strategy="s", made_ms=AS_OF + 7, calibration=calibration)
    body = made.plain()
    assert replay(body) == made
    assert replay(json.loads(json.dumps(body))).plain() == body
    # Through the bytes of the log as well.
    event = msgspec.structs.replace(decided(), kind=kind, body=body)
    stored = decode_payload(DecisionMade.type, encode(event))
    assert isinstance(stored, DecisionMade)
    assert replay(stored.body).plain() == body
    assert made.rules.hash == body["rules_hash"]


def test_a_decision_says_what_it_compared_with_what() -> None:
    made = ask(RISK, context(market=market(volatility=0.06)))
    texts = [reason.text for reason in made.reasons]
    assert texts[0] == "volatility is 0.06; > 0.05 holds"
    assert texts[2] == "volume ratio is 1; < 0.7 does not hold"


def test_a_decision_keeps_only_what_it_looked_at() -> None:
    facts = context(strategies={"s": proven(series=series(days=400)), "t": proven()})
    made = ask(RETIREMENT, facts)
    assert made.context is not None
    kept = made.context.strategies["s"].series
    assert kept is not None
    assert len(kept.equity) == 65  # 2 x 14 + 7 days to count over, and a window of 30
    assert kept.last_day == LAST
    assert made.context.market == MarketFacts()
