"""Run a campaign in a workspace: its folder, its lock, its interruption, its result."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.clock import Clock
from genesis.domain.errors import InputError, InterruptedRun, did_you_mean
from genesis.domain.timeline import format_ts
from genesis.evolution.files import exclusive
from genesis.evolution.risk.acceptance import OBJECTIVES, Comparison
from genesis.evolution.risk.assessor import Assessor
from genesis.evolution.risk.campaign import (
    Campaign,
    Listener,
    Winner,
    paths_of,
    scenarios_per_year,
)
from genesis.evolution.risk.config import RiskConfig
from genesis.evolution.risk.material import (
    Material,
    begin_material,
    job_of,
    read_campaign,
    resume_material,
)
from genesis.evolution.risk.measures import Outcome
from genesis.evolution.risk.paths import ROLES
from genesis.evolution.risk.result import (
    ACCEPTED,
    LOST,
    UNDECIDED,
    RiskResult,
    load_risk_result,
    result_ids,
    results_folder,
    save_risk_result,
)
from genesis.evolution.risk.strategies import CLASSES
from genesis.evolution.stopping import terminable
from genesis.evolution.work import Executor

_LIBRARIES = ("genesis", "numpy", "numba", "cmaes", "deap", "scipy")


def campaign_ids(home: Path) -> list[str]:
    """Ids of the campaigns that were begun, finished or not."""
    return sorted(path.parent.name for path in results_folder(home).glob("*/campaign.json"))


def find_campaign(home: Path, prefix: str) -> tuple[str, RiskConfig]:
    """Campaign that can be gone on with, by its id or any unique beginning of it.

    Raises
    ------
    InputError
        If none, or more than one, has the id, or it is finished.
    """
    ids = campaign_ids(home)
    found = [name for name in ids if name.startswith(prefix)]
    if prefix in ids:
        found = [prefix]
    if len(found) != 1:
        what = f"is the beginning of {len(found)} campaigns" if found else "is no risk campaign"
        raise InputError(
            f"'{prefix}' {what}{'' if found else did_you_mean(prefix, ids)}",
            fix=f"write one: {', '.join(ids[-5:])}" if ids else "genesis risk evolve begins one",
        )
    if found[0] in result_ids(home):
        raise InputError(
            f"the campaign {found[0]} is finished", fix=f"genesis risk show {found[0]}"
        )
    body = read_campaign(results_folder(home) / found[0])
    return found[0], msgspec.convert(body["config"], RiskConfig, strict=True)


def new_campaign_id(name: str, home: Path, clock: Clock) -> str:
    """``NAME-YYYYMMDD-HHMMSS``, with a number behind it where that is taken."""
    digits = "".join(c for c in format_ts(clock.now_ms() // 1000 * 1000) if c.isdigit())
    base = f"{name}-{digits[:8]}-{digits[8:]}{clock.now_ms() // 1000 % 60:02d}"
    found, number = base, 2
    while (results_folder(home) / found).exists():
        found, number = f"{base}-{number}", number + 1
    return found


def run_campaign(
    config: RiskConfig,
    home: Path,
    *,
    clock: Clock,
    executor: Executor,
    campaign_id: str | None = None,
    resume: bool = False,
    unfit: tuple[str, ...] = (),
    listener: Listener = lambda _: None,
    begun: Callable[[str, Material], None] = lambda _, __: None,
) -> RiskResult:
    """Run or resume a campaign. The executor is started and closed here.

    Parameters
    ----------
    config : RiskConfig
        When resuming: as the campaign began, up to what decides nothing.
    home : Path
        Workspace.
    clock : Clock
    executor : Executor
        Not started yet.
    campaign_id : str, optional
        Made from the name and the time by default; required to resume.
    resume : bool
    unfit : tuple of str
        Further reasons why the result may not be used.
    listener, begun : callable
        Told of the progress, and of id and material once nothing is left to be refused.

    Raises
    ------
    InputError
        If data, configuration or id do not fit.
    RefusedError
        If the campaign is in use, the data are sealed, or config, data or code changed since.
    InterruptedRun
        If the user stopped it; what was simulated is kept.
    InfrastructureError
        If workers or the disk failed; the campaign can be resumed.
    """
    if resume and campaign_id is None:
        raise InputError("which campaign to resume?", fix="genesis risk evolve --resume CAMPAIGN")
    name = campaign_id or new_campaign_id(config.name, home, clock)
    folder = results_folder(home) / name
    if not resume and folder.exists():
        raise InputError(
            f"there is a campaign {name} already",
            fix=f"choose another id, or go on with it: genesis risk evolve --resume {name}",
        )
    with _held(folder, name), terminable():
        try:
            begin = resume_material if resume else begin_material
            material = begin(config, home, name, folder)
            begun(name, material)
            started = clock.monotonic()
            executor.start(job_of(material, config))
            assessor = Assessor(executor, paths_of(config), folder / "evaluations.jsonl")
            winner = Campaign(config, assessor, clock, listener).run()
            spent = clock.monotonic() - started
        except KeyboardInterrupt:
            _forget_unbegun(folder)
            again = f"genesis risk evolve --resume {name}"
            raise InterruptedRun(
                f"the campaign {name} was interrupted",
                why="what was simulated is kept",
                fix=f"go on with: {again}" if folder.exists() else "start it again",
            ) from None
        except BaseException:
            _forget_unbegun(folder)
            raise
        finally:
            executor.close()
        result = _result(name, home, config, material, winner, assessor, clock, spent, unfit)
        save_risk_result(home, result)
    return result


@contextmanager
def _held(folder: Path, name: str) -> Iterator[None]:
    with exclusive(folder.with_name(f".{name}.lock"), f"the campaign {name}", "wait until it ends"):
        yield


def _forget_unbegun(folder: Path) -> None:
    """Take away the folder of a campaign that never began."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _result(
    name: str,
    home: Path,
    config: RiskConfig,
    material: Material,
    winner: Winner,
    assessor: Assessor,
    clock: Clock,
    spent: float,
    unfit: tuple[str, ...],
) -> RiskResult:
    reasons = [*unfit, *config.unfit()]
    per_year = scenarios_per_year(config, material.panel.interval_ms)
    counts = {
        role: {
            kind: sum(f.role == role and f.kind == kind for f in material.strategies)
            for kind in CLASSES
        }
        for role in ROLES
    }
    facts: dict[str, Any] = {
        **material.facts,
        "name": config.name,
        "seed": config.seed,
        "config": config.to_plain(),
        "created_ms": clock.now_ms(),
        "versions": _versions(),
        "notes": [*material.notes, *_earlier(home, material)],
        "strategies": counts,
        "random_strategies": sum(f.origin == "random" for f in material.strategies),
        "law": material.law.to_plain(),
        "genomes": len(assessor.genomes),
        "simulated": assessor.simulated,
        "recalled": assessor.recalled,
        "seconds": round(spent, 1),
        "scenarios_per_s": round(assessor.simulated / max(spent, 1e-9), 1),
        "archive_hash": winner.archive_hash,
        "bred": winner.bred.plain(),
        "volatility_target": winner.baseline.plain(),
        "objectives": list(OBJECTIVES),
        "acceptance": [_plain(one, per_year) for one in winner.comparisons],
        "genes": [row.to_plain() for row in winner.genes],
        "levels": winner.levels.to_plain(),
        "tables": winner.tables,
    }
    # As it will be read back: tuples are lists in JSON.
    plain = json.loads(json.dumps(facts, allow_nan=False))
    return RiskResult(name, winner.genome, verdict_of(winner.comparisons), tuple(reasons), plain)


def verdict_of(comparisons: tuple[Comparison, ...]) -> str:
    """``accepted`` only if every baseline is beaten; see `RiskResult`."""
    unbeaten = [one for one in comparisons if not one.better]
    if not unbeaten:
        return ACCEPTED
    return UNDECIDED if all(one.losing for one in unbeaten) else LOST


def _plain(one: Comparison, per_year: float) -> dict[str, Any]:
    """Comparison with the ratios that are reported and decide nothing."""
    plain = one.to_plain()
    for key, outcome in (("genome", one.genome), ("base", one.base)):
        plain[key] = {**outcome.to_plain(), "calmar": _calmar(outcome, per_year)}
    return plain


def _calmar(outcome: Outcome, per_year: float) -> float | None:
    ratio = outcome.calmar(per_year)
    return ratio if math.isfinite(ratio) else None


def _earlier(home: Path, material: Material) -> list[str]:
    """A note on earlier campaigns of the same data: luck gets more chances with each."""
    data = material.facts["dataset_hash"]
    results = [load_risk_result(home, name) for name in result_ids(home)]
    earlier = sum(one.facts.get("dataset_hash") == data for one in results)
    if not earlier:
        return []
    return [
        f"{earlier} earlier campaign{'s' if earlier > 1 else ''} bred on this dataset here;"
        " the p-values are not adjusted for them"
    ]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "absent"
    return found
