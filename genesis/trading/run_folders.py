"""Where trading runs lie in a workspace: ``WORKSPACE/trading/RUN``."""

from __future__ import annotations

from pathlib import Path

from genesis.domain.errors import InputError, did_you_mean
from genesis.trading.store.schema import FILE

FOLDER = "trading"


def list_runs(home: Path) -> list[Path]:
    """Folders of the trading runs of a workspace, the one that was written last at the end."""
    folder = home / FOLDER
    found = [path.parent for path in folder.glob(f"*/{FILE}")]
    return sorted(found, key=lambda path: ((path / FILE).stat().st_mtime_ns, path.name))


def damage_of(folder: Path) -> str:
    """What the folder of a run lacks that it cannot be read without; empty if nothing.

    Lists name such a run all the same: it may have traded.
    """
    return "" if (folder / FILE).is_file() else f"damaged: its log {FILE} is missing"


def find_run(home: Path, name: str = "") -> Path:
    """Folder of the run that a unique beginning of its id names; the latest without a name.

    Raises
    ------
    InputError
        If there is none, or more than one, or its log is missing.
    """
    runs = list_runs(home)
    own = home / FOLDER / name
    if name and own.parent == home / FOLDER and own.is_dir() and (why := damage_of(own)):
        raise InputError(
            f"the run {name} is {why}",
            why="whatever is said, decided or promoted about a run is read from its log alone",
            fix=f"restore {own / FILE} and its -wal file from a copy; without one, look at the"
            " exchange that it traded on",
        )
    if not runs:
        raise InputError(
            f"there is no trading run in {home / FOLDER}",
            fix="genesis paper run STRATEGY… makes one",
        )
    if not name:
        return runs[-1]
    names = {path.name: path for path in runs}
    if name in names:
        return names[name]
    fitting = sorted(one for one in names if one.startswith(name))
    if len(fitting) == 1:
        return names[fitting[0]]
    if fitting:
        raise InputError(
            f"{name!r} is the beginning of several trading runs",
            why=", ".join(fitting[:8]),
            fix="write more of it",
        )
    raise InputError(
        f"there is no trading run {name!r}{did_you_mean(name, names)}",
        why=f"the workspace has {', '.join(sorted(names)[-8:])}",
    )
