"""The strategy store: survivors of studies as JSON files that need no family code to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from genesis.domain.canonical import content_hash
from genesis.domain.errors import (
    GenesisError,
    InputError,
    RefusedError,
    StorageError,
    StrategyError,
)
from genesis.evolution.files import read_json, write_json
from genesis.strategy.strategy import Strategy
from genesis.strategy.text import dump_strategy, load_strategy

SCHEMA = 1
MOST_SURVIVORS = 50
_PREFIX = "strat_"


@dataclass(frozen=True, slots=True)
class StoredStrategy:
    """A strategy and the evidence of its search.

    Attributes
    ----------
    strategy : Strategy
    run_id : str or None
        The study that found it first.
    also_found_by : tuple of str
        Later studies that came to the same strategy, in order.
    study_hash, dataset_hash, config_hash, code_hash : str
    genome : str
        Key of its genome in the study's ledger.
    parents : tuple of str
        Keys of its parents' genomes.
    lineage : tuple of mapping
        Ancestors, nearest first: genome key, family, origin, generation.
    cell : str
        Its cell of the archive.
    objectives : mapping
        Objective name to value, on the searched bars.
    measures : mapping
        Numbers of the full backtest on the searched bars.
    feasible : bool
        Whether it met every constraint of its study; one that did not is kept to be looked at.
    trials : int
        Trials that the search made; any later statistic must count them.
    ledger_head : str
        Hash of the trial ledger when the strategy was stored.
    """

    strategy: Strategy
    run_id: str | None = None
    study_hash: str = ""
    dataset_hash: str = ""
    config_hash: str = ""
    code_hash: str = ""
    dataset: str = ""
    genome: str = ""
    parents: tuple[str, ...] = ()
    lineage: tuple[Mapping[str, Any], ...] = ()
    cell: str = ""
    objectives: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, Any] = field(default_factory=dict)
    feasible: bool = True
    trials: int = 0
    ledger_head: str = ""
    also_found_by: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """``strat_`` and 12 hex digits of the strategy's content hash."""
        return self.strategy.id

    def to_plain(self) -> dict[str, Any]:
        """JSON form with a digest over all of it."""
        plain: dict[str, Any] = {
            "schema": SCHEMA,
            "id": self.id,
            "strategy": dump_strategy(self.strategy),
            "lineage": [dict(row) for row in self.lineage],
            "parents": list(self.parents),
            "also_found_by": list(self.also_found_by),
            "objectives": dict(self.objectives),
            "measures": dict(self.measures),
        }
        for name in _PLAIN:
            plain[name] = getattr(self, name)
        return {**plain, "digest": content_hash(plain)}

    @staticmethod
    def from_plain(plain: Any) -> StoredStrategy:
        """Record from `to_plain`.

        ``origins``, which an exported file has beside the record, has a digest of its own and is
        left out here.

        Raises
        ------
        StrategyError
            If it is no record of a known schema.
        RefusedError
            If it was changed after it was written.
        """
        if not isinstance(plain, Mapping) or plain.get("schema") != SCHEMA:
            raise StrategyError(
                "this is no stored strategy of a known schema",
                fix=f"this version reads schema {SCHEMA}, as `genesis strategies export` writes it",
            )
        body = {k: v for k, v in plain.items() if k not in ("digest", "origins")}
        if content_hash(body) != plain.get("digest"):
            raise RefusedError(
                f"the stored strategy {plain.get('id')} was changed after it was written",
                why="its content does not fit its digest",
                fix="export it again from the workspace that bred it",
            )
        try:
            record = StoredStrategy(
                strategy=load_strategy(body["strategy"]),
                parents=tuple(body["parents"]),
                # Records that were written before a second finder was noted have none.
                also_found_by=tuple(body.get("also_found_by", ())),
                lineage=tuple(body["lineage"]),
                objectives=body["objectives"],
                measures=body["measures"],
                **{name: body[name] for name in _PLAIN},
            )
        except KeyError as error:
            raise StrategyError(
                f"the stored strategy lacks the key {error}",
                fix="export it again from the workspace that bred it",
            ) from None
        if record.id != body.get("id"):
            raise RefusedError(
                f"the stored strategy {body.get('id')} is not what its id says",
                why=f"its rules and policy have the id {record.id}",
                fix="export it again from the workspace that bred it",
            )
        return record

    @property
    def finders(self) -> tuple[str, ...]:
        """Every run that found it, the first one first; none for a record without a run."""
        return ((self.run_id,) if self.run_id is not None else ()) + self.also_found_by

    def seen_again(self, later: StoredStrategy) -> StoredStrategy:
        """Return the record as it is after a later find of the same strategy.

        Run, hashes, lineage and measures stay those of the first find. The count of trials never
        falls: whoever found it with less effort did so later.
        """
        known = self.finders
        others = dict.fromkeys(name for name in later.finders if name not in known)
        return replace(
            self,
            trials=max(self.trials, later.trials),
            also_found_by=(*self.also_found_by, *others),
        )

    def details(self) -> list[tuple[str, dict[str, Any]]]:
        """Titled blocks of key and value, for people."""
        origin = {
            "run": self.run_id,
            "also found by": ", ".join(self.also_found_by) or "none",
            "dataset": self.dataset,
            "cell": self.cell,
            "constraints": "met" if self.feasible else "not met",
            "parents": ", ".join(p[:12] for p in self.parents) or "none",
            "ancestors": len(self.lineage),
            "trials of the search": self.trials,
        }
        hashes = {
            "genome": self.genome,
            "study": self.study_hash,
            "data": self.dataset_hash,
            "config": self.config_hash,
            "code": self.code_hash,
            "ledger": self.ledger_head,
        }
        measures = {k: v for k, v in self.measures.items() if not isinstance(v, (dict, list))}
        return [
            ("objectives (searched bars)", dict(self.objectives)),
            ("measures (searched bars, after costs)", measures),
            ("origin", origin),
            ("hashes", {k: str(v)[:16] for k, v in hashes.items()}),
        ]


_PLAIN = (
    "run_id",
    "study_hash",
    "dataset_hash",
    "config_hash",
    "code_hash",
    "dataset",
    "genome",
    "cell",
    "feasible",
    "trials",
    "ledger_head",
)


class StrategyStore:
    """Strategies of a workspace, one JSON file each, named by id.

    Parameters
    ----------
    root : Path
        Folder of the store; made on the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, record: StoredStrategy) -> Path:
        """Store a strategy; of one that is stored already the first finder's record stays.

        See `StoredStrategy.seen_again` for what a later find adds.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {self.root}", why=str(error)) from None
        path = self.root / f"{record.id}.json"
        if path.exists():
            record = self._read(path).seen_again(record)
        write_json(path, record.to_plain())
        return path

    def ids(self) -> tuple[str, ...]:
        """Ids in order."""
        return tuple(sorted(p.stem for p in self.root.glob(f"{_PREFIX}*.json")))

    def list(self) -> tuple[StoredStrategy, ...]:
        """All records in order of their ids."""
        return tuple(self._read(self.root / f"{name}.json") for name in self.ids())

    def get(self, prefix: str) -> StoredStrategy:
        """Record of an id or of any unique start of one, with or without ``strat_``.

        Raises
        ------
        InputError
            If none or several have it.
        RefusedError
            If the file was changed or damaged after it was written.
        """
        wanted = prefix if prefix.startswith(_PREFIX) else _PREFIX + prefix
        found = [name for name in self.ids() if name.startswith(wanted)]
        if not found:
            raise InputError(
                f"there is no strategy '{prefix}' in {self.root}",
                fix="`genesis strategies list` shows what exists",
            )
        if len(found) > 1:
            shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
            raise InputError(
                f"'{prefix}' is the start of {len(found)} strategies", fix=f"write one: {shown}"
            )
        return self._read(self.root / f"{found[0]}.json")

    def _read(self, path: Path) -> StoredStrategy:
        plain: Any = None
        try:
            plain = read_json(path)
            record = StoredStrategy.from_plain(plain)
        except (GenesisError, AttributeError, TypeError, ValueError) as error:
            what = error.what if isinstance(error, GenesisError) else str(error)
            why = error.why if isinstance(error, GenesisError) else ""
            raise RefusedError(
                f"the stored strategy {path.name} was changed or damaged after it was written",
                why=f"{what}: {why}" if why else what,
                fix=_again(path, plain),
            ) from None
        if record.id != path.stem:
            raise RefusedError(
                f"the stored strategy {path.name} is {record.id} under another's name",
                why="a strategy's file has the name of its id",
                fix=_again(path, plain),
            )
        return record


def _again(path: Path, plain: Any) -> str:
    """How a strategy's file is made again: a finished run stores its survivors once more."""
    run = plain.get("run_id") if isinstance(plain, dict) else None
    return (
        f"restore {path} from a copy; without one, delete it and store the survivors of its run"
        f" again: genesis evolve --resume {run or 'RUN'} (an imported one: import it again)"
    )
