"""What a live run holds while it trades: the latch as it saw it, and a lease on each account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from genesis.paper.live_facts import LiveFacts
    from genesis.system.live_paper import LiveWay
    from genesis.system.workspace import Workspace
    from genesis.trading.kill_latch import SeenLatch
    from genesis.trading.lease import AccountLease

LEASES = "leases"
"""Folder of a workspace with the leases of every account that was ever traded."""


def seen_latch(workspace: Workspace, way: LiveWay) -> tuple[SeenLatch, LiveWay]:
    """The kill latch of a sitting, and the sitting that keeps it to its end.

    One that was seen is never forgotten: whatever was left out because of it (the doctor, a look
    at foreign orders, limits) is not made up for when somebody re-arms.
    """
    from genesis.trading.kill_latch import SeenLatch

    latch = way.latch or SeenLatch(workspace.home)
    return latch, replace(way, latch=latch)


@contextmanager
def leased(workspace: Workspace, facts: LiveFacts, run: str, way: LiveWay) -> Iterator[LiveWay]:
    """The sitting with a lease on each of its accounts at their exchange.

    Raises
    ------
    RefusedError
        If another process trades one of them there; names run and process.
    StorageError
        If a lease cannot be read or written.
    """
    with ExitStack() as stack:
        held = [
            lease
            for name in lease_names(facts)
            for lease in stack.enter_context(leases_of(workspace, name, run, way))
        ]
        yield replace(way, leases=(*way.leases, *held))


@contextmanager
def leases_of(
    workspace: Workspace, name: str, run: str, way: LiveWay
) -> Iterator[tuple[AccountLease, ...]]:
    """The lease of a name; none where it cannot be written and the account is only emptied.

    A full disk or a broken file keeps no killed account from that; another process does, since it
    is at it.

    Raises
    ------
    RefusedError, StorageError
        As `leased`.
    """
    from genesis.domain.errors import StorageError
    from genesis.trading.lease import AccountLease

    try:
        lease = AccountLease(workspace.home / LEASES, name, run)
    except StorageError:
        if way.latch is None or not way.latch.closed():
            raise
        yield ()
        return
    with lease:
        yield (lease,)


def lease_names(facts: LiveFacts) -> list[str]:
    """Names of the leases of a run: an address trades apart on each network."""
    place = facts.network
    if place == "local":
        place = f"{place}-{urlsplit(facts.url).port or 0}"
    return sorted({f"{address.lower()}@{place}" for address in facts.accounts.values()})
