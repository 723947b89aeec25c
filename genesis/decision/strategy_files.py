"""ConfigStrategyLoader: strategies with their policy and where they are to be deployed, in files.

A file is YAML or JSON of a known schema. It says what somebody wants; what a strategy may do it
cannot say: activating it registers a candidate, and every gate is still to come. Evidence and
ledgers travel by `genesis strategies export`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from genesis.decision.approvals import account_named, usd_named, usd_text
from genesis.decision.deployments import Deployment
from genesis.decision.ports import Wish
from genesis.decision.stages import target_named
from genesis.domain.errors import ConfigError, InputError, RefusedError
from genesis.evolution.configcheck import (
    Problem,
    check_shape,
    raise_problems,
    read_yaml,
    write_yaml,
)
from genesis.evolution.files import write_text
from genesis.strategy.strategy import Strategy
from genesis.strategy.text import dump_strategy, load_strategy

SCHEMA = 1
KIND = "strategy"
EXAMPLE = "docs/promotion.md"
LARGEST = 1 << 20


class DeploymentWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a strategy is to be deployed, as a file spells it.

    Attributes
    ----------
    account : str
        Address.
    target : str
        ``loopback``, ``testnet`` or ``mainnet``.
    symbols : tuple of str
    cap : str
        Full capital in USD.
    """

    account: str
    target: str
    symbols: tuple[str, ...]
    cap: str


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file, its strategy and wishes not looked into."""

    schema: Literal[1]
    kind: Literal["strategy"]
    strategy: Any
    deployments: Any = ()


@dataclass(frozen=True, slots=True)
class StrategyFile:
    """What a file says.

    Attributes
    ----------
    strategy : Strategy
        Rules and policy.
    wishes : tuple of Wish
        Where it is to be deployed; may be empty.
    """

    strategy: Strategy
    wishes: tuple[Wish, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Form in a file."""
        return {
            "schema": SCHEMA,
            "kind": KIND,
            "strategy": dump_strategy(self.strategy),
            "deployments": [
                {
                    "account": wish.account,
                    "target": wish.target.value,
                    "symbols": list(wish.symbols),
                    "cap": usd_text(wish.cap or Decimal(0)),
                }
                for wish in self.wishes
            ],
        }


Register = Callable[[Wish, str, str], Deployment]
"""Registers a candidate: wish, who, reason; see `StrategyDeploymentManager.register`."""


class ConfigStrategyLoader:
    """Saves, loads, validates and activates strategy files.

    Parameters
    ----------
    known : callable
        Whether the workspace's strategy store has a strategy, by id.
    register : callable
    """

    def __init__(self, known: Callable[[str], bool], register: Register) -> None:
        self._known = known
        self._register = register

    @staticmethod
    def save(path: Path, file: StrategyFile) -> None:
        """Write a file, as JSON where its name ends so, else as YAML; `load` gives it back equal.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        plain = file.to_plain()
        if path.suffix == ".json":
            write_text(path, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
        else:
            write_text(path, write_yaml(plain))

    @staticmethod
    def load(path: Path) -> StrategyFile:
        """Read a file strictly.

        Raises
        ------
        ConfigError
            Listing every problem with file, line and key.
        StrategyError
            If rules, policy or id are not legal.
        """
        try:
            if path.stat().st_size > LARGEST:
                raise ConfigError(f"{path} is no strategy file", why="it is over a megabyte long")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"cannot read {path}",
                why=str(error),
                fix=f"genesis deployments save STRATEGY {path} writes one",
            ) from None
        raw, lines = read_yaml(text, str(path), EXAMPLE)  # JSON is YAML too
        problems: list[Problem] = []
        check_shape(_Head, raw, "", problems)
        wishes: Any = raw.get("deployments", [])
        if isinstance(wishes, Sequence) and not isinstance(wishes, str):
            for place, wish in enumerate(wishes):
                check_shape(DeploymentWish, wish, f"deployments.{place}.", problems)
        else:
            problems.append(Problem("deployments", "must be a list of deployments"))
        if problems:
            raise_problems(str(path), problems, lines, EXAMPLE)
        strategy = load_strategy(raw["strategy"])
        return StrategyFile(strategy, _wishes(strategy.id, wishes))

    def validate(self, path: Path) -> StrategyFile:
        """Read a file and make sure that it can be activated here.

        Raises
        ------
        ConfigError, StrategyError
            As `load`.
        RefusedError
            If the strategy is not in this workspace, or the file has no deployment.
        """
        file = self.load(path)
        if not self._known(file.strategy.id):
            raise RefusedError(
                f"{file.strategy.id} is not in this workspace",
                why="a file brings no evidence, and without its trials nothing can be judged",
                fix="import it with its ledgers: genesis strategies import FILE",
            )
        if not file.wishes:
            raise RefusedError(
                f"{path} says nowhere to deploy {file.strategy.id}",
                fix="add deployments: a list of {account, target, symbols, cap}",
            )
        return file

    def activate(self, path: Path, who: str) -> tuple[Deployment, ...]:
        """Register each deployment of a file as a candidate; gates and approvals come after.

        Raises
        ------
        RefusedError
            As `validate`, and if one is deployed already or its symbols belong to another one.
        """
        file = self.validate(path)
        return tuple(self._register(wish, who, f"from {path.name}") for wish in file.wishes)


def _wishes(strategy: str, listed: Sequence[Mapping[str, Any]]) -> tuple[Wish, ...]:
    found = []
    for row in listed:
        wish = msgspec.convert(dict(row), DeploymentWish)
        symbols = tuple(wish.symbols)
        if not symbols or len(set(symbols)) != len(symbols) or not all(symbols):
            raise InputError(f"{list(symbols)} are no symbols of a deployment")
        account, target = account_named(wish.account), target_named(wish.target)
        found.append(Wish(strategy, account, target, symbols, usd_named(wish.cap)))
    if len({one.id for one in found}) != len(found):
        raise ConfigError("an account and target are named twice", fix="one deployment each")
    return tuple(found)
