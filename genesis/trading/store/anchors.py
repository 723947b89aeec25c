"""Signed anchors: what each archived segment is, and where it hangs in the hash chain.

``archive/anchors.jsonl`` has one line a segment. Its HMAC-SHA256 is made with the key of the
workspace, ``anchor.key`` beside the folders of the runs, which only its owner can read. So nobody
without that key can change, replace or reorder archived events, on a backup or a shared disk say,
and have `verify` accept them. Against whoever can read the key it protects nothing: keep a copy of
the key and of `genesis events verify` elsewhere if that is a worry.
"""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from genesis.domain.errors import StorageError
from genesis.market.atomic_file import storage_error, sync_folder, write_atomic

FOLDER: Final = "archive"
FILE: Final = "anchors.jsonl"
KEY_FILE: Final = "anchor.key"


class Anchor(msgspec.Struct, frozen=True):
    """One archived segment.

    Attributes
    ----------
    first, last : int
        Numbers of its first and last event.
    ts_min, ts_max : int
        Earliest and latest ``ts_ms`` in it.
    hash_before, hash_after : str
        Chain before its first and at its last event, hex.
    sha256 : str
        Of the file, hex.
    signature : str
        HMAC-SHA256 of the line without it, hex.
    """

    first: int
    last: int
    ts_min: int
    ts_max: int
    hash_before: str
    hash_after: str
    sha256: str
    signature: str = ""

    @property
    def name(self) -> str:
        """Name of the segment's file."""
        return segment_name(self.first, self.last)


_json = msgspec.json.Encoder().encode
_anchor = msgspec.json.Decoder(Anchor).decode


def segment_name(first: int, last: int) -> str:
    """Name of a segment's file; sorts by number."""
    return f"segment-{first:012d}-{last:012d}.parquet"


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, as a whole or not at all.

    Raises
    ------
    StorageError
    """

    def write(file: BinaryIO) -> None:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)

    write_atomic(path, write)


def file_hash(content: bytes) -> str:
    """SHA-256 of a file's content, hex."""
    return sha256(content).hexdigest()


def sign(anchor: Anchor, key: bytes) -> Anchor:
    """Anchor with its signature."""
    return msgspec.structs.replace(anchor, signature=_signature(anchor, key))


def is_signed(anchor: Anchor, key: bytes) -> bool:
    """Whether the holder of this key signed the anchor."""
    return hmac.compare_digest(anchor.signature, _signature(anchor, key))


def _signature(anchor: Anchor, key: bytes) -> str:
    content = _json(msgspec.structs.replace(anchor, signature=""))
    return hmac.digest(key, content, "sha256").hex()


def read_key(folder: Path) -> bytes | None:
    """Key of the workspace that holds this run, None if there is none.

    Raises
    ------
    StorageError
        If it is there and cannot be read.
    """
    path = folder.parent / KEY_FILE
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(
            f"the key {path} cannot be read",
            why=str(error),
            fix="restore it from a backup; without it archived segments cannot be judged",
        ) from error


def require_key(folder: Path) -> bytes:
    """Key of the workspace, made on first use.

    Raises
    ------
    StorageError
        If it is missing although segments were signed with it, or cannot be written.
    """
    key = read_key(folder)
    if key is not None:
        return key
    path = folder.parent / KEY_FILE
    signed = [run for run in folder.parent.glob(f"*/{FOLDER}/{FILE}") if run.stat().st_size]
    if signed:
        raise StorageError(
            f"the key {path} is missing, with which {signed[0]} was signed",
            fix="restore it from a backup; with a new key the old segments could not be judged",
        )
    key = secrets.token_bytes(32)
    write_private(path, key.hex().encode() + b"\n")
    return key


def read_anchors(folder: Path) -> tuple[list[Anchor], int]:
    """Anchors of a run, and the bytes of the file that whole lines fill.

    A last line without an end is the trace of a crash and is no anchor yet.

    Raises
    ------
    StorageError
        If a whole line is no anchor.
    """
    path = folder / FOLDER / FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise storage_error(f"cannot read {path}", error) from error
    whole = content.rfind(b"\n") + 1
    anchors = []
    for number, line in enumerate(content[:whole].splitlines(), 1):
        try:
            anchors.append(_anchor(line))
        except msgspec.DecodeError as error:
            raise StorageError(
                f"line {number} of {path} is damaged",
                why=str(error),
                fix="restore the file from a backup",
            ) from error
    return anchors, whole


def append_anchor(folder: Path, anchor: Anchor) -> None:
    """Add an anchor and force it to disk.

    Raises
    ------
    StorageError
        If it cannot be written; what was there before stays.
    """
    path = folder / FOLDER / FILE
    _, whole = read_anchors(folder)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, whole)
            os.pwrite(handle, _json(anchor) + b"\n", whole)
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(f"cannot write {path}", error) from error
