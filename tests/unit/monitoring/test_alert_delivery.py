"""Delivery: silence, routes, retries, stand-ins, escalation, quiet hours, heartbeat."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from genesis.monitoring.alerts.delivery import rest_ms
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.queries import acknowledge, counts, list_alerts
from genesis.monitoring.alerts.quiet import QuietHours
from genesis.monitoring.alerts.settings import AlertSettings
from genesis.trading.store import verify
from tests.unit.monitoring.alert_rig import HOUR, MINUTE, FakeChannel, Rig, slot
from tests.unit.trading.event_samples import HandClock


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def at(hour: int, minute: int = 0, day: int = 10) -> int:
    return int(datetime(2025, 6, day, hour, minute, tzinfo=UTC).timestamp() * 1000)


# ---- silence -------------------------------------------------------------------------------


def test_a_repetition_is_kept_back_and_told_with_the_next_one(rig: Rig) -> None:
    for _ in range(4):
        rig.tell("warning", "late")
    assert rig.phone.titles == ["late"]
    assert rig.phone.got[0].suppressed == 0
    rig.later(30 * MINUTE)
    rig.tell("warning", "late")
    told = [message for message in rig.phone.got if message.level is AlertLevel.WARNING]
    assert [message.suppressed for message in told] == [0, 3]
    assert "3 of the same were kept back before it" in told[1].body
    assert counts(rig.outbox) | {"unacked": 0} == {
        "delivered": 2,
        "suppressed": 3,
        "pending": 0,
        "unacked": 0,
        "undelivered": 0,
    }


def test_a_critical_alert_is_never_kept_back(rig: Rig) -> None:
    for _ in range(20):
        rig.tell("critical", "ledger differs")
        rig.tell("emergency", "ledger differs")
    assert [m.level for m in rig.phone.got].count(AlertLevel.CRITICAL) == 20
    assert [m.level for m in rig.phone.got].count(AlertLevel.EMERGENCY) == 20


def test_a_warning_does_not_silence_a_higher_level_of_the_same_title(rig: Rig) -> None:
    for level in ("info", "warning", "high", "critical"):
        rig.tell(level, "disk")
    assert [m.level.word for m in rig.file.got] == ["info", "warning", "high", "critical"]


def test_other_components_and_titles_have_windows_of_their_own(rig: Rig) -> None:
    rig.tell("info", "a", "x")
    rig.tell("info", "a", "y")
    rig.tell("info", "b", "x")
    assert len(rig.file.got) == 3


# ---- routes --------------------------------------------------------------------------------


def test_each_channel_hears_from_its_level_on_and_the_file_everything(rig: Rig) -> None:
    for level in ("info", "warning", "critical", "emergency"):
        rig.tell(level, level)
    assert rig.phone.titles == ["warning", "critical", "emergency"]
    assert rig.mail.titles == ["emergency"]
    assert rig.file.titles == ["info", "warning", "critical", "emergency"]


def test_an_unknown_level_is_told_as_critical_and_says_so(rig: Rig) -> None:
    rig.tell("fatal", "odd")
    assert rig.phone.got[0].level is AlertLevel.CRITICAL
    assert "unknown level 'fatal'" in rig.phone.got[0].body


# ---- a channel that fails ------------------------------------------------------------------


def test_the_next_channel_steps_in_at_once_and_the_failure_is_an_alert(rig: Rig) -> None:
    rig.phone.why = "the service answered 500"
    began = rig.clock.ms
    rig.tell("warning", "late")
    assert rig.clock.ms - began == 0  # without waiting for a retry
    assert rig.mail.titles == ["channel phone fails", "late"]  # the more urgent one first
    assert rig.mail.got[1].instead_of == "phone"
    assert "channel phone failed to tell it" in rig.mail.got[1].body
    assert rig.file.titles == ["late", "channel phone fails"]
    assert rig.file.got[1].level is AlertLevel.HIGH
    assert "500" in rig.file.got[1].text
    assert "channel phone fails" not in rig.phone.titles


def test_retries_wait_longer_each_time_and_end_with_success(rig: Rig) -> None:
    rig.phone.why = "down"
    rig.tell("critical", "x")
    asked = []
    for second in range(1, 200):
        before = rig.phone.asked
        rig.later(1_000)
        if rig.phone.asked > before:
            asked.append(second)
    assert asked == [5, 15, 35, 75, 155]  # 5, 10, 20, 40, 80 s apart
    rig.phone.why = ""
    rig.later(200_000)
    assert "x" in rig.phone.titles
    assert rig.file.titles[-1] == "channel phone delivers again"
    assert "6 times" in rig.file.got[-1].text


def test_the_rest_between_tries_is_bounded() -> None:
    assert [rest_ms(n) for n in (1, 2, 3)] == [5_000, 10_000, 20_000]
    assert rest_ms(1_000) == 10 * MINUTE


def test_while_a_channel_is_known_to_fail_its_alerts_go_elsewhere_at_once(rig: Rig) -> None:
    rig.phone.why = "down"
    rig.tell("warning", "first")
    rig.tell("warning", "second")
    assert rig.mail.titles == ["channel phone fails", "first", "second"]
    assert rig.phone.asked == 1  # it rests
    rig.phone.why = ""
    rig.later(5_000)
    assert rig.phone.titles == ["first", "second"]


def test_if_all_but_the_file_fail_the_file_has_it(rig: Rig) -> None:
    rig.phone.why = rig.mail.why = "down"
    rig.tell("critical", "x")
    assert {"x", "channel phone fails", "channel mail fails"} <= set(rig.file.titles)
    assert counts(rig.outbox)["pending"] == 0


def test_a_failing_channel_is_told_once_and_not_at_each_try(rig: Rig) -> None:
    rig.phone.why = "down"
    rig.tell("critical", "x")
    rig.later(8 * MINUTE)
    rig.later(1 * MINUTE)
    assert rig.file.titles.count("channel phone fails") == 1


def test_an_attempt_in_doubt_is_repeated_and_told_as_such(rig: Rig) -> None:
    rig.phone.doubtful = True
    rig.tell("critical", "x")
    rig.phone.doubtful = False
    rig.later(5_000)
    assert rig.phone.titles == ["x", "x"]
    assert [message.repeated for message in rig.phone.got] == [False, True]
    assert "(possibly a repetition)" in rig.phone.got[1].headline


def test_what_was_refused_for_a_day_is_given_up_and_counted(rig: Rig) -> None:
    rig.phone.why = "down"
    rig.tell("critical", "x")
    acknowledge(rig.outbox, [list_alerts(rig.outbox)[-1].alert_id], "me", "seen")
    rig.later(25 * HOUR)
    states = {r["channel"]: r["state"] for r in rig.rows("deliveries") if r["rank"] == 3}
    assert states["phone"] == "expired"
    rig.phone.why = ""
    rig.later(HOUR)
    assert "x" not in rig.phone.titles


def test_the_most_urgent_alert_goes_first_once_a_channel_is_back(rig: Rig) -> None:
    rig.phone.why = "down"
    for level, title in (("warning", "w"), ("critical", "c"), ("high", "h")):
        rig.tell(level, title)
    rig.phone.why = ""
    rig.later(5_000)
    assert rig.phone.titles == ["c", "h", "w"]


def test_a_channel_that_is_no_longer_configured_holds_nothing_up(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    first.phone.why = "down"
    first.tell("critical", "x")
    first.close()
    file = FakeChannel()
    second = Rig(tmp_path, clock=first.clock, slots=[slot("file", file)])
    second.settle()
    states = {r["channel"]: r["state"] for r in second.rows("deliveries") if r["rank"] == 3}
    assert states["phone"] == "dropped"
    assert counts(second.outbox)["undelivered"] == 0


# ---- escalation ----------------------------------------------------------------------------


def test_what_nobody_acknowledges_becomes_critical_and_then_an_emergency(rig: Rig) -> None:
    rig.tell("warning", "w")
    rig.later(30 * MINUTE - 1_000)
    assert [m.level.word for m in rig.phone.got] == ["warning"]
    rig.later(1_000)
    assert [m.level.word for m in rig.phone.got] == ["warning", "critical"]
    assert "raised as warning and acknowledged by nobody since" in rig.phone.got[1].body
    rig.later(15 * MINUTE - 1_000)
    assert len(rig.phone.got) == 2
    rig.later(1_000)
    assert [m.level.word for m in rig.phone.got] == ["warning", "critical", "emergency"]
    assert rig.mail.titles == ["w"]  # mail hears emergencies alone
    rig.later(48 * HOUR)
    assert len(rig.phone.got) == 3  # an emergency is the last


def test_an_acknowledgement_ends_it(rig: Rig) -> None:
    rig.tell("warning", "w")
    done = acknowledge(rig.outbox, [list_alerts(rig.outbox)[0].alert_id], "me", "I know")
    assert [row.title for row in done] == ["w"]
    rig.later(2 * HOUR)
    assert [m.level.word for m in rig.phone.got] == ["warning"]
    assert list_alerts(rig.outbox, unacked=True) == []


def test_information_does_not_escalate(rig: Rig) -> None:
    rig.tell("info", "i")
    rig.later(5 * HOUR)
    assert len(rig.file.got) == 1


def test_ninety_seven_warnings_about_one_thing_become_one_critical_alert(rig: Rig) -> None:
    for _ in range(97):
        rig.tell("warning", "same")
        rig.clock.ms += 30 * MINUTE  # each outside the window of the one before
        rig.settle()
    levels = [m.level.word for m in rig.phone.got]
    assert levels.count("warning") == 97
    assert levels.count("critical") == 1
    assert levels.count("emergency") == 1


def test_escalation_can_be_turned_off(tmp_path: Path) -> None:
    rig = Rig(tmp_path, settings=AlertSettings(escalation=False))
    rig.tell("warning", "w")
    rig.later(5 * HOUR)
    assert len(rig.phone.got) == 1


# ---- quiet hours ---------------------------------------------------------------------------


QUIET = AlertSettings(quiet_hours=QuietHours(time(22), time(7), UTC))


def test_quiet_hours_hold_back_what_is_below_critical_and_nothing_else(tmp_path: Path) -> None:
    rig = Rig(tmp_path, settings=QUIET, clock=HandClock(at(23, 30)))
    for level in ("warning", "high", "critical", "emergency"):
        rig.tell(level, level)
    assert rig.phone.titles == ["critical", "emergency"]
    assert rig.file.titles == ["warning", "high", "critical", "emergency"]
    acknowledge(rig.outbox, [r.alert_id for r in list_alerts(rig.outbox) if r.rank > 2], "me", "x")
    rig.later(at(6, 59, 11) - rig.clock.ms)
    assert len(rig.phone.got) == 2  # and nothing escalates that nobody could have heard
    rig.later(MINUTE)
    assert rig.phone.titles[2:] == ["high", "warning"]
    rig.later(30 * MINUTE)
    assert [m.level.word for m in rig.phone.got[4:]] == ["critical", "critical"]


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (at(21, 59), at(21, 59)),
        (at(22), at(7, 0, 11)),
        (at(3), at(7)),
        (at(7), at(7)),
        (at(12), at(12)),
    ],
)
def test_quiet_hours_span_midnight(now: int, until: int) -> None:
    assert QuietHours(time(22), time(7), UTC).until(now) == until


def test_quiet_hours_within_a_day() -> None:
    hours = QuietHours(time(12), time(14), UTC)
    assert hours.until(at(13)) == at(14)
    assert hours.until(at(14)) == at(14)
    assert hours.until(at(11, 59)) == at(11, 59)


# ---- heartbeat -----------------------------------------------------------------------------


def test_a_sign_of_life_comes_once_a_day_on_every_channel(tmp_path: Path) -> None:
    settings = AlertSettings(heartbeat=time(8), quiet_hours=QUIET.quiet_hours)
    rig = Rig(tmp_path, settings=settings, clock=HandClock(at(6)))
    rig.settle()
    assert len(rig.phone.got) == len(rig.mail.got) == len(rig.file.got) == 1  # the first start
    rig.later(at(7, 59) - rig.clock.ms)
    assert len(rig.mail.got) == 1
    rig.later(MINUTE)
    assert len(rig.mail.got) == 2
    rig.tell("critical", "x")
    rig.later(at(8, 0, 11) - rig.clock.ms - 1_000)
    assert rig.mail.titles.count(rig.mail.titles[0]) == 2
    rig.later(1_000)
    assert rig.mail.titles.count(rig.mail.titles[0]) == 3
    text = rig.mail.got[-1].text
    assert "not acknowledged: 1" in text
    assert "0 of them kept back" in text


def test_a_restart_does_not_repeat_the_heartbeat(tmp_path: Path) -> None:
    settings = AlertSettings(heartbeat=time(8))
    first = Rig(tmp_path, settings=settings, clock=HandClock(at(9)))
    first.settle()
    first.close()
    second = Rig(tmp_path, settings=settings, clock=HandClock(at(10)))
    second.settle()
    assert (len(first.file.got), len(second.file.got)) == (1, 0)


# ---- the outbox ----------------------------------------------------------------------------


def test_the_outbox_is_a_chained_log_that_nobody_else_reads(rig: Rig) -> None:
    rig.phone.why = "down"
    rig.tell("critical", "x")
    report = verify(rig.outbox.folder)
    assert report.damage is None
    assert report.events > 5
    assert rig.outbox.folder.stat().st_mode & 0o777 == 0o700
    assert (rig.outbox.folder / "events.db").stat().st_mode & 0o777 == 0o600


def test_titles_and_texts_cannot_steer_a_terminal(rig: Rig) -> None:
    rig.tell("critical", "a\x1b[2Jb\nc", text="x\x1b]0;evil\x07\ny" + "z" * 9_000)
    got = rig.phone.got[0]
    assert "\x1b" not in got.headline + got.body
    assert "\x07" not in got.body
    assert "\n" not in got.title
    assert len(got.text) <= 4_000
