"""The error tree.

    GenesisError                 anything the platform reports on purpose
    ├── InputError        (2)    the request is wrong: change it and try again
    │   ├── ConfigError          a file, key or value of a configuration
    │   ├── DataError            market data that is missing, unreadable or impossible
    │   └── StrategyError        an expression, genome or family that cannot be built
    ├── RefusedError      (3)    a gate, limit or seal says no: the request is well formed
    ├── InfrastructureError (1)  a worker, cluster, disk or server failed: retry or resume
    │   ├── ExecutorError        units of work cannot be completed
    │   └── StorageError         a file could not be written or read back
    └── InterruptedRun    (130)  stopped by the user, state saved

A leaf tells the caller what to do next. Refused orders are values, not exceptions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class GenesisError(Exception):
    """Base of every error raised on purpose.

    Parameters
    ----------
    what : str
        What happened, one sentence.
    why : str, optional
        The cause, where it is known.
    fix : str, optional
        What the user can do about it, preferably a command line.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        parts = [self.what]
        if self.why:
            parts.append(f"why: {self.why}")
        if self.fix:
            parts.append(f"fix: {self.fix}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.why, self.fix))


def _rebuild(kind: type[GenesisError], what: str, why: str, fix: str) -> GenesisError:
    return kind(what, why=why, fix=fix)


class InputError(GenesisError):
    """The request itself is wrong."""

    exit_code = 2


class ConfigError(InputError):
    """A configuration file, key or value is wrong."""


class DataError(InputError):
    """Market data is missing, unreadable or impossible."""


class StrategyError(InputError):
    """An expression, genome or seed family cannot be built."""


class RefusedError(GenesisError):
    """A gate, a limit or a seal refuses a well-formed request."""

    exit_code = 3


class InfrastructureError(GenesisError):
    """Something outside the request failed; the same request may succeed later."""


class ExecutorError(InfrastructureError):
    """Units of work could not be completed on any worker."""


class StorageError(InfrastructureError):
    """A file could not be written or read back."""


class InterruptedRun(GenesisError):
    """The user stopped a run; its state is saved."""

    exit_code = 130


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return ``" - did you mean 'x'?"`` for the closest allowed word, or an empty string."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" - did you mean '{close[0]}'?" if close else ""


def refuse_unknown_keys(section: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Check the keys of a configuration section.

    Raises
    ------
    ConfigError
        Naming the first key that is not known, and those that are.
    """
    for name in given:
        if name not in known:
            raise ConfigError(
                f"unknown key {section}.{name}{did_you_mean(name, known)}",
                fix=f"use {', '.join(known)}",
            )
