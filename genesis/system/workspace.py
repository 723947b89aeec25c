"""The folder that holds everything of a user: data, runs, strategies, what waits to be shipped."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from genesis.domain.errors import InputError, StorageError

DEFAULT_HOME = ".genesis"
"""In the current folder."""
FOLDERS = ("data", "runs", "strategies", "spool")
LEAST_FREE_BYTES = 256 * 1024 * 1024
"""Below this a study is not started: a panel run with its ledger and report stays under it."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace folder.

    Attributes
    ----------
    home : Path
        ``.genesis`` in the current folder unless ``--home`` or ``GENESIS_HOME`` say otherwise.
    """

    home: Path

    @property
    def data(self) -> Path:
        """Root of the bar store."""
        return self.home / "data"

    @property
    def runs(self) -> Path:
        """One folder a study run."""
        return self.home / "runs"

    @property
    def strategies(self) -> Path:
        """Root of the strategy store."""
        return self.home / "strategies"

    @property
    def spool(self) -> Path:
        """What still has to reach the tracking server."""
        return self.home / "spool"

    def require_folder(self) -> None:
        """Refuse a path at which something else than a folder is; nothing at all is fine.

        Raises
        ------
        InputError
        """
        if self.home.exists() and not self.home.is_dir():
            raise InputError(
                f"the workspace {self.home} is not a folder",
                fix="give another one with --home or GENESIS_HOME",
            )

    def open(self) -> Workspace:
        """Create the folders that are missing, readable by their owner alone.

        Raises
        ------
        InputError
            If the path is something else than a folder.
        StorageError
            If a folder cannot be created or written.
        """
        self.require_folder()
        fresh = not self.home.exists()
        try:
            for folder in (self.home, *(self.home / name for name in FOLDERS)):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if fresh:
                # The workspace often lies inside a repository, and none of it belongs there.
                (self.home / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"the workspace {self.home} cannot be created",
                why=str(error),
                fix="give another folder with --home or GENESIS_HOME",
            ) from error
        if not os.access(self.home, os.W_OK | os.X_OK):
            raise StorageError(
                f"the workspace {self.home} is not writable",
                fix=f"chmod u+rwx {self.home}, or give another folder with --home",
            )
        return self

    def open_to_others(self) -> bool:
        """Whether other users of the machine may read the workspace."""
        return bool(stat.S_IMODE(self.home.stat().st_mode) & 0o077)

    def free_bytes(self) -> int:
        """Free space on the workspace's file system, in bytes."""
        place = self.home
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def require_space(self, least: int = LEAST_FREE_BYTES) -> None:
        """Refuse to begin work that would soon fill the disk.

        Raises
        ------
        StorageError
            If fewer than ``least`` bytes are free.
        """
        free = self.free_bytes()
        if free < least:
            raise StorageError(
                f"only {free / 2**20:.0f} MiB are free for the workspace {self.home}",
                why=f"a study wants at least {least / 2**20:.0f} MiB for checkpoints and reports",
                fix="free some space, or move the workspace with --home",
            )
