"""What a person wants to hear, where and when: ``WORKSPACE/alerts.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, time, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import yaml

from genesis.domain.errors import ConfigError
from genesis.domain.shipped import shipped
from genesis.monitoring.alerts.levels import AlertLevel, is_level, level_of
from genesis.monitoring.alerts.quiet import QuietHours
from genesis.monitoring.alerts.secret_urls import UrlSource, without_urls
from genesis.monitoring.alerts.settings_lines import broken, lines_of, placed, unknown_key

FILE: Final = "alerts.yaml"
SCHEMA: Final = 1
CONSOLE, LOCAL_FILE = "console", "file"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d\Z")


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """A channel of the user's own.

    Attributes
    ----------
    name : str
    url : UrlSource
    level : AlertLevel
        Least level that it tells.
    timeout_s : float
        After this a send counts as failed and the next channel steps in.
    quiet : bool
        Whether quiet hours hold back what is below critical.
    """

    name: str
    url: UrlSource
    level: AlertLevel = AlertLevel.WARNING
    timeout_s: float = 4.0
    quiet: bool = True


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Settings of the alerts of a workspace; without a file: console and local file.

    Attributes
    ----------
    channels : tuple of ChannelSettings
        In the order in which one steps in for another.
    console : AlertLevel or None
        Least level on standard error, None for nothing.
    quiet_hours : QuietHours or None
    heartbeat : time or None
        When the daily "all is well" is sent.
    zone : tzinfo
    escalation : bool
    """

    channels: tuple[ChannelSettings, ...] = ()
    console: AlertLevel | None = AlertLevel.INFO
    quiet_hours: QuietHours | None = None
    heartbeat: time | None = None
    zone: tzinfo = field(default=UTC)
    escalation: bool = True


class _Channel(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    url_env: str = ""
    url_file: str = ""
    url_keyring: str = ""
    level: str = "warning"
    timeout_s: float = 4.0
    quiet: bool = True


class _Quiet(msgspec.Struct, forbid_unknown_fields=True, rename={"begin": "from", "end": "to"}):
    begin: str
    end: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    channels: list[_Channel] = []
    console: str = "info"
    quiet_hours: _Quiet | None = None
    heartbeat: str | None = "08:00"
    timezone: str = "UTC"
    escalation: bool = True


def load_settings(path: Path) -> AlertSettings:
    """Settings of a file, the defaults where there is none.

    Raises
    ------
    ConfigError
        Naming the key that is wrong, never its value: it may be a secret in the wrong place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return AlertSettings()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read", why=type(error).__name__) from None
    try:
        plain, lines = yaml.safe_load(text), lines_of(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} cannot be read", why=broken(error), fix=_example()) from None
    try:
        _refuse_unknown(plain, lines)
        return parse_settings(plain, path.parent)
    except ConfigError as error:
        why = placed(error.why, lines) if error.what == _WRONG else error.why
        raise ConfigError(f"{path}: {error.what}", why=why, fix=error.fix) from None


def _refuse_unknown(plain: Any, lines: Mapping[str, int]) -> None:
    if not isinstance(plain, dict):
        return
    channels = plain.get("channels")
    parts = [(plain, _Document, ""), (plain.get("quiet_hours"), _Quiet, "quiet_hours.")]
    for place, one in enumerate(channels if isinstance(channels, list) else ()):
        parts.append((one, _Channel, f"channels.{place}."))
    for given, kind, path in parts:
        if why := unknown_key(given, kind.__struct_encode_fields__, path, lines):
            raise _wrong(why)


def parse_settings(plain: Any, folder: Path) -> AlertSettings:
    """Settings from what YAML holds; files of URLs are looked for beside the configuration.

    Raises
    ------
    ConfigError
    """
    try:
        document = msgspec.convert(plain, _Document)
    except msgspec.ValidationError as error:
        raise _wrong(without_urls(str(error))) from None
    if document.schema != SCHEMA:
        raise _wrong(f"schema must be {SCHEMA}")
    zone = _zone(document.timezone)
    channels = tuple(_channel(one, folder) for one in document.channels)
    names = [one.name for one in channels]
    if len(set(names)) != len(names):
        raise _wrong("two channels have the same name")
    return AlertSettings(
        channels=channels,
        console=None if document.console == "none" else _level(document.console, "console"),
        quiet_hours=_quiet(document.quiet_hours, zone),
        heartbeat=None if document.heartbeat is None else _clock(document.heartbeat, "heartbeat"),
        zone=zone,
        escalation=document.escalation,
    )


def _channel(given: _Channel, folder: Path) -> ChannelSettings:
    if not _NAME.match(given.name) or given.name in (CONSOLE, LOCAL_FILE):
        raise _wrong(
            "a channel's name must be lower case letters, digits, - and _, and neither"
            f" {CONSOLE} nor {LOCAL_FILE}"
        )
    kinds = {"env": given.url_env, "file": given.url_file, "keyring": given.url_keyring}
    places = [(kind, place) for kind, place in kinds.items() if place]
    if len(places) != 1:
        raise _wrong(f"channel {given.name} needs one of url_env, url_file, url_keyring")
    kind, place = places[0]
    if "://" in place:
        raise ConfigError(
            f"channel {given.name}: url_{kind} says where the URL is kept, not the URL",
            why="a URL holds passwords, and this file is read and copied like any other",
            fix="move the URL into a file of its own (chmod 600) and write url_file: NAME",
        )
    if kind == "file":
        place = str(folder / Path(place).expanduser())
    if not 0.1 <= given.timeout_s <= 60.0:
        raise _wrong(f"channel {given.name}: timeout_s must lie between 0.1 and 60 seconds")
    level = _level(given.level, f"channel {given.name}: level")
    return ChannelSettings(given.name, UrlSource(kind, place), level, given.timeout_s, given.quiet)


def _level(word: str, key: str) -> AlertLevel:
    if not is_level(word):
        known = ", ".join(level.word for level in AlertLevel)
        raise _wrong(f"{key} must be one of {known}" + (" or none" if key == CONSOLE else ""))
    return level_of(word)


def _quiet(given: _Quiet | None, zone: tzinfo) -> QuietHours | None:
    if given is None:
        return None
    begin, end = _clock(given.begin, "quiet_hours.from"), _clock(given.end, "quiet_hours.to")
    if begin == end:
        raise _wrong("quiet_hours begin and end at the same time")
    return QuietHours(begin, end, zone)


def _clock(text: str, key: str) -> time:
    if not _CLOCK.match(text):
        raise _wrong(f'{key} must be a time in quotes, such as "22:00"')
    return time.fromisoformat(text)


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise _wrong("timezone is none that this machine knows, such as Europe/Berlin") from None


_WRONG: Final = "the configuration of alerts is wrong"


def _example() -> str:
    return f"{shipped('configs/alerts.yaml')} is an example, docs/alerts.md explains each key"


def _wrong(why: str) -> ConfigError:
    return ConfigError(_WRONG, why=why, fix=_example())
