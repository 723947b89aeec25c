"""One thread a channel: a service that hangs holds up nothing but itself."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Protocol

from genesis.domain.clock import Clock
from genesis.monitoring.alerts.channels import ChannelSlot
from genesis.monitoring.alerts.message import Message
from genesis.monitoring.alerts.secret_urls import ChannelError


@dataclass(frozen=True, slots=True)
class Job:
    """One message for one channel.

    Attributes
    ----------
    message : Message
    stored : bool
        Whether the outbox knows of it.
    """

    message: Message
    stored: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    channel : str
    job : Job
    why : str
        Why it failed; empty if the channel took it.
    doubtful : bool
        It failed and may have arrived.
    late : bool
        It was delivered after it had been told as failed.
    """

    channel: str
    job: Job
    why: str
    doubtful: bool = False
    late: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the channel took it."""
        return not self.why


class Lane(Protocol):
    """Sends for one channel, one message at a time."""

    slot: ChannelSlot

    @property
    def busy(self) -> bool:
        """Whether a job is under way, or its outcome not fetched."""
        ...

    def start(self, job: Job) -> None:
        """Begin to send; only while it is not busy."""
        ...

    def outcomes(self) -> list[Outcome]:
        """Outcomes since the last call, that of a job without answer included."""
        ...

    def close(self) -> None:
        """Take no more jobs; one that hangs is left to itself."""
        ...


class ThreadLane:
    """A lane with a thread of its own.

    Parameters
    ----------
    slot : ChannelSlot
    clock : Clock
    wake : callable
        Called when there is an outcome.
    """

    def __init__(self, slot: ChannelSlot, clock: Clock, wake: Callable[[], None]) -> None:
        self.slot = slot
        self._clock = clock
        self._wake = wake
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: deque[Outcome] = deque()
        self._job: Job | None = None
        self._began = 0.0
        self._given_up = False
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is under way, or its outcome not fetched."""
        return self._job is not None

    def start(self, job: Job) -> None:
        """Begin to send."""
        assert self._job is None
        self._job, self._began, self._given_up = job, self._clock.monotonic(), False
        if self._thread is None:
            name = f"alerts-{self.slot.name}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def outcomes(self) -> list[Outcome]:
        """Outcomes since the last call.

        A job that has no answer when its time is over gets one: failed, and in doubt. The lane
        stays busy until the service lets go of it, and a late success is told then.
        """
        found = []
        while self._done:
            outcome = self._done.popleft()
            self._job = None
            if not self._given_up or outcome.delivered:
                found.append(replace(outcome, late=self._given_up))
        late = self._clock.monotonic() - self._began > self.slot.timeout_s
        if self._job is not None and late and not self._given_up:
            self._given_up = True
            why = f"no answer within {self.slot.timeout_s:g} s"
            found.append(Outcome(self.slot.name, self._job, why, doubtful=True))
        return found

    def close(self) -> None:
        """Take no more jobs."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._done.append(attempt(self.slot, job))
            self._wake()


def attempt(slot: ChannelSlot, job: Job) -> Outcome:
    """Send a message and say what came of it; raises nothing."""
    try:
        slot.channel.send(job.message)
    except ChannelError as error:
        return Outcome(slot.name, job, str(error) or "it failed", error.doubtful)
    except Exception as error:  # its text may hold anything
        return Outcome(slot.name, job, f"defect: {type(error).__name__}", doubtful=True)
    return Outcome(slot.name, job, "")
