"""The result of a campaign: one JSON file that says itself whether it was changed.

This module is what trading loads: it needs nothing that research needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.domain.canonical import content_hash
from genesis.domain.errors import InputError, RefusedError, StorageError, did_you_mean
from genesis.market.atomic_file import write_atomic
from genesis.risk.genome import RiskGenome

SCHEMA = 1
FOLDER = "risk"
ACCEPTED, LOST, UNDECIDED = "accepted", "lost", "undecided"


@dataclass(frozen=True, slots=True)
class RiskResult:
    """What a campaign came to.

    Attributes
    ----------
    id : str
    genome : RiskGenome
        The winner; the defaults where nothing was worth moving.
    verdict : str
        ``accepted``; ``lost`` (it does not beat the baselines); ``undecided`` (the books lose
        money under it and under a baseline, so that nothing can be told).
    unfit : tuple of str
        Why nobody may trade with it, whatever the verdict; empty for a full campaign.
    facts : mapping
        Everything else: hashes, seed, versions, tables. Plain JSON.
    """

    id: str
    genome: RiskGenome
    verdict: str
    unfit: tuple[str, ...]
    facts: Mapping[str, Any]

    @property
    def usable(self) -> bool:
        """Whether an account may trade under the genome."""
        return self.verdict == ACCEPTED and not self.unfit

    @property
    def text(self) -> str:
        """The verdict in a sentence."""
        if self.verdict == ACCEPTED:
            word = "accepted" if not self.unfit else "would be accepted, but it is unfit for use"
            return f"{word}: it beats both baselines on unseen paths of unseen strategies"
        if self.verdict == UNDECIDED:
            return "undecided: the books lose money whatever the manager does; the defaults stay"
        if self.genome == RiskGenome():
            return "inert: no gene was worth moving; the defaults stay"
        return "lost: it does not beat both baselines; the defaults stay"

    def to_plain(self) -> dict[str, Any]:
        """JSON form with a hash over all of it."""
        body = {
            "schema": SCHEMA,
            "id": self.id,
            "genome": self.genome.plain(),
            "genome_hash": self.genome.content_hash,
            "verdict": self.verdict,
            "text": self.text,
            "unfit": list(self.unfit),
            "usable": self.usable,
            "facts": dict(self.facts),
        }
        return {**body, "hash": content_hash(body)}

    @staticmethod
    def from_plain(plain: Any) -> RiskResult:
        """Result from `to_plain`.

        Raises
        ------
        RefusedError
            If it is of another schema, or was changed after it was written.
        """
        if not isinstance(plain, Mapping) or plain.get("schema") != SCHEMA:
            raise RefusedError("this is no risk result of a known schema")
        body = {key: value for key, value in plain.items() if key != "hash"}
        if content_hash(body) != plain.get("hash"):
            raise RefusedError(
                f"the risk result {plain.get('id')} was changed after it was written",
                why="its content does not fit its hash",
                fix="run the campaign again: genesis risk evolve",
            )
        return RiskResult(
            id=body["id"],
            genome=RiskGenome.from_plain(body["genome"]),
            verdict=body["verdict"],
            unfit=tuple(body["unfit"]),
            facts=body["facts"],
        )


def results_folder(home: Path) -> Path:
    """Where a workspace keeps its risk results."""
    return home / FOLDER


def save_risk_result(home: Path, result: RiskResult) -> Path:
    """Write a result.

    Raises
    ------
    StorageError
    """
    path = results_folder(home) / f"{result.id}.json"
    text = json.dumps(result.to_plain(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, lambda file: file.write(text.encode()))
    return path


def result_ids(home: Path) -> list[str]:
    """Ids of the finished campaigns of a workspace, oldest first by their names' time."""
    found = [path.stem for path in results_folder(home).glob("*.json")]
    return sorted(found, key=lambda name: (name.rsplit("-", 2)[1:], name))


def load_risk_result(home: Path, result_id: str) -> RiskResult:
    """Read a result by its id or any unique beginning of it.

    Parameters
    ----------
    home : Path
        Workspace.
    result_id : str

    Raises
    ------
    InputError
        If no result, or more than one, has the id.
    RefusedError
        If it was changed after it was written.
    StorageError
        If it cannot be read.
    """
    ids = result_ids(home)
    found = (
        [result_id] if result_id in ids else [name for name in ids if name.startswith(result_id)]
    )
    if len(found) != 1:
        what = f"is the beginning of {len(found)} risk results" if found else "is no risk result"
        raise InputError(
            f"'{result_id}' {what}{'' if found else did_you_mean(result_id, ids)}",
            fix=f"write one: {', '.join(ids[-5:])}" if ids else "genesis risk evolve makes one",
        )
    path = results_folder(home) / f"{found[0]}.json"
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}", why=str(error)) from None
    result = RiskResult.from_plain(plain)
    if result.id != path.stem:
        raise RefusedError(
            f"{path} is the risk result {result.id} under another name",
            fix=f"rename it to {result.id}.json",
        )
    return result


def accepted_genome(home: Path) -> RiskGenome | None:
    """Genome of the newest campaign that may be traded with; None where the defaults stay.

    A newer campaign that lost says nothing against an older one that was accepted: it bred another
    genome.

    Raises
    ------
    RefusedError, StorageError
        If a result was changed or cannot be read: nobody trades under numbers of unknown origin.
    """
    for name in reversed(result_ids(home)):
        result = load_risk_result(home, name)
        if result.usable:
            return result.genome
    return None
