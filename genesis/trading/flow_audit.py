"""Where the flow of a run stands, seen from outside: by its heartbeat, and by its log alone.

A run that is being traded is judged by its heartbeat, and by the age of that. A run that nobody
trades is judged by its log: a signal without an answer, an intent without order or expiry, an
order without a word of the exchange, a fill that is not in the ledger, a command that nobody took.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec

from genesis.trading.events import LANES, Event, EventType, Lane
from genesis.trading.flow import answered_order
from genesis.trading.inbox import Inbox
from genesis.trading.orders import TERMINAL
from genesis.trading.payloads import OrderFilled, OrderSubmit
from genesis.trading.progress import StageReport
from genesis.trading.quarantine import quarantined
from genesis.trading.stages import (
    DECISIONS,
    EXCHANGE,
    EXECUTION,
    FEED,
    GATEWAY,
    INBOX,
    INTAKE,
    LEDGER,
    LOOP,
    STORE,
    lane_stage,
)
from genesis.trading.status import RUNNING, STALE_MS, RunStatus, read_status, writer_of
from genesis.trading.store import EventReader
from genesis.trading.store.lock import FILE as LOCK

OK, WAITING, STALLED = "ok", "waiting", "stalled"
WATCH = "watch"
STARTING_MS = 120_000
"""A process that holds the run for longer than this without a heartbeat does not get on."""

_T = EventType
_MARKET = tuple(kind for kind, lane in LANES.items() if lane is Lane.NORMAL)
_REPLIES = (
    _T.ORDER_ACCEPTED,
    _T.ORDER_REJECTED,
    _T.ORDER_FILLED,
    _T.ORDER_CANCELED,
    _T.ORDER_UNKNOWN,
    _T.ORDER_STATUS,
)
_ANSWERS = (_T.TRADE_INTENT, _T.OPPORTUNITY_REJECTED)
_ENDS = (_T.ORDER_SUBMIT, _T.INTENT_EXPIRED, _T.OPPORTUNITY_REJECTED)
_EVIDENCE: dict[str, tuple[EventType, ...]] = {
    FEED: _MARKET,
    EXCHANGE: _REPLIES,
    INTAKE: _MARKET,
    STORE: tuple(EventType),
    DECISIONS: _ANSWERS,
    EXECUTION: (_T.ORDER_SUBMIT, _T.INTENT_EXPIRED),
    GATEWAY: _REPLIES,
    LEDGER: (_T.ORDER_FILLED,),
    INBOX: (_T.OPERATOR_COMMAND,),
}
_EVIDENCE |= {
    lane_stage(lane): tuple(kind for kind, own in LANES.items() if own is lane) for lane in Lane
}
"""Types of events of which the latest shows that a stage did something."""


class Evidence(msgspec.Struct, frozen=True):
    """An event of the log that shows that something happened."""

    seq: int
    type: str
    ts_ms: int
    recorded_ms: int


class StageFinding(msgspec.Struct, frozen=True):
    """What is found about a stage.

    Attributes
    ----------
    stage : str
    verdict : str
        ``ok``, ``waiting`` (not for long) or ``stalled``.
    lag : int
        Items that wait.
    oldest_ms : int
        Age of the oldest of them; by the clock of the run where the log alone speaks.
    last : Evidence or None
        Latest event that shows progress.
    last_ms : int
        Instant of the last sign of progress by the clock of the machine, 0 where it is not known.
    why : str
    """

    stage: str
    verdict: str
    lag: int
    oldest_ms: int
    last: Evidence | None = None
    last_ms: int = 0
    why: str = ""


class FlowAudit(msgspec.Struct, frozen=True):
    """Verdict on the flow of a run.

    Attributes
    ----------
    run : str
    source : str
        ``heartbeat`` or ``log``.
    pid : str
        Process that holds the run, empty if none does.
    state : str
        What the last heartbeat says of the run, empty if there never was one.
    heartbeat_ms : int or None
        Age of the heartbeat.
    healthy : bool
    halts : mapping of str to str
        Where new risk is halted, as far as it is known.
    stages : tuple of StageFinding
    """

    run: str
    source: str
    pid: str
    state: str
    heartbeat_ms: int | None
    healthy: bool
    halts: dict[str, str]
    stages: tuple[StageFinding, ...]


def audit_flow(folder: Path, now_ms: int) -> FlowAudit:
    """Judge the flow of a run; nothing is changed.

    Parameters
    ----------
    folder : Path
        Of the run.
    now_ms : int
        By the clock of the machine.

    Raises
    ------
    StorageError
        If log or heartbeat cannot be read.
    """
    pid, status = writer_of(folder), read_status(folder)
    traded = bool(pid) and status is not None and status.state == RUNNING
    with EventReader(folder) as reader:
        if traded and status is not None:
            found = [_watch(folder, pid, status, now_ms)]
            found += [_of_report(one, reader) for one in status.stages]
        else:
            found = list(_LogAudit(folder, reader, status).findings())
    fault = status is not None and status.fault is not None and traded
    healthy = not fault and all(one.verdict != STALLED for one in found)
    return FlowAudit(
        run=folder.name,
        source="heartbeat" if traded else "log",
        pid=pid,
        state=status.state if status is not None else "",
        heartbeat_ms=now_ms - status.written_ms if status is not None else None,
        healthy=healthy,
        halts=dict(status.halts) if status is not None else {},
        stages=tuple(found),
    )


# ---- by the heartbeat ------------------------------------------------------------------------


def _watch(folder: Path, pid: str, status: RunStatus, now_ms: int) -> StageFinding:
    """What the heartbeat itself says: whether anybody watches."""
    age = now_ms - status.written_ms
    if pid != str(status.pid):
        held_ms = now_ms - int((folder / LOCK).stat().st_mtime * 1000)
        verdict = STALLED if held_ms > STARTING_MS else WAITING
        return StageFinding(WATCH, verdict, 0, held_ms, why=f"process {pid} has no heartbeat yet")
    if age > STALE_MS:
        why = f"process {pid} holds the run and its heartbeat is {age / 1000:.0f} s old"
        return StageFinding(WATCH, STALLED, 0, age, last_ms=status.written_ms, why=why)
    if status.fault is not None:
        why = f"halted on event {status.fault.seq}: {status.fault.error}"
        return StageFinding(WATCH, STALLED, 0, age, last_ms=status.written_ms, why=why)
    return StageFinding(WATCH, OK, 0, 0, last_ms=status.written_ms, why=status.trouble)


def _of_report(report: StageReport, reader: EventReader) -> StageFinding:
    verdict = STALLED if report.stalled else WAITING if report.lag else OK
    return StageFinding(
        report.stage,
        verdict,
        report.lag,
        report.oldest_ms,
        _evidence(reader, report.stage),
        report.last_ms,
        report.why,
    )


# ---- by the log ------------------------------------------------------------------------------


class _LogAudit:
    """Looks for what has no answer in a log that nobody writes any more."""

    def __init__(self, folder: Path, reader: EventReader, status: RunStatus | None) -> None:
        self._folder = folder
        self._reader = reader
        self._status = status
        self._skipped = frozenset(quarantined(folder))
        last = next(reader.events(newest_first=True, limit=1), None)
        self._now_ms = last.recorded_ms if last is not None else 0

    def findings(self) -> Iterator[StageFinding]:
        """Findings in the order of the flow."""
        for stage in (FEED, STORE):
            yield StageFinding(stage, OK, 0, 0, _evidence(self._reader, stage))
        yield self._loop()
        signals, intents = self._without_consequence()
        yield self._finding(DECISIONS, signals, "signals without intent or rejection")
        yield self._finding(EXECUTION, intents, "intents without order, rejection or expiry")
        yield self._finding(GATEWAY, self._orders(), "orders without any answer of the exchange")
        yield self._finding(LEDGER, self._fills(), "fills that are not in the ledger")
        waiting = Inbox(self._folder).waiting()
        why = "commands that nobody took" if waiting else ""
        verdict = STALLED if waiting else OK
        last = _evidence(self._reader, INBOX)
        yield StageFinding(INBOX, verdict, len(waiting), 0, last, why=why)

    def _loop(self) -> StageFinding:
        fault = self._status.fault if self._status is not None else None
        last = _evidence(self._reader, LOOP)
        if fault is None or fault.seq in self._skipped:
            return StageFinding(LOOP, OK, 0, 0, last)
        lag = self._reader.head.seq - fault.seq + 1
        why = f"halted on event {fault.seq} ({fault.type}): {fault.error}"
        return StageFinding(LOOP, STALLED, lag, 0, last, why=why)

    def _finding(self, stage: str, waiting: list[Event], what: str) -> StageFinding:
        last = _evidence(self._reader, stage)
        if not waiting:
            return StageFinding(stage, OK, 0, 0, last)
        first = waiting[0]
        age = max(self._now_ms - first.recorded_ms, 0)
        why = f"{what}; the first is event {first.seq}"
        return StageFinding(stage, STALLED, len(waiting), age, last, why=why)

    def _without_consequence(self) -> tuple[list[Event], list[Event]]:
        """Signals and intents of which no event says what became of them."""
        signals: dict[int, Event] = {}
        intents: dict[int, Event] = {}
        types = {_T.SIGNAL_GENERATED, *_ANSWERS, *_ENDS}
        for event in self._reader.events(types=types):
            if event.type in _ANSWERS:
                signals.pop(event.caused_by, None)
            if event.type in _ENDS:
                intents.pop(event.caused_by, None)
            if event.seq in self._skipped:
                continue
            if event.type is _T.SIGNAL_GENERATED:
                signals[event.seq] = event
            elif event.type is _T.TRADE_INTENT:
                intents[event.seq] = event
        return list(signals.values()), list(intents.values())

    def _orders(self) -> list[Event]:
        """Commands to send an order that no answer followed, unless it was never to be sent."""
        sent: dict[str, Event] = {}
        for event in self._reader.events(types=(_T.ORDER_SUBMIT, *_REPLIES)):
            if not isinstance(event.data, OrderSubmit):
                sent.pop(answered_order(event.data), None)
            elif event.seq not in self._skipped:
                sent[event.data.order.client_id] = event
        over = {state.value for state in TERMINAL}
        ended = {
            str(row["client_id"])
            for row in self._table("orders")
            if row["client_id"] in sent and row["state"] in over
        }
        return [event for client_id, event in sent.items() if client_id not in ended]

    def _fills(self) -> list[Event]:
        booked = {(row["account"], row["venue_fill_id"]) for row in self._table("fills")}
        return [
            event
            for event in self._reader.events(types=(_T.ORDER_FILLED,))
            if isinstance(event.data, OrderFilled)
            and event.seq not in self._skipped
            and (event.data.fill.account, event.data.fill.fill_id) not in booked
        ]

    def _table(self, name: str) -> Iterable[dict[str, object]]:
        return self._reader.rows(name) if name in self._reader.tables() else ()


def _evidence(reader: EventReader, stage: str) -> Evidence | None:
    """Latest event that shows that a stage did something."""
    if stage == LOOP:
        sql = "SELECT seq FROM events WHERE caused_by > 0 ORDER BY seq DESC LIMIT 1"
        rows = reader.query(sql)
        event = reader.event(int(rows[0]["seq"])) if rows else None
    else:
        types: Collection[EventType] = _EVIDENCE.get(stage, ())
        kinds = None if stage == STORE else types
        event = next(reader.events(types=kinds, newest_first=True, limit=1), None)
    if event is None:
        return None
    return Evidence(event.seq, event.type.value, event.ts_ms, event.recorded_ms)
