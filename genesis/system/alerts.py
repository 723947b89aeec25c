"""Alerts of a workspace, put together: settings, channels, outbox, dispatcher."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from genesis.domain.clock import Clock
from genesis.domain.errors import GenesisError, InputError, did_you_mean
from genesis.monitoring.alerts.apprise_channel import AppriseChannel
from genesis.monitoring.alerts.channels import ChannelSlot, local_slots
from genesis.monitoring.alerts.dispatcher import AlertDispatcher
from genesis.monitoring.alerts.feed import AlertFeed
from genesis.monitoring.alerts.lanes import Job, Outcome, ThreadLane
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.message import Message
from genesis.monitoring.alerts.outbox import Outbox
from genesis.monitoring.alerts.settings import FILE, AlertSettings, load_settings
from genesis.monitoring.alerts.sink import OPERATIONS
from genesis.system.clock import SystemClock
from genesis.system.workspace import DEFAULT_HOME

CONFIG_VARIABLE: Final = "GENESIS_ALERTS"
"""Names another file of settings than ``WORKSPACE/alerts.yaml``."""
_MARGIN_S: Final = 0.05


def settings_path(home: Path) -> Path:
    """File of the settings; it need not exist."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named).expanduser() if named else home / FILE


def slots_of(
    home: Path, settings: AlertSettings, stream: TextIO | None = None
) -> list[ChannelSlot]:
    """Channels of a workspace: the user's own in their order, then file and console."""
    named = _named(home)
    own = [
        ChannelSlot(
            one.name,
            AppriseChannel(one.url, one.timeout_s, named),
            one.level,
            one.timeout_s,
            one.quiet,
        )
        for one in settings.channels
    ]
    folder = Outbox(home, SystemClock()).folder
    return own + local_slots(folder, settings.console, stream, named)


def _named(home: Path) -> str:
    """Workspace that commands in an alert name: whoever reads it may be elsewhere."""
    return "" if home.absolute() == Path(DEFAULT_HOME).absolute() else str(home.absolute())


def make_dispatcher(
    home: Path,
    *,
    clock: Clock | None = None,
    feeds: Sequence[AlertFeed] = (),
    stream: TextIO | None = None,
) -> AlertDispatcher:
    """Dispatcher of a workspace, not started.

    Parameters
    ----------
    home : Path
    clock : Clock, optional
        The machine's where it is left out.
    feeds : sequence of AlertFeed
        Runs to follow.
    stream : text stream, optional
        Where the console channel prints; standard error where it is left out.

    Raises
    ------
    ConfigError
        If the settings are wrong.
    """
    settings = load_settings(settings_path(home))
    clock = clock or SystemClock()
    slots = slots_of(home, settings, stream)
    return AlertDispatcher(Outbox(home, clock), slots, settings, clock, feeds=feeds)


@contextmanager
def alerting(
    home: Path,
    *,
    feeds: Sequence[AlertFeed] = (),
    stream: TextIO | None = None,
    wait_s: float = 5.0,
) -> Iterator[AlertDispatcher]:
    """Deliver alerts while a command works, and at its end what can be delivered in the time.

    What is left over stays in the outbox for the next process.

    Raises
    ------
    ConfigError
        If the settings are wrong.
    """
    dispatcher = make_dispatcher(home, feeds=feeds, stream=stream)
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.close(wait_s)


def raise_alert(
    home: Path,
    level: str,
    component: str,
    title: str,
    text: str,
    *,
    source: str = OPERATIONS,
    wait_s: float = 5.0,
) -> bool:
    """Tell a person something from a command that does nothing else with alerts.

    Returns within about ``wait_s`` and raises nothing; settings that cannot be read do not keep
    the alert from console, file and outbox.

    Returns
    -------
    bool
        Whether it is stored and was delivered wherever that is possible now.
    """
    try:
        try:
            dispatcher = make_dispatcher(home)
            trouble = ""
        except GenesisError as error:
            clock, settings = SystemClock(), AlertSettings()
            slots = slots_of(home, settings)
            dispatcher = AlertDispatcher(Outbox(home, clock), slots, settings, clock)
            trouble = f"{error.what}: {error.why}"
        dispatcher.start()
        dispatcher.raise_alert(level, component, title, text, source=source)
        if trouble:
            said = "the settings of alerts cannot be used"
            dispatcher.raise_alert("critical", "alerts", said, trouble)
        return dispatcher.close(wait_s)
    except Exception:  # who tells of a trouble must not get into another
        return False


@dataclass(frozen=True, slots=True)
class ChannelTest:
    """What became of the test alert of a channel.

    Attributes
    ----------
    channel, kind : str
    level : str
        Least level that the channel tells.
    delivered : bool
    why : str
        Why not.
    took_ms : int
    """

    channel: str
    kind: str
    level: str
    delivered: bool
    why: str
    took_ms: int


def try_channels(home: Path, name: str = "", stream: TextIO | None = None) -> list[ChannelTest]:
    """Send a test alert through each channel, or the named one, all at the same time.

    Raises
    ------
    ConfigError
        If the settings are wrong.
    InputError
        If there is no such channel.
    """
    slots = slots_of(home, load_settings(settings_path(home)), stream)
    names = [slot.name for slot in slots]
    if name and name not in names:
        raise InputError(
            f"there is no channel {name!r}{did_you_mean(name, names)}",
            fix=f"write one of {', '.join(names)}",
        )
    clock = SystemClock()
    tried = [_Trial(slot, clock) for slot in slots if name in ("", slot.name)]
    return [trial.result() for trial in tried]


class _Trial:
    """A test alert under way."""

    def __init__(self, slot: ChannelSlot, clock: Clock) -> None:
        self._slot = slot
        self._clock = clock
        self._began = clock.monotonic()
        self._answered = threading.Event()
        self._lane = ThreadLane(slot, clock, self._answered.set)
        text = "somebody ran: genesis alerts test; nothing is wrong"
        info = AlertLevel.INFO
        message = Message(
            "", info, info.word, "test", "a test alert", text, OPERATIONS, clock.now_ms()
        )
        self._lane.start(Job(message, stored=False))

    def result(self) -> ChannelTest:
        """What came of it; waits for it."""
        limit = self._slot.timeout_s + _MARGIN_S
        self._answered.wait(max(self._began + limit - self._clock.monotonic(), 0.0))
        took_ms = round(1000 * (self._clock.monotonic() - self._began))
        found: list[Outcome] = self._lane.outcomes()
        self._lane.close()
        why = found[0].why if found else "no answer"
        slot = self._slot
        return ChannelTest(slot.name, slot.channel.kind, slot.level.word, not why, why, took_ms)
