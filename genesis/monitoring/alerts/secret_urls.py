"""Where the URL of a channel is kept. It holds passwords and tokens, so it is never shown.

A URL comes from an environment variable, a file that only its owner can read, or the keyring of
the system; never from a command line or the configuration itself. It is fetched for each message,
so that a changed secret needs no restart, and lives no longer than that.
"""

from __future__ import annotations

import importlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HIDDEN: Final = "***"
_LONGEST: Final = 16_384
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")


class ChannelError(Exception):
    """Why a channel did not tell an alert; its text holds no secret.

    Attributes
    ----------
    doubtful : bool
        It may have arrived nevertheless.
    """

    def __init__(self, why: str, *, doubtful: bool = False) -> None:
        super().__init__(why)
        self.doubtful = doubtful


class SecretUrl:
    """A URL that shows itself only to who asks for it."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """The URL; for the library that sends, and nobody else."""
        return self._url

    def __repr__(self) -> str:
        return f"SecretUrl({HIDDEN})"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


def without_urls(text: str) -> str:
    """Text in which nothing is left that could be the URL of a channel."""
    return _URL.sub(HIDDEN, text)


@dataclass(frozen=True, slots=True)
class UrlSource:
    """Place of a URL.

    Attributes
    ----------
    kind : str
        ``env``, ``file`` or ``keyring``.
    place : str
        Name of the variable, path of the file, or ``SERVICE/USER``.
    """

    kind: str
    place: str

    def resolve(self, environment: Mapping[str, str] | None = None) -> SecretUrl:
        """Fetch the URL.

        Raises
        ------
        ChannelError
            If it is not there or not kept safe. Neither the URL nor the place is named: somebody
            may have written the URL itself where its place belongs.
        """
        if self.kind == "env":
            text = (os.environ if environment is None else environment).get(self.place, "")
            absent = "its environment variable is not set"
        elif self.kind == "file":
            text, absent = _from_file(Path(self.place)), "its file is empty"
        else:
            text, absent = _from_keyring(self.place), "the keyring has no such entry"
        text = text.strip()
        if not text:
            raise ChannelError(absent)
        if "://" not in text or len(text.split()) != 1:
            raise ChannelError("what is kept there is no URL")
        return SecretUrl(text)


def _from_file(path: Path) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ChannelError(f"its file cannot be opened: {os.strerror(error.errno or 0)}") from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            raise ChannelError("its file is no plain file of this user")
        if found.st_mode & 0o077:
            raise ChannelError("others can read its file: chmod 600")
        content = os.read(handle, _LONGEST)
    finally:
        os.close(handle)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ChannelError("its file holds no text") from None


def _from_keyring(place: str) -> str:
    service, _, user = place.partition("/")
    try:
        keyring: Any = importlib.import_module("keyring")
    except ImportError:
        raise ChannelError("no keyring is installed: pip install keyring") from None
    ask: Callable[[str, str], str | None] = keyring.get_password
    try:
        return ask(service, user) or ""
    except Exception as error:  # a backend raises what it likes
        raise ChannelError(f"the keyring does not answer: {type(error).__name__}") from None
