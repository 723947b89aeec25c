"""Kill and re-arm a workspace: the latch first, then what its live runs make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from genesis.domain.errors import GenesisError, InputError
from genesis.trading.kill_latch import KillLatch, KillOrder

if TYPE_CHECKING:
    from genesis.domain.clock import Clock
    from genesis.system.workspace import Workspace

_LOOK_S = 0.05
_BY_ITSELF = "it ended by itself before it heard of the kill, with nothing left"


class RunKill(msgspec.Struct, frozen=True):
    """What a kill came to in one live run.

    Attributes
    ----------
    run : str
    process : str
        Id of the process that trades it, empty where none does.
    done : bool
        Whether its exchange said that nothing is left.
    text : str
    again : str
        Command that takes the run up and goes on emptying its accounts.
    had : str
        What it had when it heard of the kill.
    fix : str
        What makes it possible to look, where nobody can tell whether it trades.
    """

    run: str
    process: str
    done: bool
    text: str
    again: str = ""
    fix: str = ""
    had: str = ""


def set_latch(
    workspace: Workspace, reason: str, who: str, clock: Clock, *, flatten: bool = True
) -> tuple[KillOrder, str]:
    """Set the latch, then put it on record.

    Returns
    -------
    order : KillOrder
        The one that holds.
    trouble : str
        Why it is not in the log of operations, empty where it is; the latch holds all the same.

    Raises
    ------
    InputError
        If there is no such workspace.
    StorageError
        If the latch cannot be written.
    """
    from genesis.decision.operations import OperationsLog
    from genesis.trading.payloads import KillLatched

    if not workspace.home.is_dir():
        raise InputError(
            f"there is no workspace {workspace.home}",
            why="a kill of the wrong folder would stop nothing",
            fix="name the one that trades with --home or GENESIS_HOME",
        )
    wanted = KillOrder(reason, who, clock.now_ms(), flatten)
    order = KillLatch(workspace.home).set(wanted)
    if order != wanted:
        return order, ""  # it was set before, and is on record
    try:
        with OperationsLog.open(workspace.home, clock, wait_s=2.0) as log:
            log.append(KillLatched("all", "command", who, reason), aggregate="all")
    except GenesisError as error:
        return order, str(error)
    return order, ""


def rearm(workspace: Workspace, reason: str, who: str, clock: Clock) -> KillOrder:
    """Put on record that somebody takes the latch away, then take it away.

    Raises
    ------
    InputError
        If it is not set, or no reason is given.
    StorageError, RefusedError
        If it cannot be recorded or removed; then it stays.
    """
    from genesis.decision.operations import OperationsLog
    from genesis.trading.payloads import KillLatched, Rearmed

    latch = KillLatch(workspace.home)
    held = latch.read()
    if held is None:
        raise InputError("the workspace is not killed", fix="there is nothing to re-arm")
    if not reason.strip():
        raise InputError("no reason is given", fix='write --reason "what was found and mended"')
    with OperationsLog.open(workspace.home, clock) as log:
        if "all" not in log.state.kills:  # a file that somebody touched is on record from now on
            set_by = KillLatched("all", "file", held.who or "unknown", held.reason or "touched")
            log.append(set_by, aggregate="all")
        log.append(Rearmed("all", who, reason), aggregate="all")
    latch.lift()
    return held


def live_runs(workspace: Workspace) -> list[Path]:
    """Folders of the runs that trade, or may still hold something, at an exchange.

    One whose settings cannot be read is not among them, see `look`.
    """
    return [folder for folder, why in _unfinished(workspace) if not why]


def _unfinished(workspace: Workspace) -> Iterator[tuple[Path, str]]:
    """Runs that may have something at an exchange, with why their settings cannot be read."""
    from genesis.paper.settings import read_settings
    from genesis.system.paper import RESULT, runs_folder

    root = runs_folder(workspace)
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not folder.is_dir() or (folder / RESULT).is_file():
            continue
        try:
            settings, _ = read_settings(folder)
        except (GenesisError, OSError, ValueError) as error:
            if next(folder.iterdir(), None) is not None:  # an empty one never came to trade
                yield folder, str(error).partition("\n")[0]
            continue
        if settings.mode.over_network:
            yield folder, ""


def look(workspace: Workspace, order: KillOrder) -> list[RunKill]:
    """How far a kill has come in each run that trades, may trade, or was ended by it."""
    from genesis.system.paper import RESULT, runs_folder

    found = {folder.name: _look(folder, order, why) for folder, why in _unfinished(workspace)}
    root = runs_folder(workspace)
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name not in found and (folder / RESULT).is_file():
            ended = _ended(folder, order)
            found |= {folder.name: ended} if ended is not None else {}
    return [found[name] for name in sorted(found)]


def _ended(folder: Path, order: KillOrder) -> RunKill | None:
    """What a kill came to in a run that is finished; None where the kill did not end it."""
    from genesis.trading.kill_report import read_kill_report

    try:
        report = read_kill_report(folder)
    except GenesisError:
        return None  # it is finished in any case
    if report is None or report.latched_ms != order.at_ms:
        return None
    return RunKill(folder.name, "", report.done, report.text, had=report.had)


def _look(folder: Path, order: KillOrder, unreadable: str) -> RunKill:
    from genesis.trading.kill_report import read_kill_report
    from genesis.trading.status import writer_of

    process, again, report = writer_of(folder), "", None
    try:
        again = "" if unreadable else _again(folder)
        report = read_kill_report(folder)
    except GenesisError as error:
        unreadable = unreadable or error.what
    if report is not None and report.latched_ms == order.at_ms:
        return RunKill(folder.name, process, report.done, report.text, again, had=report.had)
    if unreadable:
        text = f"it may be trading, settings unreadable: {unreadable}"
        return RunKill(folder.name, process, False, text, again, _mend(folder, process))
    text = "its process is told" if process else "nobody trades it: its key is needed to empty it"
    return RunKill(folder.name, process, False, text, again)


def _again(folder: Path) -> str:
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperMode, read_settings

    settings, _ = read_settings(folder)
    if settings.mode is not PaperMode.LIVE:
        return f"genesis paper run --resume {folder.name} --key-file FILE"
    account = ", ".join(LiveFacts.of(settings).accounts.values())
    return f"genesis live run --account {account} --key-file FILE"


def _mend(folder: Path, process: str) -> str:
    from genesis.paper.settings import FILE

    told = f"end process {process}, which trades it; then " if process else ""
    return (
        f"{told}look at the exchange and close what is there; restore {folder / FILE} from a copy"
        " and kill again, or move the folder out of the workspace if it never traded"
    )


def await_empty(
    workspace: Workspace,
    order: KillOrder,
    clock: Clock,
    wait_s: float,
    pause: Callable[[float], None],
) -> list[RunKill]:
    """Wait for the processes that trade until they have emptied their accounts.

    Parameters
    ----------
    wait_s : float
        Longest wait, seconds.
    pause : callable
        Waits for the seconds that it is given.
    """
    ends = clock.monotonic() + wait_s
    told: dict[str, RunKill] = {}
    while True:
        found = look(workspace, order)
        told |= {
            one.run: replace(one, process="", done=True, text=_BY_ITSELF)
            for one in found
            if one.process
        }
        gone = told.keys() - {one.run for one in found}
        found += [told[name] for name in sorted(gone)]
        waits = any(one.process and not one.done for one in found)
        if not waits or clock.monotonic() >= ends:
            return found
        pause(_LOOK_S)
