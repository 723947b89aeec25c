"""A dispatcher whose turns, clock and channels a test holds in its hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from genesis.domain.clock import Clock
from genesis.monitoring.alerts.channels import ChannelSlot
from genesis.monitoring.alerts.dispatcher import AlertDispatcher
from genesis.monitoring.alerts.feed import AlertFeed
from genesis.monitoring.alerts.lanes import Job, Outcome, attempt
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.message import Message
from genesis.monitoring.alerts.outbox import Outbox
from genesis.monitoring.alerts.secret_urls import ChannelError
from genesis.monitoring.alerts.settings import AlertSettings
from genesis.trading.store import EventReader
from tests.unit.trading.event_samples import HandClock

MINUTE = 60_000
HOUR = 60 * MINUTE


@dataclass
class FakeChannel:
    """Keeps what it is told, or fails for a reason; ``doubtful`` fails after it took it."""

    why: str = ""
    doubtful: bool = False
    got: list[Message] = field(default_factory=list)
    asked: int = 0
    kind: str = "fake"

    def send(self, message: Message) -> None:
        self.asked += 1
        if self.doubtful:
            self.got.append(message)
            raise ChannelError("no answer in time", doubtful=True)
        if self.why:
            raise ChannelError(self.why)
        self.got.append(message)

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.got]


class InlineLane:
    """Sends at once, in the thread of the test."""

    def __init__(self, slot: ChannelSlot, clock: Clock, wake: Callable[[], None]) -> None:
        self.slot = slot
        self._done: list[Outcome] = []

    @property
    def busy(self) -> bool:
        return bool(self._done)

    def start(self, job: Job) -> None:
        self._done.append(attempt(self.slot, job))

    def outcomes(self) -> list[Outcome]:
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        return


def slot(
    name: str,
    channel: FakeChannel,
    level: AlertLevel = AlertLevel.INFO,
    *,
    timeout_s: float = 4.0,
    quiet: bool = False,
) -> ChannelSlot:
    return ChannelSlot(name, channel, level, timeout_s, quiet)


class Rig:
    """A workspace with channels ``phone``, ``mail`` and ``file``, all of them fake."""

    def __init__(
        self,
        home: Path,
        *,
        settings: AlertSettings | None = None,
        clock: HandClock | None = None,
        feeds: Sequence[AlertFeed] = (),
        slots: Sequence[ChannelSlot] | None = None,
        capacity: int = 1000,
    ) -> None:
        self.home = home
        self.clock = clock or HandClock()
        self.phone, self.mail, self.file = FakeChannel(), FakeChannel(), FakeChannel()
        if slots is None:
            slots = [
                slot("phone", self.phone, AlertLevel.WARNING, quiet=True),
                slot("mail", self.mail, AlertLevel.EMERGENCY),
                slot("file", self.file),
            ]
        self.outbox = Outbox(home, self.clock)
        self.dispatcher = AlertDispatcher(
            self.outbox,
            slots,
            settings or AlertSettings(),
            self.clock,
            feeds=feeds,
            capacity=capacity,
            make_lane=InlineLane,
        )

    def settle(self, turns: int = 500) -> None:
        """Turn until nothing is left to do now."""
        for _ in range(turns):
            if not self.dispatcher.turn():
                return
        raise AssertionError("the dispatcher does not come to rest")

    def tell(self, level: str, title: str = "t", component: str = "c", text: str = "") -> None:
        self.dispatcher.raise_alert(level, component, title, text)
        self.settle()

    def later(self, ms: int) -> None:
        self.clock.ms += ms
        self.settle()

    def rows(self, table: str) -> list[dict]:  # type: ignore[type-arg]
        with EventReader(self.outbox.folder) as reader:
            return reader.rows(table)

    def close(self) -> None:
        self.dispatcher.close(0.0)
        self.dispatcher._end()
