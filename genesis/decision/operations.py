"""The log of operations, ``WORKSPACE/operations``: an event store that many commands share.

A command opens it for a short sitting, under the store's writer lock: it reads the state, judges,
writes and leaves. So whoever comes second judges by what the first wrote.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Self

import msgspec

from genesis.decision.state import OperationsState, fold
from genesis.domain.clock import Clock
from genesis.domain.errors import RefusedError
from genesis.domain.ids import Ids
from genesis.trading.events import Event, Payload
from genesis.trading.store import EventReader, EventStore, verify
from genesis.trading.store.lock import WriterBusyError, holder_of
from genesis.trading.store.schema import FILE

FOLDER: Final = "operations"
WAIT_S: Final = 10.0
"""How long a command waits for another one's sitting, which takes some milliseconds."""
_PAUSE_S: Final = 0.02


class Draft(msgspec.Struct, frozen=True):
    """An event that is to be written; see `genesis.trading.events.Event`."""

    data: Payload
    aggregate: str = ""
    correlation: str = ""
    caused_by: int = 0


class OperationsLog:
    """A sitting at the log of operations; made by `OperationsLog.open`, for one thread.

    Attributes
    ----------
    state : OperationsState
        After the last event; what is written next must follow from it.
    """

    def __init__(self, store: EventStore, state: OperationsState, clock: Clock) -> None:
        self.state = state
        self._store = store
        self._clock = clock
        self._ids = Ids(state.seq)

    @classmethod
    def open(
        cls,
        home: Path,
        clock: Clock,
        *,
        wait_s: float = WAIT_S,
        pause: Callable[[float], None] = time.sleep,
    ) -> Self:
        """Open the log of a workspace for writing, and wait a while for who writes it now.

        Parameters
        ----------
        home : Path
            Of the workspace.
        clock : Clock
            Stamps what is written, and says how long was waited.
        wait_s : float
            Longest wait, seconds.
        pause : callable
            Waits for the seconds that it is given.

        Raises
        ------
        RefusedError
            If another command holds the log all the time; names it. Also if an event was edited,
            removed or moved, or a later version of genesis wrote the log.
        StorageError
            If the log is damaged or contradicts itself, or cannot be read or written.
        """
        folder = home / FOLDER
        store = _patient(folder, clock, wait_s, pause)
        try:
            state = _verified(folder)
        except BaseException:
            store.close()
            raise
        return cls(store, state, clock)

    def close(self) -> None:
        """End the sitting; safe to call twice."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def now_ms(self) -> int:
        """Now, by the clock that stamps what is written; never before the last event."""
        return max(self._clock.now_ms(), self._store.recorded_ms)

    def new_id(self, prefix: str) -> str:
        """Id for what is about to be written, such as ``DEC_20250131_120000_0000002a``."""
        return self._ids.new(prefix, self.now_ms())

    def append(
        self, data: Payload, *, aggregate: str = "", correlation: str = "", caused_by: int = 0
    ) -> Event:
        """Write one event; see `append_all`."""
        return self.append_all([Draft(data, aggregate, correlation, caused_by)])[0]

    def append_all(self, drafts: Iterable[Draft]) -> list[Event]:
        """Write events in one transaction: all of them or none.

        Returns
        -------
        list of Event
            With their numbers.

        Raises
        ------
        RefusedError
            If one does not follow from the state and those before it; nothing is written.
        StorageError
            If they cannot be stored; nothing is written.
        """
        now, state = self.now_ms(), self.state.copy()
        events = []
        for draft in drafts:
            event = Event(draft.data, now, draft.aggregate, draft.correlation, draft.caused_by)
            event.seq = state.seq + 1
            state.apply(event)
            events.append(event)
        self._store.commit(events)
        self.state = state
        self._ids.counter = max(self._ids.counter, state.seq)
        return events


def read_operations(home: Path) -> OperationsState:
    """State of a workspace's operations, without waiting for anybody; empty where there is none.

    Raises
    ------
    StorageError
        If the log contradicts itself, or cannot be read.
    RefusedError
        If an event was edited, removed or moved, or a later version of genesis wrote the log.
    """
    folder = home / FOLDER
    if not (folder / FILE).is_file():
        return OperationsState()
    return _verified(folder)


def read_event(home: Path, seq: int) -> Event | None:
    """One event of the log by its number, None if there is none.

    Raises
    ------
    StorageError
        If the log cannot be read.
    """
    folder = home / FOLDER
    if not (folder / FILE).is_file():
        return None
    with EventReader(folder) as reader:
        return reader.event(seq)


def _verified(folder: Path) -> OperationsState:
    """State of a log whose whole chain holds: one edited row could be an approval."""
    damage = verify(folder).damage
    if damage is not None:
        raise RefusedError(
            f"the log of operations in {folder} is not what was written",
            why=f"event {damage.seq}: {damage.text}",
            fix="restore the folder from a backup",
        )
    with EventReader(folder) as reader:
        return fold(reader.events())


def _patient(
    folder: Path, clock: Clock, wait_s: float, pause: Callable[[float], None]
) -> EventStore:
    since = clock.monotonic()
    while True:
        try:
            return EventStore.open(folder, run=FOLDER, tables=(), clock=clock)
        except WriterBusyError:
            waited = clock.monotonic() - since
            if waited >= wait_s:
                raise RefusedError(
                    f"another command holds the log of operations, {folder}",
                    why=f"{_who(folder)}; it was waited for {waited:.0f} s",
                    fix="let it end, or end it, and try again",
                ) from None
        pause(_PAUSE_S)


def _who(folder: Path) -> str:
    """Process that holds the log, with its command line where the machine tells it."""
    import psutil

    pid = holder_of(folder)
    if not pid.isdigit():
        return "its process is not known"
    try:
        words = psutil.Process(int(pid)).cmdline()
    except psutil.Error:
        return f"its process id is {pid}"
    return f"its process id is {pid}: {' '.join(words)[:160]}"
