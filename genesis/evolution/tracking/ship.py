"""Shipping: from the spool to the server, in order, remembering each event that arrived."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from genesis.evolution.tracking.sink import MlflowSink, Refused, RunMissing, Unreachable
from genesis.evolution.tracking.spool import Event, Shipped, Spool, leftovers
from genesis.evolution.tracking.target import Target


class Sink(Protocol):
    """Receives events; see `MlflowSink.send`."""

    def send(self, start: Event, event: Event, *, check: bool) -> None:
        """Deliver one event of the run that ``start`` describes."""
        ...


@dataclass(frozen=True, slots=True)
class ShipReport:
    """What `ship` did.

    Attributes
    ----------
    sent : int
        Events that arrived now.
    pending : int
        Events still in the spool.
    error : str
        Why some are pending, without credentials.
    rejected : tuple of str
        Events that the server refused for good, with its reason.
    """

    sent: int
    pending: int
    error: str = ""
    rejected: tuple[str, ...] = ()


class Shipper:
    """Ships one spool; the caller holds the spool's lock.

    Parameters
    ----------
    spool : Spool
    sink : Sink
    """

    def __init__(self, spool: Spool, sink: Sink) -> None:
        self._spool = spool
        self._sink = sink
        self._state = spool.shipped()
        self._start = next((event for event, _ in spool.events()), None)
        # The first event after a restart may have arrived before its offset was recorded.
        self._check_until = self._state.offset + 1
        self.sent = 0

    def drain(self) -> None:
        """Ship what is pending.

        Raises
        ------
        Unreachable
            If the server is away; the events before that stay shipped.
        """
        if self._start is None:
            self._start = next((event for event, _ in self._spool.events()), None)
        restarted = False
        while self._start is not None:
            try:
                self._pass(self._start)
                return
            except RunMissing as gone:
                # The server lost the run: everything it had is sent again.
                if restarted:
                    raise Unreachable(str(gone)) from None
                restarted = True
                self._state = Shipped()
                self._check_until = self._spool.path.stat().st_size

    def _pass(self, start: Event) -> None:
        for event, offset in self._spool.events(self._state.offset):
            try:
                self._sink.send(start, event, check=self._state.offset < self._check_until)
                self._state.error = ""
                self.sent += 1
            except Refused as refusal:
                self._state.rejected.append(f"{event['kind']}: {refusal}")
            except Unreachable as error:
                self._check_until = self._state.offset + 1
                self._state.error = str(error)
                self._spool.record(self._state)
                raise
            self._state.offset = offset
            self._state.events += 1
            self._spool.record(self._state)


def same_target(spool: Spool, target: Target) -> bool:
    """Whether a run was meant for this target (credentials aside)."""
    first = next((event for event, _ in spool.events()), None)
    return first is not None and first.get("target") == target.label


def ship(
    folder: Path,
    target: Target,
    runs: Sequence[str] | None = None,
    *,
    sink: Callable[[Target], Sink] = MlflowSink,
) -> ShipReport:
    """Ship spooled runs once, now, in this process.

    Parameters
    ----------
    folder : Path
        The spool folder.
    target : Target
    runs : sequence of str, optional
        Run ids; by default every run with something left that was meant for this target.
    sink : callable, optional
        Makes the sink of a target.

    Returns
    -------
    ShipReport
        Pending events and the reason if the server is away; a later call continues.
    """
    names = leftovers(folder) if runs is None else list(runs)
    spools = [Spool(folder, name) for name in names]
    if runs is None:
        spools = [spool for spool in spools if same_target(spool, target)]
    sent, error, rejected = 0, "", []
    for spool in spools:
        if not spool.pending():
            continue
        with spool.locked() as mine:
            if not mine:
                error = f"another process is shipping {spool.run_id} at this moment"
                continue
            shipper = Shipper(spool, sink(target))
            try:
                shipper.drain()
            except Unreachable as away:
                error = str(away)
            sent += shipper.sent
            rejected.extend(spool.shipped().rejected)
    return ShipReport(sent, sum(s.pending() for s in spools), error, tuple(rejected))
