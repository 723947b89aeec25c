"""A venue that survives the end of its process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from genesis.domain.errors import InfrastructureError, StorageError
from genesis.exchange.venue.core import VenueCore
from genesis.exchange.venue.journal import Journal
from genesis.exchange.venue.knobs import Knobs
from genesis.exchange.venue.meta import VenueMeta
from genesis.exchange.venue.path import PricePath
from genesis.exchange.venue.profile import VenueProfile
from genesis.exchange.venue.units import MalformedAction

Json = dict[str, Any]
_SNAPSHOT_MS = 600_000
_SNAPSHOT_ENTRIES = 20_000
_REQUEST = "req"
"""Kind of an entry that is of the request ledger, and nothing to the core."""


class RecordedKnobs:
    """The knobs of a venue, each turn of which is written down."""

    def __init__(self, knobs: Knobs, record: Callable[[str, list[Any], Json], Any]) -> None:
        self._knobs = knobs
        self._record = record

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or not callable(getattr(self._knobs, name, None)):
            raise AttributeError(name)

        def turn(*args: Any, **kwargs: Any) -> Any:
            return self._record(name, list(args), kwargs)

        return turn


class DurableCore(VenueCore):
    """A venue whose inputs are on the disk before they are answered.

    Opening a folder replays what is in it: the newest snapshot, then the inputs after it. Each
    answer is compared with the one given at the time.

    Parameters
    ----------
    folder : Path
    meta, seed, profile, now_ms, path
        As for ``VenueCore``. ``now_ms`` counts for a new folder only: an old one continues where
        it stopped.
    fsync : bool
        Whether an input is on the disk, not merely with the operating system, before it is
        answered. Without it the venue survives its process but not the machine, and answers
        milliseconds sooner.
    origin : str
        Name of what ``path`` is made from; part of what must agree with the folder.

    Attributes
    ----------
    grouped : bool
        Whether somebody else calls `sync` before anything is told that depends on an input, so
        that several share it (`GroupCommit`).
    owed : int
        Length of the log with the last input that must be on the disk before it is answered.

    Raises
    ------
    RefusedError
        If the folder belongs to a venue that is made otherwise.
    StorageError
        If its files are damaged, or lead to other answers than were given.
    """

    def __init__(
        self,
        folder: Path,
        meta: VenueMeta,
        *,
        seed: int,
        profile: VenueProfile,
        now_ms: int,
        path: PricePath | None = None,
        fsync: bool = True,
        origin: str = "synthetic",
    ) -> None:
        header = {
            "seed": seed,
            "origin": origin,
            "profile": msgspec.to_builtins(profile),
            "meta": msgspec.to_builtins(meta, str_keys=True),
        }
        journal = Journal(folder, header)
        started = next(journal.entries(0), None)
        start_ms = now_ms if started is None else int(started["t"])
        super().__init__(meta, seed=seed, profile=profile, now_ms=start_ms, path=path)
        self._journal = journal
        self._fsync = fsync
        self._broken = False
        self.grouped = False
        self.owed = 0
        self._entries = 0
        self._saved_ms = start_ms
        plain_knobs = self.knobs
        self._plain_knobs = plain_knobs
        if started is None:
            self._journal.append({"k": "start", "t": start_ms})
        else:
            self._replay()
        self.knobs = RecordedKnobs(plain_knobs, self._turn)  # type: ignore[assignment]

    def _replay(self) -> None:
        self._state.events.silent = True
        offset, state = self._journal.latest()
        if state is not None:
            self.restore(state)
        for entry in self._journal.entries(offset):
            self._again(entry)
        self._state.events.silent = False
        self._saved_ms = self.now_ms

    def _again(self, entry: Json) -> None:
        """Carry out a recorded input once more."""
        kind = entry["k"]
        if kind in ("start", _REQUEST):
            return
        super().advance(entry["t"], coarse_ms=entry.get("c", 0))
        if kind == "act":
            answer = super().submit(entry["u"], entry["a"], entry["t"], vault=entry["v"])
            if _digest(answer) != entry["r"]:
                raise StorageError(
                    "the log leads to another answer than was given",
                    why=f"action of {entry['u']} at {entry['t']}",
                    fix="open it with the version of genesis that wrote it",
                )
        elif kind == "fund":
            super().fund(entry["u"], entry["usd"])
        elif kind == "fundSpot":
            super().fund_spot(entry["u"], entry["token"], entry["amount"])
        elif kind == "knob":
            getattr(self._plain_knobs, entry["name"])(*entry["args"], **entry["more"])

    def note_request(self, line: list[Any]) -> None:
        """Write what a request uses up, ahead of the action that it is for.

        One write to the disk serves both; without the first the second is not there either.

        Raises
        ------
        StorageError, InfrastructureError
            If the log cannot be written.
        """
        self._append({"k": _REQUEST, "l": line}, durable=True)

    def requests_since(self, offset: int) -> Iterator[list[Any]]:
        """What was noted behind a place in the log, oldest first."""
        start = offset if offset <= self._journal.end else 0  # of a log that is not there any more
        return (e["l"] for e in self._journal.entries(start) if e["k"] == _REQUEST)

    @property
    def log_end(self) -> int:
        """Length of the log."""
        return self._journal.end

    def _write(self, entry: Json, *, durable: bool = True) -> None:
        self._append(entry, durable=durable)
        self._entries += 1
        if self._entries >= _SNAPSHOT_ENTRIES or self.now_ms - self._saved_ms >= _SNAPSHOT_MS:
            self.save()

    def _append(self, entry: Json, *, durable: bool) -> None:
        self.require_whole()
        durable = durable and self._fsync
        try:
            self._journal.append(entry, durable=durable and not self.grouped)
        except StorageError:
            # What is in memory is ahead of the disk: nothing may be built on it.
            self._broken = True
            raise
        if durable:
            self.owed = self._journal.end

    def advance(self, now_ms: int, *, coarse_ms: int = 0) -> int:
        """Run what is due; see ``VenueCore``. What ran is written down, without waiting for it."""
        ran = super().advance(now_ms, coarse_ms=coarse_ms)
        if ran:
            entry: Json = {"k": "time", "t": now_ms}
            if coarse_ms:
                entry["c"] = coarse_ms
            self._write(entry, durable=False)
        return ran

    def submit(self, user: str, action: Json, now_ms: int, *, vault: str | None = None) -> Json:
        """Execute an action; see ``VenueCore``. It is on the disk when this returns."""
        answer = super().submit(user, action, now_ms, vault=vault)
        entry = {
            "k": "act",
            "t": self.now_ms,
            "u": user,
            "v": vault,
            "a": action,
            "r": _digest(answer),
        }
        self._write(entry)
        return answer

    def fund(self, user: str, usd: str) -> None:
        """Pay dollars into an account."""
        super().fund(user, usd)
        self._write({"k": "fund", "t": self.now_ms, "u": user, "usd": usd})

    def fund_spot(self, user: str, token: str, amount: str) -> None:
        """Pay a token into a spot account."""
        super().fund_spot(user, token, amount)
        self._write(
            {"k": "fundSpot", "t": self.now_ms, "u": user, "token": token, "amount": amount}
        )

    def _turn(self, name: str, args: list[Any], more: Json) -> Any:
        before = self._state.counters["tx"]
        try:
            result = getattr(self._plain_knobs, name)(*args, **more)
        except MalformedAction:
            self._state.counters["tx"] = before
            raise
        self._write({"k": "knob", "t": self.now_ms, "name": name, "args": args, "more": more})
        return result

    @property
    def synced(self) -> int:
        """Length of the log that is on the disk."""
        return self._journal.synced

    def sync(self) -> None:
        """Put the inputs taken so far on the disk; may run beside the venue's own thread.

        Raises
        ------
        StorageError
            If that failed: the venue answers nothing any more.
        """
        try:
            self._journal.sync()
        except StorageError:
            self._broken = True
            raise

    def require_whole(self) -> None:
        """Refuse to go on with a log that could not be written.

        Raises
        ------
        InfrastructureError
        """
        if self._broken:
            raise InfrastructureError("the venue's log could not be written; it stopped answering")

    def save(self) -> None:
        """Write a snapshot, from which the next start will go on."""
        self._entries = 0
        self._saved_ms = self.now_ms
        self._journal.save(self.plain())

    def close(self) -> None:
        """Write a snapshot and close the log."""
        if not self._broken:
            self.save()
        self._journal.close()


def _digest(answer: Json) -> int:
    return crc32(msgspec.json.encode(answer))
