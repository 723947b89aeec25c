"""The agent's key: where it comes from, and an object that does not give it away.

It is read from a file descriptor, an encrypted file or the system's keyring; never from the
command line or a plain file. An agent (API wallet) can trade and cannot withdraw.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from eth_account import Account
from eth_account.signers.local import LocalAccount

from genesis.domain.errors import ConfigError, RefusedError

_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_LONGEST = 4096


class AgentKey:
    """A private key that is neither printed nor copied.

    Parameters
    ----------
    text : str
        64 hexadecimal digits, ``0x`` or not.

    Raises
    ------
    ConfigError
        If it is no key; the text is not repeated.
    """

    __slots__ = ("_wallet", "address")

    def __init__(self, text: str) -> None:
        found = _KEY.fullmatch(text.strip())
        if found is None:
            raise ConfigError("this is no private key", why="it is not 64 hexadecimal digits")
        try:
            self._wallet: LocalAccount = Account.from_key("0x" + found[1])
        except Exception:
            # Whatever the library says may contain the key.
            raise ConfigError("this is no private key", why="no point of the curve") from None
        self.address = str(self._wallet.address).lower()

    def wallet(self) -> LocalAccount:
        """What signs, for the SDK."""
        return self._wallet

    def __repr__(self) -> str:
        return f"AgentKey({self.address}, ***)"

    __str__ = __repr__

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a key is not pickled")

    def __copy__(self) -> NoReturn:
        raise TypeError("a key is not copied")

    def __deepcopy__(self, _: object) -> NoReturn:
        raise TypeError("a key is not copied")


class KeyKind(StrEnum):
    """Where a key is read from."""

    DESCRIPTOR = "fd"
    FILE = "file"
    KEYRING = "keyring"


class KeySource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names a key without holding it.

    Attributes
    ----------
    kind : KeyKind
    place : str
        Number of the descriptor, path of the file, or ``SERVICE/USER`` of the keyring.
    passphrase_fd : int
        Descriptor with the passphrase of the file, -1 for none.
    """

    kind: KeyKind
    place: str
    passphrase_fd: int = -1


def load_key(source: KeySource) -> AgentKey:
    """Read a key.

    Raises
    ------
    ConfigError
        If there is none, or it cannot be read.
    RefusedError
        If others can read the file.
    """
    if source.kind is KeyKind.DESCRIPTOR:
        return AgentKey(read_descriptor(_number(source.place)))
    if source.kind is KeyKind.KEYRING:
        return _from_keyring(source.place)
    if source.passphrase_fd < 0:
        raise ConfigError(
            "the key file needs its passphrase", fix="give the number of a descriptor that has it"
        )
    return read_key_file(Path(source.place), read_descriptor(source.passphrase_fd))


def read_key_file(path: Path, passphrase: str) -> AgentKey:
    """Read an encrypted key file (scrypt, the keystore format of Ethereum, version 3).

    Raises
    ------
    ConfigError
        If it cannot be read or the passphrase is wrong.
    RefusedError
        If others can read the file.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    if mode & 0o077:
        raise RefusedError(f"others can read the key file {path}", fix=f"chmod 600 {path}")
    try:
        sealed = json.loads(text)
        whole = "crypto" in sealed
    except (ValueError, TypeError):
        whole = False
    if not whole:
        raise ConfigError(
            f"the key file {path} cannot be opened",
            why="it is no encrypted key",
            fix=f"name a file that genesis keys create has written, not {path.name}",
        )
    try:
        secret = Account.decrypt(sealed, passphrase.strip())
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"the key file {path} cannot be opened",
            why="the passphrase is wrong, or the file is damaged",
            fix="try again; a key whose passphrase is lost is replaced by another one: genesis keys"
            " create FILE, and approve its address as an agent",
        ) from None
    return AgentKey(bytes(secret).hex())


def unreadable(path: Path, error: Exception) -> ConfigError:
    """Error for a key file that cannot be read."""
    why = "it holds no text"
    if isinstance(error, OSError):
        why = os.strerror(error.errno or 0).lower()
    return ConfigError(
        f"the key file {path} cannot be read",
        why=why,
        fix="name the file that genesis keys create has written",
    )


def require_key_file(path: Path) -> None:
    """Refuse a key file that is not there, before anybody is asked for its passphrase.

    Raises
    ------
    ConfigError
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise unreadable(path, error) from None


def require_new_key_file(path: Path) -> None:
    """Refuse a place where no key file can be made, before anybody thinks of a passphrase.

    Raises
    ------
    ConfigError
    """
    if os.path.lexists(path):
        raise _unwritable(path, FileExistsError())
    if not path.parent.is_dir():
        raise _unwritable(path, FileNotFoundError())


def _unwritable(path: Path, error: OSError) -> ConfigError:
    if isinstance(error, FileExistsError):
        why = "it is there already, and a key is never overwritten"
        fix = "write another name; genesis keys show FILE tells its address"
    elif isinstance(error, FileNotFoundError):
        why = f"there is no folder {path.parent}"
        fix = f"mkdir -p {shlex.quote(str(path.parent))}"
    else:
        why = os.strerror(error.errno or 0).lower()
        fix = "name a file in a folder that you may write"
    return ConfigError(f"{path} cannot be written", why=why, fix=fix)


def write_key_file(path: Path, key: str, passphrase: str) -> str:
    """Write a key into a new encrypted file that only its owner can read.

    Returns
    -------
    str
        Address of the key.

    Raises
    ------
    ConfigError
        If it is no key, the passphrase is short, or the file exists.
    """
    agent = AgentKey(key)
    if len(passphrase) < 8:
        raise ConfigError("the passphrase is too short", fix="use at least 8 characters")
    sealed = Account.encrypt(agent.wallet().key, passphrase, kdf="scrypt")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(sealed, file)
        file.flush()
        os.fsync(file.fileno())
    return agent.address


def _number(place: str) -> int:
    if not place.isdigit():
        raise ConfigError("the key's descriptor is no number", fix="for example 3, with 3< FILE")
    return int(place)


def read_descriptor(number: int) -> str:
    """Read a secret from a descriptor and close it, so that no child inherits it."""
    try:
        with os.fdopen(number, "rb") as pipe:
            data = pipe.read(_LONGEST)
    except OSError as error:
        raise ConfigError(f"descriptor {number} cannot be read", why=str(error)) from None
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        raise ConfigError(f"descriptor {number} holds no text") from None


def _from_keyring(place: str) -> AgentKey:
    service, _, user = place.partition("/")
    try:
        keyring: Any = importlib.import_module("keyring")
    except ImportError:
        raise ConfigError(
            "no keyring is installed",
            fix="pip install keyring; without a desktop use an encrypted file or a descriptor",
        ) from None
    try:
        found = keyring.get_password(service, user)
    except Exception as error:  # a backend raises what it likes
        raise ConfigError(
            "the keyring does not answer",
            why=type(error).__name__,
            fix="use an encrypted file or a descriptor",
        ) from None
    if not found:
        raise ConfigError(f"the keyring has no entry {place}", fix=f"keyring set {service} {user}")
    return AgentKey(found)
