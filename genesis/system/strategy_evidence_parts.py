"""Parts of the evidence on a strategy: sections, where their numbers come from, what is not so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from genesis.domain.errors import GenesisError, InputError


@dataclass(frozen=True, slots=True)
class Source:
    """Where numbers come from, and how somebody else looks.

    Attributes
    ----------
    what : str
        In words.
    file : str
        In the workspace.
    hash : str
        Digest of it, or hash of the last event of a chain; empty where another source has it.
    events : tuple of int
        First and last number in a chain of events; empty for a file.
    check : str
        Command line.
    """

    what: str
    file: str
    hash: str = ""
    events: tuple[int, ...] = ()
    check: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not what was written, or not there any more.

    Attributes
    ----------
    part : str
        Section that it is about.
    what, why, fix : str
    """

    part: str
    what: str
    why: str = ""
    fix: str = ""

    @staticmethod
    def of(part: str, error: GenesisError) -> Problem:
        """What an error says."""
        return Problem(part, error.what, error.why, error.fix)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the evidence.

    Attributes
    ----------
    name, title : str
    facts : mapping
        As JSON; empty where there is nothing, or nothing that may be believed.
    sources : tuple of Source
    missing : str
        What is not there yet, and what makes it; empty if it is there.
    problems : tuple of Problem
    """

    name: str
    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    missing: str = ""
    problems: tuple[Problem, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "facts": dict(self.facts),
            "sources": [asdict(one) for one in self.sources],
            "missing": self.missing,
            "problems": [asdict(one) for one in self.problems],
        }


def guarded(name: str, title: str, build: Callable[[], Section]) -> Section:
    """A section, or what keeps it from being shown.

    Parameters
    ----------
    name, title : str
    build : callable
        What it raises is told: an `InputError` as something that is not here, any other error of
        the platform as a problem.
    """
    try:
        return build()
    except InputError as error:
        return Section(
            name, title, missing=f"{error.what}: {error.why}" if error.why else error.what
        )
    except GenesisError as error:
        return Section(name, title, problems=(Problem.of(name, error),))
