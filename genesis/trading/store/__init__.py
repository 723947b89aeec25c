"""The event store: one SQLite file a run, a hash chain over its events, archived segments.

One process writes (`EventStore`), any number read (`EventReader`). What it keeps safe:

- A commit is one transaction of events and the ledger rows that earlier events led to. After a
  crash at any instant the log is a prefix of what was committed, with a valid chain; with
  ``synchronous=FULL`` it holds every event whose commit returned.
- The chain finds edits, removals and reordering of events; ``head`` finds a removed end. It does
  not stop somebody who may write the file from computing a new chain: for archived segments the
  signed anchors do (`genesis.trading.store.anchors`). The other tables are derived from the events
  and are checked by a replay.
- In the process that writes, no other SQLite library may open the file (Python's ``sqlite3`` is
  one): closing it there would drop the locks of ours. `EventReader` is safe anywhere.
- Losing ``events.db-wal`` loses the latest commits and leaves a valid older log. Copy or restore
  the folder as a whole.
"""

from genesis.trading.store.anchors import Anchor
from genesis.trading.store.export import export_events, plain_event
from genesis.trading.store.reader import EventReader
from genesis.trading.store.readonly import Head
from genesis.trading.store.verify import Damage, Fault, VerifyReport, verify
from genesis.trading.store.writer import EventStore

__all__ = [
    "Anchor",
    "Damage",
    "EventReader",
    "EventStore",
    "Fault",
    "Head",
    "VerifyReport",
    "export_events",
    "plain_event",
    "verify",
]
