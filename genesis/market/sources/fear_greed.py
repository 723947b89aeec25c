"""Fear and greed, live: the newest value of the daily index over HTTP.

The index moves once a day, so a value is asked for every ten minutes at most, whether the last try
succeeded or not. What cannot be read, lies outside 0 to 100, is stamped in the future or is older
than three days is neutral and says why. Nothing here raises for what the server does: sentiment is
never a reason to stop, and never one to risk more.
"""

from __future__ import annotations

import http.client
import json
import math
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.domain.clock import Clock
from genesis.domain.errors import ConfigError, StorageError
from genesis.domain.timeline import HOUR_MS, MINUTE_MS
from genesis.market.atomic_file import write_atomic
from genesis.market.sentiment import STALE_MS, valid_index

ADDRESS = "https://api.alternative.me/fng/?limit=1"
ASK_EVERY_MS = 10 * MINUTE_MS
_LARGEST_ANSWER = 65_536


@dataclass(frozen=True, slots=True)
class FearGreed:
    """A reading of the index.

    Attributes
    ----------
    index : float
        0 to 100, NaN where it is neutral.
    ts_ms : int
        Stamp of the value, 00:00 UTC of its day; -1 if there never was one.
    age_ms : int
        Its age, -1 if there never was one.
    note : str
        Why it is neutral, empty if it counts.
    """

    index: float
    ts_ms: int
    age_ms: int
    note: str = ""

    @property
    def neutral(self) -> bool:
        """Whether the reading says nothing."""
        return bool(self.note)


class FearGreedClient:
    """Reads the index and remembers the last good value.

    Parameters
    ----------
    clock : Clock
    address : str
        http or https.
    cache : Path, optional
        File that keeps the last good value over a restart.
    timeout_s : float

    Raises
    ------
    ConfigError
        If the address is no web address.
    """

    def __init__(
        self,
        clock: Clock,
        address: str = ADDRESS,
        cache: Path | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        if not address.startswith(("https://", "http://")):
            raise ConfigError(f"'{address}' is no web address", fix=f"write for example {ADDRESS}")
        self._clock = clock
        self._address = address
        self._cache = cache
        self._timeout = timeout_s
        self._asked_ms: int | None = None
        self._problem = ""
        self._value: tuple[int, float] | None = self._cached()

    def probe(self) -> str:
        """Ask at start; what is wrong with the source, empty if it answers with a fresh value."""
        self._ask()
        return self._problem or self.latest().note

    def latest(self) -> FearGreed:
        """Newest value, asked for if the last try is ten minutes old."""
        now = self._clock.now_ms()
        if self._asked_ms is None or not 0 <= now - self._asked_ms < ASK_EVERY_MS:
            self._ask()
        if self._value is None:
            return FearGreed(math.nan, -1, -1, self._problem or "no value was read yet")
        ts_ms, index = self._value
        age = now - ts_ms
        if age > STALE_MS:
            stale = f"the last value is {age // HOUR_MS} h old"
            note = f"{stale}: {self._problem}" if self._problem else stale
            return FearGreed(math.nan, ts_ms, age, note)
        if age < 0:
            return FearGreed(math.nan, ts_ms, age, "the last value is stamped in the future")
        return FearGreed(index, ts_ms, age)

    def _ask(self) -> None:
        self._asked_ms = self._clock.now_ms()
        request = urllib.request.Request(  # noqa: S310  the scheme is checked at construction
            self._address, headers={"Accept": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                value = _newest(json.loads(answer.read(_LARGEST_ANSWER)))
            self._problem = self._take(*value)
        except (OSError, http.client.HTTPException) as error:
            self._problem = f"the index does not answer ({_first_line(error)})"
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            self._problem = f"the index answers nonsense ({_first_line(error)})"

    def _take(self, ts_ms: int, index: float) -> str:
        if not valid_index(index):
            return f"the index answers {index}, which is not within 0 to 100"
        if ts_ms > self._clock.now_ms():
            return "the index answers a value stamped in the future"
        if self._value is not None and ts_ms < self._value[0]:
            return "the index answers an older value than before"
        self._value = (ts_ms, index)
        if self._cache is not None:
            text = json.dumps({"ts_ms": ts_ms, "index": index})
            try:
                write_atomic(self._cache, lambda file: file.write(text.encode()))
            except StorageError as error:
                return f"the value cannot be kept ({error.why})"
        return ""

    def _cached(self) -> tuple[int, float] | None:
        if self._cache is None:
            return None
        try:
            kept: Any = json.loads(self._cache.read_bytes())
            ts_ms, index = int(kept["ts_ms"]), float(kept["index"])
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            return None
        return (ts_ms, index) if valid_index(index) else None


def _newest(answer: Any) -> tuple[int, float]:
    """Stamp and value of the first row: both are strings, the stamp in seconds."""
    row = answer["data"][0]
    if isinstance(row["value"], bool):
        raise ValueError("the value is no number")
    return int(row["timestamp"]) * 1000, float(row["value"])


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
