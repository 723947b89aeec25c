"""Commands of a person into a running trader, through the durable inbox of its run."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from genesis.domain.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from genesis.domain.clock import Clock
    from genesis.system.run_state import RunState

_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that is in the inbox of a run, durably.

    Attributes
    ----------
    run, command_id : str
    taken : bool
        Its loop has taken it; else it waits until the run goes on.
    """

    run: str
    command_id: str
    taken: bool


def running_run(home: Path, name: str) -> Path:
    """Folder of a run that takes commands: one that is not finished.

    Raises
    ------
    InputError
        If there is no such run, or it is finished.
    """
    from genesis.system.paper import RESULT
    from genesis.trading.run_folders import find_run

    if not name:
        raise InputError("no run is named", fix="genesis paper list, genesis live list")
    folder = find_run(home, name)
    if (folder / RESULT).is_file():
        raise InputError(
            f"the run {folder.name} is finished: no loop would take the command",
            fix=f"genesis replay {folder.name} shows its last state",
        )
    return folder


def send(
    folder: Path,
    command: str,
    arguments: Mapping[str, Any],
    *,
    reason: str,
    who: str,
    clock: Clock,
    wait_s: float,
    pause: Callable[[float], None],
) -> Sent:
    """Put a command into the inbox of a run and wait for its loop to take it.

    Parameters
    ----------
    folder : Path
    command : str
        One that `genesis.trading.safety.Safety.on_command` knows.
    arguments : mapping
        Plain JSON.
    reason, who : str
        For the journal.
    clock : Clock
    wait_s : float
        Longest wait, seconds; the command stays in the inbox after it.
    pause : callable
        Waits for the seconds that it is given.

    Raises
    ------
    InputError
        If no reason is given.
    StorageError
        If it cannot be written.
    """
    from genesis.trading.events import EventType
    from genesis.trading.inbox import Inbox
    from genesis.trading.payloads import OperatorCommand
    from genesis.trading.store import EventReader

    if not reason.strip():
        raise InputError("no reason is given", fix='write --reason "what was seen"')
    command_id = f"CMD_{secrets.token_hex(8)}"
    made = OperatorCommand(command_id, command, reason, who, dict(arguments))
    with EventReader(folder) as reader:
        before = reader.head.seq
        Inbox(folder).send(made, clock.now_ms())
        ends = clock.monotonic() + wait_s
        while True:
            kinds = (EventType.OPERATOR_COMMAND,)
            found = reader.events(before + 1, types=kinds, aggregate=command_id, limit=1)
            if next(found, None) is not None:
                return Sent(folder.name, command_id, taken=True)
            if clock.monotonic() >= ends:
                return Sent(folder.name, command_id, taken=False)
            pause(_LOOK_S)


def permit_length(text: str) -> int:
    """Milliseconds of a permit.

    Raises
    ------
    InputError
        If the text is no length, or longer than a permit may be.
    """
    from genesis.risk.book import MOST_PERMIT_MS
    from genesis.trading.schedule import parse_length

    length = parse_length(text)
    if not 0 < length <= MOST_PERMIT_MS:
        raise InputError(
            f"a permit of {text} is not possible",
            why="it lets new risk through at level HIGH; nobody remembers a longer one",
            fix="write at most 24h",
        )
    return length


def tripped_breaker(state: RunState, account: str, wanted: str) -> str:
    """Name of a breaker of an account that tripped and holds.

    Raises
    ------
    InputError
        If there is no such breaker, or it does not hold.
    """
    from genesis.risk.breaker_kinds import Breaker

    name = wanted.strip().lower().replace("-", "_")
    known = [one.value for one in Breaker]
    if name not in known:
        raise InputError(
            f"there is no breaker {wanted!r}{did_you_mean(name, known)}",
            fix=f"use one of {', '.join(known)}",
        )
    held = state.held(account)
    if name not in held:
        holding = ", ".join(str(one) for one in held)
        raise InputError(
            f"{name} of {account} is armed: there is nothing to re-arm",
            why=f"these hold: {holding}" if holding else "no breaker of the account holds",
            fix=f"genesis risk status {state.run}",
        )
    return name


def halt_scope(state: RunState, wanted: str, *, lift: bool) -> str:
    """Scope of a halt: what is to be halted, or what is halted and to go on.

    Parameters
    ----------
    state : RunState
    wanted : str
        ``run``, ``symbol:SYM`` or ``account:NAME``; of a halt that is there also ``stage:NAME``.
    lift : bool
        Whether it is to be lifted.

    Raises
    ------
    InputError
        If there is no such thing, or it is not halted.
    """
    desk = state.core.desk
    if lift:
        if wanted in desk.halts:
            return wanted
        halted = "; ".join(f"{scope}: {why}" for scope, why in desk.halts.items())
        raise InputError(
            f"{wanted} of {state.run} is not halted{did_you_mean(wanted, list(desk.halts))}",
            why=halted or "nothing is",
            fix="name one with --scope" if halted else "there is nothing to resume",
        )
    known = ["run", *(f"symbol:{name}" for name in sorted(desk.by_symbol))]
    known += [f"account:{name}" for name in state.accounts]
    if wanted not in known:
        raise InputError(
            f"there is no scope {wanted!r}{did_you_mean(wanted, known)}",
            fix=f"use one of {', '.join(known)}",
        )
    return wanted
