"""Hard limits of a workspace: where they stand, and what has to be typed to loosen them live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from genesis.domain.errors import ConfigError, RefusedError, refuse_unknown_keys
from genesis.domain.shipped import shipped
from genesis.risk.limits import HardLimits
from genesis.risk.loosening import confirms, loosened, loosening_phrase

if TYPE_CHECKING:
    from genesis.domain.clock import Clock
    from genesis.paper.settings import PaperSettings
    from genesis.system.workspace import Workspace

FILE: Final = "limits.yaml"
SCHEMA: Final = 1
BUILT_IN: Final = "built in"


@dataclass(frozen=True, slots=True)
class StatedLimits:
    """Hard limits and where they come from.

    Attributes
    ----------
    limits : HardLimits
    source : str
        Path of the file, or `BUILT_IN`.
    stated : tuple of str
        Those that the file states; the others are built in.
    """

    limits: HardLimits
    source: str = BUILT_IN
    stated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitsChange:
    """Limits that an account is to be traded with, against those that it was traded with last.

    Attributes
    ----------
    account : str
        Address, small letters.
    before, after : HardLimits
    """

    account: str
    before: HardLimits
    after: HardLimits

    @property
    def loosened(self) -> tuple[str, ...]:
        """Limits that get looser."""
        return loosened(self.before, self.after)

    @property
    def phrase(self) -> str:
        """What somebody must type; empty where nothing gets looser."""
        return loosening_phrase(self.before, self.after)

    @property
    def text(self) -> str:
        """What changes, in one line."""
        return differences(self.before, self.after)


@dataclass(frozen=True, slots=True)
class LimitsChoice:
    """What the command line says of hard limits.

    Attributes
    ----------
    file : Path or None
        Instead of the workspace's own.
    confirmed : str
        What was typed to loosen them.
    who, reason : str
        For the record.
    """

    file: Path | None = None
    confirmed: str = ""
    who: str = ""
    reason: str = ""


def differences(before: HardLimits, after: HardLimits) -> str:
    """Limits that differ, in one line; empty where none does."""
    old, new = before.plain(), after.plain()
    return ", ".join(
        f"{name} {old[name]:g} to {new[name]:g}" for name in old if old[name] != new[name]
    )


def stated_limits(home: Path, file: Path | None = None) -> StatedLimits:
    """Hard limits of a workspace: of a named file, else of its own, else the built-in ones.

    Raises
    ------
    ConfigError
        If a file cannot be read, has an unknown key or a value that is no positive number.
    """
    path = file or home / FILE
    if file is None and not path.exists():
        return StatedLimits(HardLimits())
    stated = _read(path)
    try:
        return StatedLimits(HardLimits.from_plain(stated), str(path), tuple(stated))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.what}", why=error.why, fix=error.fix) from None


def _read(path: Path) -> dict[str, Any]:
    from genesis.evolution.configcheck import read_yaml

    try:
        plain, _ = read_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(f"{path} holds no limits", why=str(error), fix=_example()) from None
    _refuse_flat(path, plain)
    refuse_unknown_keys(str(path), plain, ("schema", "limits"))
    if plain.get("schema") != SCHEMA:
        raise ConfigError(f"{path} is of schema {plain.get('schema')!r}", fix=f"write {SCHEMA}")
    stated = plain.get("limits", {})
    if not isinstance(stated, Mapping):
        raise ConfigError(f"{path}: limits is no mapping", fix=_example())
    return {str(name): value for name, value in stated.items()}


def _example() -> str:
    shown = shipped("configs/limits.yaml")
    return f"compare it with {shown}, or remove it: the built-in limits hold then"


def _refuse_flat(path: Path, plain: Mapping[str, Any]) -> None:
    """Refuse limits that do not stand under the key `limits`."""
    known = [one.name for one in fields(HardLimits)]
    for name, value in plain.items():
        meant = next(iter(get_close_matches(str(name), known, n=1, cutoff=0.8)), "")
        if meant:
            shown = (
                value
                if isinstance(value, int | float) and value > 0
                else getattr(HardLimits(), meant)
            )
            raise ConfigError(
                f"{path}: {name} stands beside the key limits",
                why="a limit stands under it, indented",
                fix=f"write limits: {{{meant}: {shown}}}, or indent it in a line below limits:",
            )


def live_limits(home: Path, account: str) -> HardLimits:
    """Limits that an account was traded with last, by the operations log; else the built-in ones.

    Raises
    ------
    RefusedError, StorageError
        If that log was changed, or cannot be read.
    """
    from genesis.decision.operations import FOLDER, read_operations
    from genesis.trading.events import EventType
    from genesis.trading.payloads import LimitsChanged
    from genesis.trading.store import EventReader

    if not read_operations(home).seq:  # which also verifies all of it
        return HardLimits()
    with EventReader(home / FOLDER) as reader:
        kinds, about = (EventType.LIMITS_CHANGED,), account.lower()
        for event in reader.events(types=kinds, aggregate=about, newest_first=True, limit=1):
            assert isinstance(event.data, LimitsChanged)
            return HardLimits.from_plain(dict(event.data.after))
    return HardLimits()


def limits_change(home: Path, account: str, file: Path | None = None) -> LimitsChange:
    """What a start of live trading would change for an account.

    Raises
    ------
    ConfigError
        As `stated_limits`.
    RefusedError, StorageError
        As `live_limits`.
    """
    before = live_limits(home, account)
    return LimitsChange(account.lower(), before, stated_limits(home, file).limits)


def take_limits(
    home: Path, account: str, choice: LimitsChoice, clock: Clock, *, going_on: bool
) -> tuple[HardLimits, str]:
    """Limits that the account is traded with from here on; a change is put on record.

    Parameters
    ----------
    home : Path
    account : str
    choice : LimitsChoice
    clock : Clock
    going_on : bool
        A run of the account is not finished: it must be looked after, so looser limits that
        nobody confirmed do not keep it from going on with those that it has.

    Returns
    -------
    limits : HardLimits
    note : str
        What a person should know, empty for nothing.

    Raises
    ------
    RefusedError
        If limits would get looser and that was not confirmed word by word.
    ConfigError, StorageError
        As `limits_change`.
    """
    change = limits_change(home, account, choice.file)
    if change.before == change.after:
        return change.after, ""
    if not confirms(choice.confirmed, change.before, change.after):
        if going_on:
            return change.before, f"hard limits stay; not confirmed: {change.phrase}"
        raise RefusedError(
            f"looser hard limits are not confirmed: {', '.join(change.loosened)}",
            why=f"{account} was traded with tighter ones: {change.text}",
            fix=f'add --confirm "{change.phrase}", or write the old values',
        )
    _record(home, change, choice, clock)
    return change.after, f"hard limits from here on: {change.text}"


def _record(home: Path, change: LimitsChange, choice: LimitsChoice, clock: Clock) -> None:
    from genesis.decision.operations import OperationsLog
    from genesis.trading.payloads import LimitsChanged

    with OperationsLog.open(home, clock) as log:
        log.append(
            LimitsChanged(
                account=change.account,
                before=change.before.plain(),
                after=change.after.plain(),
                loosened=change.loosened,
                confirmed=change.phrase,
                who=choice.who,
                reason=choice.reason,
            ),
            aggregate=change.account,
        )


def ended_by_limits(settings: PaperSettings, limits: HardLimits) -> str:
    """Why a run that is not finished is to end: it began with other limits; empty if it did not.

    Its log can only be folded with the limits that it began with, so it gets no others.
    """
    changed = differences(HardLimits.from_plain(dict(settings.limits)), limits)
    return f"the hard limits are others now: {changed}" if changed else ""


def traded_limits(workspace: Workspace, limits: HardLimits) -> list[dict[str, Any]]:
    """Runs that trade, or may go on, at an exchange: their limits, and where these differ."""
    from genesis.paper.settings import read_settings
    from genesis.system.kill import live_runs

    rows = []
    for folder in live_runs(workspace):
        settings, _ = read_settings(folder)
        has = HardLimits.from_plain(dict(settings.limits))
        rows.append(
            {"run": folder.name, "limits": has.plain(), "differs": differences(limits, has)}
        )
    return rows
