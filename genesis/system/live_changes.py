"""What is deployed on an account, and whether it is still what a run trades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genesis.decision.deployments import Deployment
from genesis.decision.operations import FOLDER
from genesis.domain.errors import GenesisError, StorageError
from genesis.system.promotion import live_deployments
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.paper.settings import Assignment

_PATIENCE = 30
"""Looks, about a second apart, after which a log that cannot be read ends a run."""


class DeploymentChanges:
    """Says why a run is to end: what is deployed is not what it trades any more.

    The log of operations is read only when its files have changed.

    Parameters
    ----------
    workspace : Workspace
    address : str
        Of the account.
    traded : sequence of Assignment
    why : str
        A reason that is there from the beginning.

    Attributes
    ----------
    said : str
        The reason, once there was one.
    """

    def __init__(
        self, workspace: Workspace, address: str, traded: Sequence[Assignment], why: str = ""
    ) -> None:
        self._workspace = workspace
        self._address = address
        self._traded = tuple(traded)
        self._stamp: tuple[object, ...] = ()
        self._unread = 0
        self.said = why

    def __call__(self) -> str:
        """The reason, empty while there is none."""
        stamp = self._files()
        if not self.said and stamp != self._stamp:
            self._stamp = stamp
            self.said = self._compared()
        return self.said

    def _files(self) -> tuple[object, ...]:
        found = []
        for path in sorted((self._workspace.home / FOLDER).glob("events.db*")):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            found.append((path.name, state.st_size, state.st_mtime_ns))
        return tuple(found)

    def _compared(self) -> str:
        try:
            now = assignments(live_deployments(self._workspace.home, self._address))
        except StorageError as error:
            self._stamp, self._unread = (), self._unread + 1  # looked at again the next time
            if self._unread < _PATIENCE:
                return ""
            return f"what is deployed cannot be read: {error.what}"
        except GenesisError as error:  # a file that is gone is no evidence either
            return f"its evidence does not stand any more: {error.what}"
        self._unread = 0
        before = {one.deployment: one for one in self._traded}
        after = {one.deployment: one for one in now}
        lines = []
        for name in sorted(before.keys() | after.keys()):
            old, new = before.get(name), after.get(name)
            if old != new:
                was = f"{old.stage} with {old.capital:,.2f}" if old else "not traded"
                becomes = f"{new.stage} with {new.capital:,.2f}" if new else "not traded"
                lines.append(f"{name}: {was}, now {becomes}")
        return "; ".join(lines)


def assignments(deployments: Sequence[Deployment]) -> tuple[Assignment, ...]:
    """Deployments as a run's settings hold them."""
    from genesis.paper.settings import Assignment

    return tuple(
        Assignment(
            deployment=one.id,
            strategy=one.strategy,
            symbols=one.symbols,
            capital=float(one.capital),
            stage=one.stage,
            dossier_hash=one.dossier_hash,
        )
        for one in deployments
    )
