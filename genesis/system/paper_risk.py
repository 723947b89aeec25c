"""Which risk manager a paper run has: profile and genome, as the command line names them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from genesis.domain.errors import ConfigError, InputError, RefusedError, did_you_mean
from genesis.risk.genome import RiskGenome, load_genome
from genesis.risk.manager import RiskProfile

if TYPE_CHECKING:
    from genesis.evolution.risk.result import RiskResult
    from genesis.paper.settings import RiskSettings

ACCEPTED: Final = "accepted"


def paper_risk(home: Path, mode: str, profile: str, genome: str) -> RiskSettings:
    """Risk settings of a paper run.

    Parameters
    ----------
    home : Path
        Of the workspace.
    mode, profile : str
    genome : str
        File of a genome or of a risk result, id of a result, ``accepted`` for the one that live
        trading takes, empty for the defaults. One that nobody may trade with can be observed.

    Raises
    ------
    InputError
        If there is no such profile, genome or result, or the profile defeats the mode.
    RefusedError
        If the genome is not for use and would be enforced, or was changed.
    ConfigError, StorageError
        If its file cannot be read.
    """
    from genesis.paper.settings import RiskSettings

    known = [one.value for one in RiskProfile]
    if profile not in known:
        raise InputError(
            f"--risk {profile} is no profile{did_you_mean(profile, known)}",
            fix=f"use {' or '.join(known)}",
        )
    if mode == "backtest-validation" and profile == RiskProfile.ENFORCE:
        raise InputError(
            "--mode backtest-validation observes risk: no backtest has a risk manager",
            fix="leave --risk out, or use --mode replay",
        )
    enforced = profile == RiskProfile.ENFORCE
    found = _genome(home, genome, enforced=enforced) if genome else None
    plain = found.plain() if found is not None else {}
    return RiskSettings(profile=RiskProfile(profile), genome=plain)


def _genome(home: Path, named: str, *, enforced: bool) -> RiskGenome:
    from genesis.evolution.risk.result import accepted_genome, load_risk_result

    if named == ACCEPTED:
        found = accepted_genome(home)
        if found is None:
            raise InputError(
                "no risk genome was accepted in this workspace",
                fix="leave --risk-genome out for the defaults; genesis risk evolve breeds one",
            )
        return found
    path = Path(named)
    if path.is_file():
        result = _result_in(path)
        if result is None:
            return load_genome(path, even_unfit=not enforced)
        return _usable(result, enforced=enforced)
    if os.sep in named or path.suffix == ".json":
        raise InputError(f"there is no file {named}", fix="check the path")
    return _usable(load_risk_result(home, named), enforced=enforced)


def _result_in(path: Path) -> RiskResult | None:
    """Risk result that a file holds, None if it holds something else."""
    from genesis.evolution.risk.result import RiskResult

    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} holds no risk genome", why=str(error)) from None
    return RiskResult.from_plain(plain) if isinstance(plain, dict) and "verdict" in plain else None


def _usable(result: RiskResult, *, enforced: bool) -> RiskGenome:
    if enforced and not result.usable:
        raise RefusedError(
            f"the genome of {result.id} is not for use",
            why="; ".join((result.text, *result.unfit)),
            fix="--risk observe shows what it would do; --risk-genome accepted names one for use",
        )
    return result.genome
