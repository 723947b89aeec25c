"""Daily reviews: begun with the run, once a UTC day, and nothing that fails ends them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genesis.decision.retirement import Alarm, Health
from genesis.domain.errors import StorageError
from genesis.domain.timeline import DAY_MS
from genesis.system import live_reviews, promotion
from genesis.system.live_reviews import DailyReviews
from genesis.system.workspace import Workspace
from tests.integration.hyperliquid.live_rig import until
from tests.unit.decision.deployment_desk import ManualClock

ACCOUNT = "0xab"
NOON = 20_000 * DAY_MS + DAY_MS // 2


class Desk:
    """Deployments of an account, and what becomes of each when it is judged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        self.clock = ManualClock(NOON)
        self.told: list[str] = []
        self.alerts: list[str] = []
        self.judged: list[str] = []
        self.outcomes: dict[str, Any] = {}
        self.names = ["a", "b"]
        self.broken: Exception | None = None
        self.alarm = Alarm.RED
        self.live_since_ms = NOON - DAY_MS // 2
        self.levels: list[str] = []
        monkeypatch.setattr(live_reviews, "_LOOK_S", 0.005)
        monkeypatch.setattr(promotion, "live_deployments", self.deployments)
        monkeypatch.setattr(promotion, "deployment_manager", self.manager)
        monkeypatch.setattr("genesis.system.alerts.raise_alert", self.alert)
        self.reviews = DailyReviews(Workspace(home), ACCOUNT, self.clock, self.tell)

    def tell(self, line: str) -> None:
        self.told.append(line)

    def deployments(self, _: Path, account: str) -> list[Any]:
        assert account == ACCOUNT
        return [
            SimpleNamespace(
                id=f"DEP_{name}",
                strategy=name,
                account=account,
                target="loopback",
                live_since_ms=self.live_since_ms,
            )
            for name in self.names
        ]

    def manager(self, *_: Any, clock: Any) -> Any:
        assert clock is self.clock, "rows are stamped by the clock of the run"
        if self.broken is not None:
            raise self.broken
        return SimpleNamespace(review=self.review)

    def review(self, wish: Any) -> tuple[Any, Any]:
        self.judged.append(wish.strategy)
        found = self.outcomes.get(wish.strategy, ())
        if isinstance(found, Exception):
            raise found
        health = Health(self.alarm if found else Alarm.GREEN, tuple(found), {})
        return SimpleNamespace(stage="paper"), health

    def alert(self, _: Path, level: str, component: str, title: str, text: str) -> bool:
        assert (component, title) == ("deployments", "review")
        self.levels.append(level)
        self.alerts.append(text)
        return True

    def day(self, judged: int) -> None:
        until(lambda: len(self.judged) >= judged)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    return Desk(monkeypatch, tmp_path)


def still(check: Callable[[], bool]) -> bool:
    """Whether something is still so after a while."""
    threading.Event().wait(0.1)
    return check()


def test_they_judge_at_the_start_and_once_in_each_day(desk: Desk) -> None:
    with desk.reviews:
        desk.day(2)
        assert still(lambda: desk.judged == ["a", "b"]), "no more on the same day"
        desk.clock.ms += DAY_MS // 2
        desk.day(4)
        assert still(lambda: desk.judged == ["a", "b"] * 2)
    assert desk.told == desk.alerts == []
    desk.clock.ms += DAY_MS
    assert still(lambda: len(desk.judged) == 4), "they end with the run"


def test_an_alarm_is_told_and_alerted(desk: Desk) -> None:
    desk.outcomes["b"] = ("it lost", "too much")
    desk.reviews.review()
    assert desk.told == desk.alerts == ["DEP_b: red, now paper: it lost; too much"]
    assert desk.levels == ["critical"]


@pytest.mark.parametrize(
    ("alarm", "age_ms"),
    [(Alarm.UNKNOWN, 0), (Alarm.UNKNOWN, DAY_MS - 1), (Alarm.GREEN, 9 * DAY_MS)],
)
def test_what_is_no_alarm_is_not_told(desk: Desk, alarm: Alarm, age_ms: int) -> None:
    desk.live_since_ms = NOON - age_ms
    desk.alarm, desk.outcomes["b"] = alarm, ("too few bars",)
    desk.reviews.review()
    assert desk.judged == ["a", "b"]
    assert desk.told == desk.alerts == []


@pytest.mark.parametrize(
    ("age_ms", "age", "level"),
    [
        (DAY_MS, "1 full day", "warning"),
        (2 * DAY_MS - 1, "1 full day", "warning"),
        (2 * DAY_MS, "2 full days", "critical"),
        (9 * DAY_MS, "9 full days", "critical"),
    ],
)
def test_one_that_nobody_can_judge_is_told_after_its_first_day(
    desk: Desk, age_ms: int, age: str, level: str
) -> None:
    desk.alarm, desk.outcomes["b"] = Alarm.UNKNOWN, ("its logs are gone",)
    desk.live_since_ms = NOON - age_ms
    desk.reviews.review()
    line = f"DEP_b trades unjudged, {age} after it went live: its logs are gone"
    assert desk.told == desk.alerts == [line]
    assert desk.levels == [level]


def test_one_that_nobody_can_judge_is_told_once_a_day(desk: Desk) -> None:
    desk.alarm, desk.outcomes["b"] = Alarm.UNKNOWN, ("its logs are gone",)
    with desk.reviews:
        desk.day(2)
        for day in (1, 2, 3):
            desk.clock.ms += DAY_MS
            desk.day(2 + 2 * day)
            until(lambda day=day: len(desk.levels) == day)
            assert still(lambda day=day: len(desk.levels) == day)
    assert desk.levels == ["warning", "critical", "critical"]


def test_one_that_cannot_be_judged_keeps_no_other_from_it(desk: Desk) -> None:
    desk.outcomes = {"a": ZeroDivisionError("no fills"), "b": ("it lost",)}
    desk.reviews.review()
    assert desk.judged == ["a", "b"]
    assert desk.told == ["DEP_a cannot be judged: no fills", "DEP_b: red, now paper: it lost"]
    assert desk.alerts == desk.told


@pytest.mark.parametrize("error", [StorageError("the log is torn"), ValueError("the log is torn")])
def test_a_day_on_which_nothing_can_be_judged_is_told_and_the_next_one_is_judged(
    desk: Desk, error: Exception
) -> None:
    desk.broken = error
    with desk.reviews:
        until(lambda: bool(desk.told))
        line = f"the deployments of {ACCOUNT} cannot be judged: the log is torn"
        assert still(lambda: desk.told == desk.alerts == [line]), "once a day"
        desk.broken = None
        desk.clock.ms += DAY_MS
        desk.day(2)
    assert desk.told == [line]


def test_who_cannot_be_told_ends_no_reviews(desk: Desk) -> None:
    def deaf(_: str) -> None:
        raise OSError("the pipe is closed")

    desk.reviews._told = deaf
    desk.outcomes["a"] = ("it lost",)
    with desk.reviews:
        until(lambda: len(desk.alerts) == 1)
        desk.clock.ms += DAY_MS
        desk.day(4)
        until(lambda: len(desk.alerts) == 2)
