"""A stored trading run: begun, interrupted anywhere, continued from its log.

Starting and recovering are one path. What the log holds is folded again, from the latest snapshot
on, and every emission is compared with the stored one; what was emitted and not stored goes on the
bus; whatever was in flight is in doubt until the exchange has been asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from genesis.domain.clock import Clock
from genesis.domain.errors import StorageError
from genesis.trading import journal, ledger
from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.crash_points import no_probe
from genesis.trading.events import Event, EventType
from genesis.trading.loop import BATCH, TradingLoop
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import RunResumed
from genesis.trading.quarantine import quarantined
from genesis.trading.replay import Refold, require_equal
from genesis.trading.store import EventReader, EventStore
from genesis.trading.tables import Row, Table

TABLES: tuple[Table, ...] = (*ledger.TABLES, *journal.TABLES)
"""Tables that a trading run keeps beside its events."""

SNAPSHOT_EVENTS = 100_000
"""Events after which the state is stored again, so that recovery folds no more than these."""

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder().decode


class Witness(Protocol):
    """Something outside the core that is brought back from the same log, such as a simulator."""

    def see(self, event: Event, *, acts: bool) -> None:
        """See an event that is folded again; ``acts`` if it was a command that was carried out."""
        ...

    def plain(self) -> dict[str, Any]:
        """State to store with a snapshot."""
        ...

    def restore(self, value: Mapping[str, Any]) -> None:
        """Continue from `plain`."""
        ...


class TradingSession:
    """Store, core and loop of one run.

    Parameters
    ----------
    folder : Path
        Of the run.
    core : TradingCore
        Fresh; it is brought to the state that the log leads to.
    bus : EventBus
    outlet : Outlet
    clock : Clock
    build : str
        Build that goes on with the run.
    synchronous : str
        Durability of a commit, see `EventStore.open`.
    snapshot_events : int
    probe : callable
        Crash points, for tests.
    witness : Witness, optional
        Brought back together with the core.
    batch : int
        Most events of one commit, see `TradingLoop`.

    Attributes
    ----------
    recovered : int
        Events that were folded again.
    resumed : bool
        Whether the log held anything.

    Raises
    ------
    RefusedError
        If another process writes the run.
    StorageError
        If the log is damaged.
    HaltedOnEvent
        If the log holds an event that cannot be handled and was not quarantined.
    InfrastructureError
        If this build does not reproduce the log.
    """

    def __init__(
        self,
        folder: Path,
        core: TradingCore,
        bus: EventBus,
        outlet: Outlet,
        clock: Clock,
        *,
        build: str,
        synchronous: str = "FULL",
        snapshot_events: int = SNAPSHOT_EVENTS,
        probe: Callable[[str], None] = no_probe,
        witness: Witness | None = None,
        batch: int = BATCH,
        born: Clock | None = None,
    ) -> None:
        self._core = core
        self._witness = witness
        self._bus = bus
        self._every = snapshot_events
        self.store = EventStore.open(
            folder,
            run=core.desk.run,
            tables=TABLES,
            clock=clock,
            synchronous=synchronous,
            probe=probe,
            born=born,
        )
        self.recovered = self._snapshot_seq = 0
        self._probe = probe
        probe("session.opened")
        try:
            pending, rows = self._recover(folder)
        except BaseException:
            self.store.close()
            raise
        self.resumed = self.store.head.seq > 0
        self.loop = TradingLoop(bus, self.store, core, outlet, probe, rows=rows, batch=batch)
        if self.resumed:  # before what is still to be sent: that is not in doubt
            now = max(clock.now_ms(), self.store.recorded_ms)
            bus.publish(Event(RunResumed(build), now))
        bus.emit(pending)
        probe("session.recovered")

    def _recover(self, folder: Path) -> tuple[list[Event], list[Row]]:
        """Fold the log again; returns emissions and rows that it does not hold yet."""
        head = self.store.head.seq
        if head == 0:
            return [], []
        found = self.store.latest_snapshot()
        if found is not None:
            self._snapshot_seq = found[0]
            state = read_state(found[1])
            self._core.restore(state["core"])
            if self._witness is not None:
                self._witness.restore(state["witness"])
        refold = Refold(self._core, quarantined(folder))
        rows: list[Row] = []
        with EventReader(folder) as reader:
            for event in reader.events(start=self._snapshot_seq + 1):
                rows += refold.handle(event)
                if self._witness is not None:
                    acts = self._core.acts and self._core.desk.seq == event.seq
                    self._witness.see(event, acts=acts)
                if len(rows) > 10_000:
                    self.store.commit([], rows)
                    rows = []
        self.recovered = refold.events
        pending = refold.pending()
        require_equal(refold, self._core.desk.run)
        return pending, rows

    def maybe_snapshot(self) -> bool:
        """Store the state if enough has happened since the last time and nothing waits."""
        if self.store.head.seq - self._snapshot_seq < self._every or not self.loop.settled:
            return False
        self.snapshot()
        return True

    def snapshot(self) -> None:
        """Store the state as it is; only while nothing waits on the bus."""
        if not self.loop.settled:
            raise StorageError(
                "the state cannot be stored while events wait", fix="run the loop until it is idle"
            )
        self.loop.flush()
        self._probe("session.flushed")
        seq = self.store.head.seq
        state = {"core": self._core.plain()}
        if self._witness is not None:
            state["witness"] = self._witness.plain()
        self.store.write_snapshot(seq, write_state(state))
        self._snapshot_seq = seq
        self._probe("session.snapshot")

    @property
    def head_seq(self) -> int:
        """Number of the last event of the log."""
        return self.store.head.seq

    def last_event(self, types: Collection[EventType]) -> Event | None:
        """Latest event of some types in the log."""
        with EventReader(self.store.folder) as reader:
            return next(reader.events(types=types, newest_first=True, limit=1), None)

    def knows_command(self, command_id: str) -> bool:
        """Whether a person's command is in the log already."""
        with EventReader(self.store.folder) as reader:
            kinds = (EventType.OPERATOR_COMMAND,)
            found = reader.events(types=kinds, aggregate=command_id, limit=1)
            return next(found, None) is not None

    def close(self, *, snapshot: bool = True) -> None:
        """Store what is left and let go of the run."""
        try:
            if self.loop.fault is None:
                self.loop.flush()
                if snapshot and self.loop.settled and self.store.head.seq > self._snapshot_seq:
                    self.snapshot()
        finally:
            self.store.close()


def write_state(state: dict[str, Any]) -> bytes:
    """Bytes of a state."""
    return _ENCODE(state)


def read_state(data: bytes) -> dict[str, Any]:
    """State from its bytes.

    Raises
    ------
    StorageError
        If they are damaged.
    """
    try:
        value = _DECODE(data)
    except msgspec.DecodeError as error:
        raise StorageError("a snapshot of the state is damaged", why=str(error)) from None
    if not isinstance(value, dict):
        raise StorageError("a snapshot of the state is damaged", why="it holds no state")
    return value
