"""Health checks of the machine and the workspace; each says what to do when it is not well."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from genesis.domain.counting import several
from genesis.domain.errors import GenesisError
from genesis.system.check import Check
from genesis.system.trading_checks import trading_checks
from genesis.system.workspace import LEAST_FREE_BYTES, Workspace

RESEARCH = ("deap", "mlflow", "pandas", "plotly", "ray", "vectorbt", "vectorbt-rust")
OPTIONAL = {"scikit-learn": "ml", "ccxt": "ccxt"}
SQLITE_WAL_FIXED = (3, 51, 3)
"""Before this release a rare race of checkpoint and writer could damage a write-ahead log."""


def examine(workspace: Workspace, *, live: bool = False) -> Iterator[Check]:
    """Yield every check in a fixed order; a check that breaks is itself a failure.

    Parameters
    ----------
    workspace : Workspace
    live : bool
        Judge as `genesis live run` does: what stops trading alone is a failure, not a warning.
    """
    checks: tuple[Callable[[Workspace], Check], ...] = (
        _python,
        _packages,
        _extras,
        _compiler,
        _compile_cache,
        _accounting,
        _machine,
        _shared_memory,
        _home,
        _disk,
        _data,
        _runs,
        _spool,
        _sqlite,
        _ray_auth,
        *trading_checks(live=live),
    )
    for check in checks:
        try:
            yield check(workspace)
        except GenesisError as error:
            yield Check(_name(check), "fail", error.what, error.fix)
        except Exception as error:
            yield Check(_name(check), "fail", f"{type(error).__name__}: {error}", "report this")


def _name(check: Callable[[Workspace], Check]) -> str:
    return check.__name__.strip("_").replace("_", " ")


def _python(_: Workspace) -> Check:
    version = platform.python_version()
    if tuple(sys.version_info)[:2] == (3, 11):
        return Check("python", "ok", version)
    return Check("python", "fail", version, "genesis runs on Python 3.11: `make setup` with it")


def _packages(_: Workspace) -> Check:
    found, missing = [], []
    for name in RESEARCH:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        fix = "`make setup` in the repository"
        return Check("packages", "fail", f"not installed: {', '.join(missing)}", fix)
    return Check("packages", "ok", ", ".join(found))


def _extras(_: Workspace) -> Check:
    missing = []
    for package, extra in OPTIONAL.items():
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            missing.append((package, extra))
    if not missing:
        return Check("extras", "ok", ", ".join(OPTIONAL))
    names = ", ".join(package for package, _ in missing)
    fix = (
        "if you need them, in the repository: .venv/bin/python -m pip install -e"
        f" '.[{','.join(extra for _, extra in missing)}]'"
    )
    return Check("extras", "warn", f"not installed: {names}", fix)


def _compiler(_: Workspace) -> Check:
    numba = importlib.import_module("numba")
    import numpy as np

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def total(values: Any) -> float:
        result = 0.0
        for value in values:
            result += value
        return result

    if total(np.arange(5.0)) != 10.0:
        return Check("compiler", "fail", "numba computes wrong sums", "reinstall numba")
    return Check("compiler", "ok", f"numba {numba.__version__}")


def _compile_cache(_: Workspace) -> Check:
    from genesis.domain.jit import cache_folder

    folder = cache_folder()
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o022:
        # Numba loads what lies there, so nobody else may write it.
        return Check(
            "compile cache", "fail", f"{folder} is writable to others", f"chmod 700 {folder}"
        )
    files = [file for file in folder.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 2**20
    return Check("compile cache", "ok", f"{folder}: {several(len(files), 'file')}, {size:.1f} MiB")


def _accounting(_: Workspace) -> Check:
    if importlib.util.find_spec("vectorbt_rust") is not None:
        return Check("accounting", "ok", "vectorbt's Rust engine")
    return Check(
        "accounting",
        "warn",
        "vectorbt's Rust engine is missing, the slower numba engine is used",
        "pip install vectorbt-rust (equal numbers, several times the speed)",
    )


def _machine(_: Workspace) -> Check:
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory()
    detail = f"{cores} cores, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    if memory.available < 2 * 2**30:
        return Check("machine", "warn", detail, "use fewer workers or a smaller panel")
    return Check("machine", "ok", detail)


def _shared_memory(_: Workspace) -> Check:
    place = Path("/dev/shm")  # noqa: S108  the system's own place for shared memory
    if not place.is_dir():
        return Check("shared memory", "warn", f"{place} does not exist", "use --executor local")
    free = shutil.disk_usage(place).free
    detail = f"{free / 2**20:.0f} MiB free in {place}"
    if free < 512 * 2**20:
        return Check(
            "shared memory", "warn", detail, "enlarge it (container: --shm-size=2g) for big panels"
        )
    return Check("shared memory", "ok", detail)


def _home(workspace: Workspace) -> Check:
    if not workspace.home.exists():
        return Check("workspace", "ok", f"{workspace.home} will be created on first use")
    workspace.open()
    if workspace.open_to_others():
        return Check(
            "workspace",
            "warn",
            f"{workspace.home} can be read by other users",
            f"chmod -R go-rwx {workspace.home}",
        )
    return Check("workspace", "ok", str(workspace.home))


def _disk(workspace: Workspace) -> Check:
    free = workspace.free_bytes()
    detail = f"{free / 2**30:.1f} GiB free for the workspace"
    if free < LEAST_FREE_BYTES:
        return Check("disk", "fail", detail, "free some space or choose another --home")
    if free < 8 * LEAST_FREE_BYTES:
        return Check("disk", "warn", detail, "long studies on many symbols may want more")
    return Check("disk", "ok", detail)


def _data(workspace: Workspace) -> Check:
    bars = workspace.data / "bars"
    count = sum(1 for _ in bars.rglob("*.parquet")) if bars.is_dir() else 0
    if not count:
        return Check(
            "data", "ok", "no candles yet", "genesis data import, fetch or synth brings some"
        )
    return Check("data", "ok", f"{count} series of candles")


def _runs(workspace: Workspace) -> Check:
    from genesis.evolution.run import list_runs

    runs = list_runs(workspace.home)
    broken = [run.id for run in runs if run.status in ("interrupted", "failed")]
    if broken:
        return Check(
            "runs",
            "warn",
            f"{several(len(runs), 'run')}, unfinished: {', '.join(broken[:5])}",
            f"genesis evolve --resume {broken[0]}",
        )
    return Check("runs", "ok", several(len(runs), "run"))


def _spool(workspace: Workspace) -> Check:
    from genesis.evolution.tracking.spool import leftovers

    waiting = leftovers(workspace.spool) if workspace.spool.is_dir() else []
    if waiting:
        return Check(
            "tracking",
            "warn",
            f"not yet shipped to MLflow: {', '.join(waiting[:5])}",
            f"genesis runs sync {waiting[0]}",
        )
    return Check("tracking", "ok", "nothing waits to be shipped")


def _sqlite(_: Workspace) -> Check:
    version = tuple(int(part) for part in sqlite3.sqlite_version.split("."))
    if version < SQLITE_WAL_FIXED:
        # MLflow's file is written by one process at a time, so this is a remark, not a defect.
        return Check("sqlite", "ok", f"{sqlite3.sqlite_version} (used for MLflow's file only)")
    return Check("sqlite", "ok", sqlite3.sqlite_version)


def _ray_auth(_: Workspace) -> Check:
    mode = os.environ.get("RAY_AUTH_MODE", "")
    if mode and mode.lower() != "token":
        return Check(
            "ray",
            "warn",
            f"RAY_AUTH_MODE is {mode}: clusters of this shell accept anybody",
            "export RAY_AUTH_MODE=token",
        )
    return Check("ray", "ok", "clusters are started with token authentication")
