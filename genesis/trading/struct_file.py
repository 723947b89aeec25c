"""Small files of a run that hold one struct."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from genesis.domain.errors import StorageError

S = TypeVar("S")


def read_struct(path: Path, kind: type[S], *, fix: str) -> S | None:
    """Read the struct that a JSON file holds, None if there is no such file.

    Raises
    ------
    StorageError
        If it cannot be read; ``fix`` says what to do then.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StorageError(f"{path} cannot be read", why=str(error), fix=fix) from None
