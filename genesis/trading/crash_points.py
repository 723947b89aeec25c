"""Where a process may die, by name: places at which a test kills it and recovery is proved.

`EventStore`, `TradingSession`, `TradingLoop` and `LockStep` take a ``probe`` and call it with the
name of each point as they pass it.
"""

from __future__ import annotations

CRASH_POINTS: dict[str, str] = {
    "session.opened": "the log is open, nothing of it is folded yet",
    "session.recovered": "the log is folded again, what it lacks is on the bus",
    "session.flushed": "the last rows are stored, the snapshot is not",
    "session.snapshot": "a snapshot is stored",
    "lockstep.shown": "the exchange has seen a phase, the loop has not",
    "lockstep.published": "a phase waits on the bus, nothing of it is stored",
    "lockstep.settled": "a phase is handled, with all that followed from it",
    "store.before_commit": "a batch is written and not committed",
    "store.after_commit": "a batch is committed",
    "loop.committed": "a batch is committed and not handled",
    "loop.before_act": "a command is handled and has not left",
    "loop.after_act": "a command has left, its answer is not stored",
    "loop.handled": "a batch is handled, what it led to is not stored",
    "archive.before_segment": "a segment is read and not written",
    "archive.segment_written": "a segment is written and has no anchor",
    "archive.anchored": "a segment has its anchor, its rows are still in the log",
    "archive.rows_removed": "a segment has replaced its rows",
}
"""Name to what is true there."""


def no_probe(_: str) -> None:
    """Pass a point; what a run does outside of tests."""
