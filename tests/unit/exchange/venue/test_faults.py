"""Rules of faults: which requests they strike, in which files they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesis.domain.errors import ConfigError
from genesis.exchange.venue.faults import (
    REQUEST_KINDS,
    FaultPlan,
    FaultRule,
    Where,
    read_faults,
    rule_from,
)

ORDER = Where("exchange", "order", "0xab", "BTC")


def struck(plan: FaultPlan, facts: Where = ORDER, now_ms: int = 0) -> bool:
    return bool(plan.chosen(REQUEST_KINDS, facts, now_ms))


def test_a_rule_without_conditions_strikes_everything() -> None:
    plan = FaultPlan()
    assert plan.idle
    plan.add(FaultRule("drop_after"), 0)
    assert struck(plan)
    assert struck(plan, Where("info", "meta"))


@pytest.mark.parametrize(
    ("where", "hit"),
    [
        (Where(path="exchange"), True),
        (Where(path="info"), False),
        (Where(type="order"), True),
        (Where(type="cancel"), False),
        (Where(user="0xAB"), True),
        (Where(user="0xcd"), False),
        (Where(coin="BTC"), True),
        (Where(coin="ETH"), False),
    ],
)
def test_conditions(where: Where, hit: bool) -> None:
    plan = FaultPlan()
    plan.add(FaultRule("drop_before", where), 0)
    assert struck(plan) is hit


def test_skip_count_and_time() -> None:
    plan = FaultPlan()
    plan.add(FaultRule("too_many", skip=1, count=2), 0)
    assert [struck(plan) for _ in range(5)] == [False, True, True, False, False]
    later = FaultPlan()
    later.add(FaultRule("too_many", from_s=1.0, until_s=2.0), 10_000)
    assert [struck(later, now_ms=t) for t in (10_999, 11_000, 11_999, 12_000)] == [
        False,
        True,
        True,
        False,
    ]


def test_chance_depends_on_seed_and_occurrence_only() -> None:
    def lots(seed: int) -> list[bool]:
        plan = FaultPlan(seed)
        plan.add(FaultRule("drop_after", probability=0.3), 0)
        return [struck(plan) for _ in range(400)]

    assert lots(1) == lots(1)
    assert lots(1) != lots(2)
    assert 80 < sum(lots(1)) < 160


def test_states_and_rules_that_strike_once() -> None:
    plan = FaultPlan()
    name = plan.add(FaultRule("maintenance", until_s=1.0), 0)
    assert plan.state("maintenance", 500) is not None
    assert plan.state("maintenance", 1000) is None
    plan.add(FaultRule("ws_cut"), 0)
    assert len(plan.begun("ws_cut", 0)) == 1
    assert plan.begun("ws_cut", 1) == []
    assert plan.remove(name)
    assert not plan.remove(name)
    plan.clear()
    assert plan.idle


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(
        "version: 1\nseed: 9\nfaults:\n"
        "  - {kind: drop_after, where: {path: exchange, type: order}, probability: 0.1}\n"
        "  - {kind: ws_freeze, from_s: 5, until_s: 20}\n"
    )
    file = read_faults(path)
    assert [rule.kind for rule in file.faults] == ["drop_after", "ws_freeze"]
    plan = FaultPlan()
    plan.load(file, 0)
    assert plan.seed == 9
    assert [row["on"] for row in plan.listed(0)] == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "faults: [{kind: drop_aftr}]",
        "faults: [{kind: drop_after, probability: 2}]",
        "faults: [{kind: drop_after, delay_ms: -1}]",
        "faults: [{kind: drop_after, where: {path: nowhere}}]",
        "faults: [{kind: drop_after, colour: red}]",
        "version: 2",
        "faults: {",
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        read_faults(path)


def test_a_wrong_word_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'drop_after'"):
        rule_from({"kind": "drop_aftr"})
    with pytest.raises(ConfigError):
        rule_from({"kind": 1})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("faults: [{kind: drop_after, probabilty: 1}]", "did you mean 'probability'"),
        ("faults: [{kind: drop_after, where: {tpye: order}}]", "did you mean 'type'"),
        ("faults: [{kind: ws_freeze, from_s: 90, until_s: 60}]", "until_s is later"),
        ("faults: [{kind: too_many, id: a}, {kind: html, id: a}]", "one id"),
        ("faults: {kind: drop_after}", "no file of faults"),
        ("falts: []", "no file of faults"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as told:
        read_faults(path)
    assert words in str(told.value)
