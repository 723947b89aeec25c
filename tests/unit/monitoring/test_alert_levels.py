"""Levels: what words mean, and what the origin's numbers say of silence and escalation."""

from __future__ import annotations

import pytest

from genesis.domain.errors import InputError
from genesis.monitoring.alerts.levels import (
    ESCALATION,
    SILENCE_MS,
    AlertLevel,
    level_of,
    parse_level,
)
from genesis.monitoring.alerts.throttle import is_told

MINUTE = 60_000


def test_levels_of_trading_events_and_of_the_origin_are_known() -> None:
    assert [level_of(word) for word in ("info", "warning", "critical", "emergency")] == [
        AlertLevel.INFO,
        AlertLevel.WARNING,
        AlertLevel.CRITICAL,
        AlertLevel.EMERGENCY,
    ]
    assert level_of("informational") is AlertLevel.INFO
    assert level_of("urgent") is level_of("high") is level_of(" HIGH ") is AlertLevel.HIGH


def test_a_level_that_nobody_knows_is_critical() -> None:
    assert level_of("fatal") is AlertLevel.CRITICAL
    with pytest.raises(InputError, match="did you mean 'warning'"):
        parse_level("waring")


def test_windows_of_silence_are_those_of_the_origin() -> None:
    # Origin: informational, warning, urgent, critical: 60, 30, 15, 0 minutes.
    assert [SILENCE_MS.get(level, 0) // MINUTE for level in AlertLevel] == [60, 30, 15, 0, 0]


def test_escalation_is_that_of_the_origin() -> None:
    assert ESCALATION[AlertLevel.WARNING] == (AlertLevel.CRITICAL, 30 * MINUTE)
    assert ESCALATION[AlertLevel.CRITICAL] == (AlertLevel.EMERGENCY, 15 * MINUTE)
    assert AlertLevel.EMERGENCY not in ESCALATION
    assert AlertLevel.INFO not in ESCALATION


@pytest.mark.parametrize(("level", "minutes"), [(0, 60), (1, 30), (2, 15)])
def test_the_window_ends_where_it_should(level: int, minutes: int) -> None:
    kind, last = AlertLevel(level), 1_000_000
    assert is_told(kind, None, last)
    assert not is_told(kind, last, last)
    assert not is_told(kind, last, last + minutes * MINUTE - 1)
    assert is_told(kind, last, last + minutes * MINUTE)


def test_a_clock_that_steps_back_silences_nothing() -> None:
    assert is_told(AlertLevel.INFO, 10_000_000, 9_999_999)


@pytest.mark.parametrize("level", [AlertLevel.CRITICAL, AlertLevel.EMERGENCY])
def test_critical_and_emergency_are_always_told(level: AlertLevel) -> None:
    assert all(is_told(level, last, 5_000) for last in (None, 0, 4_999, 5_000, 5_001))
