"""What a health check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes
    ----------
    name : str
    status : {"ok", "warn", "fail"}
        ``warn`` limits something, ``fail`` keeps studies or trading from running.
    detail : str
        What was found.
    fix : str
        What to do, empty when all is well.
    """

    name: str
    status: Status
    detail: str
    fix: str = ""

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)
