"""Once a day the deployments of a live run are judged, and demoted where they fail.

It reads logs and bootstraps drawdowns, which takes seconds: so it has a thread of its own, and the
run learns of a demotion from the log of operations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from genesis.domain.counting import several
from genesis.domain.errors import GenesisError
from genesis.domain.timeline import DAY_MS

if TYPE_CHECKING:
    from genesis.domain.clock import Clock
    from genesis.system.workspace import Workspace

_LOOK_S = 1.0
_CRITICAL, _WARNING = "critical", "warning"
_SILENT_DAYS = 1
"""Full days since a deployment went live in which nothing can be known of it yet."""
_CRITICAL_DAYS = 2
"""Full days after which one that nobody can judge is critical: from its third day on."""


class DailyReviews:
    """Judges the live deployments of an account once in each UTC day of a clock.

    Parameters
    ----------
    workspace : Workspace
    account : str
        Address.
    clock : Clock
        Of the run; a deployment's row is stamped by it.
    told : callable
        Called with one line for each alarm.
    """

    def __init__(
        self, workspace: Workspace, account: str, clock: Clock, told: Callable[[str], None]
    ) -> None:
        self._workspace = workspace
        self._account = account
        self._clock = clock
        self._told = told
        self._over = threading.Event()
        self._day = -1  # a run that is never alive at midnight is judged as well
        self._thread = threading.Thread(target=self._run, name="daily-reviews", daemon=True)

    def __enter__(self) -> DailyReviews:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_LOOK_S):
            day = self._clock.now_ms() // DAY_MS
            if day != self._day:
                self._day = day
                self.review()

    def review(self) -> None:
        """Judge every deployment now; what cannot be judged is told and tried the next day."""
        from genesis.system.alerts import raise_alert

        try:
            lines = self._judge()
        except Exception as error:  # a thread that ends would never judge again
            lines = [(_CRITICAL, f"the deployments of {self._account} cannot be judged: {error}")]
        for level, line in lines:
            with suppress(Exception):  # who cannot hear it has the alert
                self._told(line)
            with suppress(GenesisError):
                raise_alert(self._workspace.home, level, "deployments", "review", line)

    def _judge(self) -> list[tuple[str, str]]:
        """Level and line of each alert."""
        from genesis.decision.ports import Wish
        from genesis.decision.retirement import Alarm
        from genesis.system.promotion import deployment_manager, live_deployments

        manager = deployment_manager(self._workspace, clock=self._clock)
        lines = []
        for one in live_deployments(self._workspace.home, self._account):
            wish = Wish(one.strategy, one.account, one.target)
            try:
                after, health = manager.review(wish)
            except Exception as error:  # the others are judged all the same
                lines.append((_CRITICAL, f"{one.id} cannot be judged: {error}"))
                continue
            reasons = "; ".join(health.reasons)
            days = (self._clock.now_ms() - one.live_since_ms) // DAY_MS
            if health.alarm in (Alarm.AMBER, Alarm.RED):
                said = f"{one.id}: {health.alarm.value}, now {after.stage}: {reasons}"
                lines.append((_CRITICAL, said))
            elif health.alarm is Alarm.UNKNOWN and days >= _SILENT_DAYS:
                age = several(days, "full day")
                said = f"{one.id} trades unjudged, {age} after it went live: {reasons}"
                lines.append((_CRITICAL if days >= _CRITICAL_DAYS else _WARNING, said))
        return lines
