"""Where alerts go: the port of a channel, and the two that need nobody else."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TextIO

from genesis.domain.command_lines import naming
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.message import Message
from genesis.monitoring.alerts.secret_urls import ChannelError
from genesis.monitoring.alerts.settings import CONSOLE, LOCAL_FILE

ALERTS_FILE: Final = "alerts.jsonl"


class Channel(Protocol):
    """Tells an alert to somebody. Called from a thread of its own."""

    @property
    def kind(self) -> str:
        """What it is, for a person; no secret."""
        ...

    def send(self, message: Message) -> None:
        """Tell an alert; once this returns it was accepted.

        Raises
        ------
        ChannelError
            If it was not; the text says why and holds no secret.
        """
        ...


@dataclass(frozen=True, slots=True)
class ChannelSlot:
    """A channel and what it is wanted for.

    Attributes
    ----------
    name : str
    channel : Channel
    level : AlertLevel
        Least level that it tells.
    timeout_s : float
    quiet : bool
        Whether quiet hours apply.
    """

    name: str
    channel: Channel
    level: AlertLevel
    timeout_s: float
    quiet: bool


class ConsoleChannel:
    """A line and its details on standard error, or on another stream.

    Parameters
    ----------
    stream : text stream, optional
    home : str
        Workspace that the commands of a message name; empty for none.
    """

    kind = "standard error"

    def __init__(self, stream: TextIO | None = None, home: str = "") -> None:
        self._stream = stream
        self._home = home

    def send(self, message: Message) -> None:
        """Print an alert."""
        lines = [message.headline, *naming(self._home, message.body).splitlines()]
        text = "\n  ".join(lines) + "\n"
        try:
            stream = self._stream or sys.stderr
            stream.write(text)
            stream.flush()
        except (OSError, ValueError) as error:
            raise ChannelError(f"nobody reads it: {type(error).__name__}") from None


class FileChannel:
    """JSON lines in a file that only its owner can read.

    Parameters
    ----------
    path : Path
    """

    kind = "JSON lines"

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, message: Message) -> None:
        """Append an alert and force it to disk."""
        self.append(message, sync=True)

    def append(self, message: Message, *, sync: bool) -> None:
        """Append an alert; without ``sync`` this does not wait for the disk.

        Raises
        ------
        ChannelError
        """
        line = json.dumps(message.plain(), ensure_ascii=False) + "\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.path, flags, 0o600)
            try:
                content = line.encode("utf-8", "replace")
                if os.write(handle, content) != len(content):
                    raise ChannelError("the disk is full")
                if sync:
                    os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise ChannelError(os.strerror(error.errno or 0)) from None


def local_slots(
    folder: Path, console: AlertLevel | None, stream: TextIO | None = None, home: str = ""
) -> list[ChannelSlot]:
    """The channels that are always there: the local file, and the console unless unwanted.

    ``home`` is the workspace that commands on the console name; empty for none.
    """
    file = FileChannel(folder / ALERTS_FILE)
    slots = [ChannelSlot(LOCAL_FILE, file, AlertLevel.INFO, 4.0, quiet=False)]
    if console is not None:
        told = ConsoleChannel(stream, home)
        slots.append(ChannelSlot(CONSOLE, told, console, 4.0, quiet=False))
    return slots
