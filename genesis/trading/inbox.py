"""A run's inbox: commands of a person, one file each, that the loop takes exactly once.

A file appears whole (it is written aside and renamed). The loop publishes it as an event, and
removes the file once that event is stored; if the process ends in between, the file is there
again and the log already holds its command id, so that it is dropped and not carried out twice.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from genesis.domain.errors import DataError, InputError
from genesis.market.atomic_file import storage_error, write_atomic
from genesis.trading.payloads import OperatorCommand

SCHEMA = 1
MOST_BYTES = 65_536
FOLDER, MALFORMED = "inbox", "malformed"


class Letter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command as its file holds it."""

    schema: int
    command_id: str
    command: str
    reason: str
    who: str
    sent_ms: int
    arguments: dict[str, Any] = {}


class Inbox:
    """Commands that wait for a run.

    Parameters
    ----------
    run_folder : Path
        ``WORKSPACE/trading/RUN``; the inbox is a folder in it, readable by its owner alone.
    """

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / FOLDER

    def send(self, command: OperatorCommand, sent_ms: int) -> Path:
        """Put a command into the inbox; once this returns it is durable.

        Raises
        ------
        InputError
            If its id cannot be the name of a file.
        StorageError
            If the file cannot be written.
        """
        if not command.command_id or not command.command_id.replace("_", "").isalnum():
            raise InputError(f"{command.command_id!r} is no id of a command")
        self._make()
        path = self.folder / f"{sent_ms:015d}-{command.command_id}.json"
        letter = Letter(
            SCHEMA,
            command.command_id,
            command.command,
            command.reason,
            command.who,
            sent_ms,
            dict(command.arguments),
        )
        write_atomic(path, _writer(msgspec.json.encode(letter)))
        return path

    def pending(self) -> list[OperatorCommand]:
        """Commands that wait, oldest first; what cannot be read is put aside, see `malformed`."""
        commands = []
        for path in self._files():
            try:
                letter = _read(path)
            except DataError:
                self._put_aside(path)
                continue
            commands.append(
                OperatorCommand(
                    letter.command_id,
                    letter.command,
                    letter.reason,
                    letter.who,
                    letter.arguments,
                )
            )
        return commands

    def consumed(self, command_id: str) -> bool:
        """Remove a command whose event is stored; False where it was gone already."""
        gone = False
        for path in self._files():
            if path.stem.partition("-")[2] == command_id:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise storage_error(f"cannot remove {path}", error) from error
                gone = True
        return gone

    def waiting(self) -> list[str]:
        """Names of the files that wait, oldest first; nothing is opened."""
        return [path.name for path in self._files()]

    def malformed(self) -> list[Path]:
        """Files that were no commands."""
        return sorted((self.folder / MALFORMED).glob("*"))

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        found = (p for p in self.folder.glob("*.json") if not p.name.startswith("."))
        return sorted(p for p in found if p.is_file())

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise storage_error(f"cannot make {self.folder}", error) from error

    def _put_aside(self, path: Path) -> None:
        aside = self.folder / MALFORMED
        try:
            aside.mkdir(exist_ok=True, mode=0o700)
            path.replace(aside / path.name)
        except OSError as error:
            raise storage_error(f"cannot put {path} aside", error) from error


def _writer(content: bytes) -> Callable[[BinaryIO], object]:
    return lambda file: file.write(content)


def _read(path: Path) -> Letter:
    """Read a command that this user wrote as a plain file.

    Raises
    ------
    DataError
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(f"{path} cannot be opened", why=str(error)) from error
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            raise DataError(f"{path} is not a file of this user")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise DataError(f"{path} is longer than any command")
    try:
        letter = msgspec.json.decode(content, type=Letter)
    except msgspec.DecodeError as error:
        raise DataError(f"{path} is no command", why=str(error)) from error
    if letter.schema != SCHEMA or letter.command_id != path.stem.partition("-")[2]:
        raise DataError(f"{path} is no command of schema {SCHEMA} that its name says")
    return letter
