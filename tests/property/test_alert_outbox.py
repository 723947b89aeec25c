"""Any sequence of alerts, waits, failures and restarts: nothing is lost, nothing critical muted."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genesis.monitoring.alerts.queries import counts, list_alerts
from tests.unit.monitoring.alert_rig import MINUTE, Rig
from tests.unit.trading.event_samples import HandClock

LEVELS = ["info", "informational", "warning", "high", "urgent", "critical", "emergency", "odd"]
MEANING = {"informational": "info", "urgent": "high", "odd": "critical"}
WINDOW = {"info": 60 * MINUTE, "warning": 30 * MINUTE, "high": 15 * MINUTE}
"""Minutes of silence as the origin system has them."""

raised = st.tuples(
    st.sampled_from([*LEVELS, "warning", "warning", "warning"]),
    st.sampled_from(["orders", "orders", "halt"]),
    st.sampled_from(["a", "a", "a", "b"]),
    st.integers(1, 3),
)
"""A burst of one alert; few kinds, so that the same one often comes again."""
wait = st.sampled_from([0, 1_000, 14 * MINUTE, 15 * MINUTE, 16 * MINUTE, 31 * MINUTE, 61 * MINUTE])
VALUES = {
    "raise": raised,
    "wait": wait,
    "phone": st.sampled_from(["", "down", "doubtful"]),
    "mail": st.sampled_from(["", "down"]),
    "restart": st.none(),
}
kinds = ["raise"] * 5 + ["wait"] * 3 + ["phone", "mail", "restart"]
step = st.sampled_from(kinds).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind]))


class Model:
    """Which alerts are to be told, by looking through all that was told before."""

    def __init__(self) -> None:
        self.told: list[tuple[int, tuple[str, str, str]]] = []
        self.kept: Counter[tuple[str, str, str]] = Counter()
        self.counted: list[tuple[tuple[str, str, str], int]] = []
        self.kept_back = 0

    def raised(self, now: int, key: tuple[str, str, str]) -> None:
        window = WINDOW.get(key[0], 0)
        if any(one == key and now - window < at for at, one in self.told):
            self.kept[key] += 1
            self.kept_back += 1
            return
        self.told.append((now, key))
        self.counted.append((key, self.kept.pop(key, 0)))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(step, min_size=6, max_size=20))
def test_nothing_is_lost_and_nothing_critical_is_kept_back(steps: list) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory() as folder:
        model, clock = Model(), HandClock()
        rig = Rig(Path(folder), clock=clock)
        files, count = [], 0
        for kind, value in steps:
            if kind == "raise":
                level, component, title, times = value
                for _ in range(times):
                    rig.tell(level, title, component)
                    model.raised(clock.ms, (MEANING.get(level, level), component, title))
                count += times
            elif kind == "wait":
                rig.later(value)
            elif kind == "restart":
                files += rig.file.got
                phone, mail = rig.phone, rig.mail
                rig.close()
                rig = Rig(Path(folder), clock=clock)
                rig.phone.why, rig.phone.doubtful = phone.why, phone.doubtful
                rig.mail.why = mail.why
            elif kind == "phone":
                rig.phone.why, rig.phone.doubtful = (
                    value.replace("doubtful", ""),
                    value == "doubtful",
                )
            else:
                rig.mail.why = value
        rig.settle()
        files += rig.file.got
        own = list_alerts(rig.outbox, suppressed=True, limit=500)[::-1]
        own = [row for row in own if not row.component.startswith("channel:")]
        told = [row for row in own if row.told]

        # Every alert that was raised is in the outbox: told, or kept back and counted.
        assert len(own) == count
        assert [
            ((row.raised_level, row.component, row.title), row.suppressed) for row in told
        ] == model.counted
        assert len(own) - len(told) == model.kept_back
        assert all(row.told for row in own if row.raised_level in ("critical", "emergency"))

        # The local file never failed, so what is told was delivered, each alert once a level.
        heard = Counter((m.alert_id, m.level) for m in files)
        assert {row.alert_id for row in told} <= {alert_id for alert_id, _ in heard}
        assert set(heard.values()) <= {1}
        sums = counts(rig.outbox)
        assert sums["pending"] == 0

        # Once the channels are well again they have everything that they are meant to tell.
        rig.phone.why, rig.phone.doubtful, rig.mail.why = "", False, ""
        for _ in range(3):
            rig.later(10 * MINUTE)
        left = [row["state"] for row in rig.rows("deliveries")]
        assert set(left) <= {"delivered", "dropped"}
        rig.close()
