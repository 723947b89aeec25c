"""Taking an event out of a run that is halted on it, so that the run can go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genesis.domain.errors import InputError, RefusedError
from genesis.trading.events import Event
from genesis.trading.loop import HaltedOnEvent
from genesis.trading.quarantine import quarantine, quarantined
from genesis.trading.replay import Refold
from genesis.trading.session import read_state
from genesis.trading.store import EventReader
from genesis.trading.store.lock import WriterLock


@dataclass(frozen=True, slots=True)
class Halt:
    """An event that a run is halted on.

    Attributes
    ----------
    event : Event
    error : str
        Why no handler can deal with it.
    behind : int
        Events after it that are stored and not handled.
    """

    event: Event
    error: str
    behind: int


def find_halt(folder: Path, seq: int) -> Halt:
    """Look whether a run is halted on an event, by handling its log again up to there.

    Raises
    ------
    InputError
        If there is no such event, or it was taken out before.
    RefusedError
        If the run is not halted on it: what it led to is in the log, and without it the log
        would not be what the run makes of it.
    """
    from genesis.paper.settings import read_settings

    skipped = quarantined(folder)
    if seq in skipped:
        raise InputError(
            f"event {seq} of {folder.name} was taken out before",
            fix=f"go on with the run: genesis paper run --resume {folder.name}",
        )
    with EventReader(folder) as reader:
        head = reader.head.seq
        event = reader.event(seq)
        if event is None:
            raise InputError(
                f"run {folder.name} has no event {seq}", fix=f"its events are 1 to {head}"
            )
        settings, _ = read_settings(folder)
        core = settings.core(folder.name)
        found, start = reader.latest_snapshot(seq - 1), 1
        if found is not None:
            start = found[0] + 1
            core.restore(read_state(found[1])["core"])
        refold = Refold(core, skipped)
        for handled in reader.events(start, seq):
            try:
                refold.handle(handled)
            except HaltedOnEvent as error:
                if handled.seq == seq:
                    return Halt(event, error.why, head - seq)
                raise RefusedError(
                    f"run {folder.name} is halted on event {handled.seq}, not on {seq}",
                    why=error.why,
                    fix=f"genesis events quarantine {folder.name} {handled.seq} --reason …",
                ) from error
    raise RefusedError(
        f"run {folder.name} is not halted on event {seq}",
        why=f"the {event.type} can be handled, and what it led to is in the log",
        fix="only the event that a run is halted on can be taken out",
    )


def take_out(folder: Path, seq: int, reason: str, who: str, now_ms: int) -> None:
    """Take the event that a run is halted on out of it: from now on it is passed over.

    Raises
    ------
    RefusedError
        If a process holds the run.
    InputError
        If it was taken out before.
    StorageError
        If it cannot be recorded.
    """
    lock = WriterLock(folder)
    try:
        if seq in quarantined(folder):
            raise InputError(f"event {seq} of {folder.name} was taken out before")
        quarantine(folder, seq, reason, who, now_ms)
    finally:
        lock.release()
