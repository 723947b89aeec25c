"""The registry of seed families: the built-in ones and those of a user's own files."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from genesis.domain.canonical import content_hash
from genesis.domain.errors import StrategyError, did_you_mean
from genesis.strategy.genome import Genome
from genesis.strategy.genome import express as express_genome
from genesis.strategy.seed import Seed, SeedKind
from genesis.strategy.strategy import Strategy

_MODULE_PREFIX = "genesis_user_seeds_"


class SeedRegistry:
    """Families by name.

    Parameters
    ----------
    paths : iterable of Path, optional
        Files or folders of user families to load besides the built-in ones.
    builtin : bool
        Whether to start with the 14 built-in families.

    Attributes
    ----------
    sources : dict
        File name to SHA-256 (hex) of each loaded user file; part of a study's hash.

    Raises
    ------
    StrategyError
        As `load`.
    """

    def __init__(self, paths: Iterable[Path | str] = (), *, builtin: bool = True) -> None:
        self._families: dict[str, type[Seed]] = {}
        self._origin: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        if builtin:
            from genesis.strategy.families import BUILTIN

            for family in BUILTIN:
                self.add(family)
        for path in paths:
            self.load(path)

    def __len__(self) -> int:
        return len(self._families)

    def __contains__(self, name: object) -> bool:
        return name in self._families

    def __iter__(self) -> Iterator[type[Seed]]:
        return iter(self._families.values())

    def add(self, family: type[Seed], origin: str = "built in") -> None:
        """Add one family.

        Raises
        ------
        StrategyError
            If it lacks the decorator, or its name is taken.
        """
        name = family.family
        if not name:
            raise StrategyError(
                f"{family.__name__} is no seed family yet", fix="decorate it with @seed(kind=...)"
            )
        if name in self._families:
            raise StrategyError(
                f"the family name '{name}' is taken",
                why=f"it is defined in {self._origin[name]} and in {origin}",
                fix=f"rename one of them: @seed(kind=..., name='my_{name}')",
            )
        self._families[name] = family
        self._origin[name] = origin

    def names(self, kind: SeedKind | None = None, *, ml: bool | None = None) -> tuple[str, ...]:
        """Family names in order of registration, of one kind or of ML families only if asked."""
        return tuple(
            name
            for name, family in self._families.items()
            if (kind is None or family.kind == kind) and (ml is None or family.ml == ml)
        )

    def get(self, name: str) -> type[Seed]:
        """Family of a name.

        Raises
        ------
        StrategyError
            If there is none.
        """
        if name not in self._families:
            raise StrategyError(
                f"unknown seed family '{name}'{did_you_mean(name, self._families)}",
                fix=f"use one of {', '.join(self._families)}",
            )
        return self._families[name]

    def origin(self, name: str) -> str:
        """Where a family comes from: ``built in`` or the name of a user file."""
        self.get(name)
        return self._origin[name]

    def express(self, genome: Genome) -> Strategy:
        """Build the strategy of a genome (see `genesis.strategy.genome.express`)."""
        return express_genome(genome, self.get(genome.family))

    def load(self, path: Path | str) -> tuple[str, ...]:
        """Add the families of a user's Python file, or of every ``*.py`` file of a folder.

        Either every family of the path is added or none.

        Returns
        -------
        tuple of str
            Names of the added families.

        Raises
        ------
        StrategyError
            If the path does not exist, a file fails (told with file and line), holds no family,
            or defines a name that is taken.
        """
        place = Path(path)
        files = _seed_files(place)
        families = dict(self._families), dict(self._origin), dict(self.sources)
        added: list[str] = []
        try:
            for file in files:
                for family in _families_of(file):
                    self.add(family, origin=str(file))
                    added.append(family.family)
                self.sources[_source_name(place, file)] = hashlib.sha256(
                    file.read_bytes()
                ).hexdigest()
        except StrategyError:
            self._families, self._origin, self.sources = families
            raise
        return tuple(added)

    def source_hash(self) -> str:
        """SHA-256 (hex) over the user files that were loaded, whatever folder they lie in."""
        return content_hash(sorted(self.sources.values()))


def _source_name(place: Path, file: Path) -> str:
    return file.name if place == file else f"{place.name}/{file.name}"


def _seed_files(place: Path) -> list[Path]:
    if place.is_dir():
        files = sorted(f for f in place.glob("*.py") if not f.name.startswith("_"))
        if not files:
            raise StrategyError(f"the seeds folder {place} holds no Python file")
        return files
    if not place.is_file():
        raise StrategyError(
            f"the seeds path {place} does not exist", fix="correct `seeds.paths` in the config"
        )
    return [place]


def _families_of(file: Path) -> list[type[Seed]]:
    """Import a file under a name of its own and return the families it defines, in order."""
    module = _import(file)
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Seed)
        and value.__module__ == module.__name__
        and "family" in vars(value)
    ]
    if not found:
        raise StrategyError(
            f"{file} defines no seed family",
            fix="decorate a subclass of Seed with @seed(kind=SeedKind...)",
        )
    for family in found:
        _try_rules(family, file)
    return found


def _import(file: Path) -> ModuleType:
    # The module's name carries its content, so that two files of one name do not collide and an
    # edited file is read anew; sys.modules is needed for the file's own dataclasses and typing.
    try:
        source = file.read_bytes()
    except OSError as error:
        raise StrategyError(f"cannot read the seeds file {file}", why=str(error)) from error
    name = _MODULE_PREFIX + hashlib.sha256(str(file).encode() + source).hexdigest()[:16]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None:
        raise StrategyError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        exec(compile(source, str(file), "exec"), module.__dict__)  # noqa: S102 the user's own code
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        told = error if isinstance(error, StrategyError) else None
        raise StrategyError(
            f"{file}, line {_line_in(error, file)}: {_short(error)}",
            why=told.why if told else "",
            fix=(told.fix if told else "") or "correct the seeds file and run again",
        ) from error
    return module


def _try_rules(family: type[Seed], file: Path) -> None:
    """Write the rules once with default genes, so that a broken family is told at load time."""
    from genesis.strategy.genome import default_genome

    try:
        express_genome(default_genome(family), family)
    except StrategyError as error:
        cause = error.__cause__ or error
        raise StrategyError(
            f"{file}, line {_line_in(cause, file)}: {error.what}", why=error.why, fix=error.fix
        ) from error


def _line_in(error: BaseException, file: Path) -> int | str:
    """Line of the user's file that an error comes from."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return error.lineno
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file)
    ]
    return lines[-1] if lines and lines[-1] is not None else "?"


def _short(error: BaseException) -> str:
    if isinstance(error, StrategyError):
        return error.what
    if isinstance(error, SyntaxError):
        return f"syntax error: {error.msg}"
    return f"{type(error).__name__}: {error}"
