"""Checkpoints: the search's state after a whole generation, replaced atomically.

Genomes and scores are rows of the trial ledger; a checkpoint holds keys into it and the hash of
its chain, so that it stays small however long the search runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from genesis.domain.canonical import content_hash
from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.files import read_json, write_json

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State after generation ``generation``.

    Attributes
    ----------
    config_hash, dataset_hash, code_hash : str
        What the state belongs to.
    generation : int
        Last whole generation, from 0.
    populations : dict
        Island name to the keys of its members, best first.
    archive : dict
        Cell to keys.
    ledger_size : int
    ledger_head : str
    counters : dict
        Evaluations and budgets used, by name.
    elapsed_s : float
        Seconds worked so far, over all sittings. Not part of any hash.
    """

    config_hash: str
    dataset_hash: str
    code_hash: str
    generation: int
    populations: dict[str, list[str]]
    archive: dict[str, list[str]]
    ledger_size: int
    ledger_head: str
    counters: dict[str, int]
    elapsed_s: float


def save_checkpoint(path: Path, state: Checkpoint) -> None:
    """Write a checkpoint; the previous one stays if this fails.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    plain = asdict(state)
    write_json(path, {"schema": SCHEMA, "digest": content_hash(plain), **plain})


def load_checkpoint(
    path: Path, *, config_hash: str, dataset_hash: str, code_hash: str
) -> Checkpoint:
    """Read a checkpoint back for the same configuration, data and code.

    Raises
    ------
    StorageError
        If the file is missing, damaged or of another schema.
    RefusedError
        If it belongs to another configuration, dataset or version of the code.
    """
    plain: dict[str, Any] = read_json(path)
    schema, digest = plain.pop("schema", None), plain.pop("digest", None)
    names = {f.name for f in fields(Checkpoint)}
    if schema != SCHEMA or set(plain) != names or content_hash(plain) != digest:
        raise StorageError(
            f"the checkpoint {path} is damaged or of another version",
            fix="start a new run",
        )
    refuse_change(
        {"config_hash": config_hash, "dataset_hash": dataset_hash, "code_hash": code_hash}, plain
    )
    return Checkpoint(**plain)


_BOUND = {"config_hash": "configuration", "dataset_hash": "dataset", "code_hash": "code"}


def refuse_change(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Refuse to go on with other hashes of configuration, data or code than a run began with.

    Raises
    ------
    RefusedError
        Naming what changed.
    """
    for name, what in _BOUND.items():
        if now[name] != then[name]:
            raise RefusedError(
                f"cannot resume: the {what} is not the one the run began with",
                why=f"hash {now[name][:12]} now, {then[name][:12]} then",
                fix=f"restore the {what}, or start a new run",
            )
