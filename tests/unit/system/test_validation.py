"""Where a validation's reruns are computed, and how long one may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from genesis.domain.errors import ConfigError
from genesis.evidence.gates import GatesFile, parse_gates
from genesis.evidence.worker import ENTRY
from genesis.evolution.config import StudyConfig, parse_config
from genesis.evolution.run import Run
from genesis.system.validation import Placement, reruns_of, validation_executor

STUDY = """
schema: 1
name: small
dataset: {{venue: synth, symbols: [SYN1], interval: 4h, funding: none}}
evolution: {{ray_timeout: {timeout}, population_size: 16}}
executor: {executor}
"""
GATES = """
schema: 1
name: g
rehearsal: true
gates:
  trades: {at_least: 1}
  permutation_shuffle: {at_most: 0.05}
  permutation_sign: {at_most: 0.05}
"""


@dataclass
class Finished:
    """What is read of a run: its configuration, its seconds, its workers."""

    config: StudyConfig
    seconds: float
    workers: int = 1
    study: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.study["seconds"] = self.seconds

    def metrics_records(self) -> list[dict[str, Any]]:
        return [{"workers": self.workers}]


def finished(
    seconds: float, executor: str = "{kind: local}", timeout: float = 300, workers: int = 1
) -> Run:
    """A finished run of a study."""
    text = STUDY.format(executor=executor, timeout=timeout)
    return cast(Run, Finished(parse_config(text, "study"), seconds, workers))


@pytest.fixture
def gates() -> GatesFile:
    return parse_gates(GATES)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `choose` is asked for."""
    asked: list[dict[str, Any]] = []

    def choose(kind: str, **more: Any) -> None:
        asked.append({"kind": kind, **more})

    monkeypatch.setattr("genesis.evolution.executors.select.choose", choose)
    monkeypatch.setattr(
        "genesis.evolution.executors.ray_session.check_reachable", lambda address: None
    )
    return asked


def test_kinds_of_rerun_come_from_the_gates_in_their_order(gates: GatesFile) -> None:
    assert reruns_of(gates) == ("shuffle", "sign")


def test_a_short_validation_stays_in_this_process_and_a_long_one_gets_workers(
    gates: GatesFile,
) -> None:
    assert validation_executor(finished(0.5), gates, 19, Placement()).name == "inline"
    assert validation_executor(finished(5.0), gates, 19, Placement()).name == "processes"
    assert validation_executor(finished(0.5), gates, 199, Placement()).name == "processes"
    one = Placement(workers=1)
    assert validation_executor(finished(5.0), gates, 19, one).name == "inline"
    asked = Placement(kind="processes", workers=1)
    assert validation_executor(finished(0.5), gates, 19, asked).name == "processes"


@pytest.mark.parametrize(
    ("seconds", "workers", "timeout", "least"),
    [(1.0, 1, 300, 600.0), (1.0, 1, 4000, 4000.0), (500.0, 4, 300, 20_000.0)],
)
def test_a_rerun_may_take_as_long_as_the_study_and_much_more(
    gates: GatesFile,
    chosen: list[dict[str, Any]],
    seconds: float,
    workers: int,
    timeout: float,
    least: float,
) -> None:
    validation_executor(finished(seconds, timeout=timeout, workers=workers), gates, 19, Placement())
    assert chosen[0]["timeout_s"] == least
    assert chosen[0]["evaluator"] == ENTRY


RAY = "{kind: ray, address: '10.0.0.5:6379', workers: 3}"


@pytest.mark.parametrize(
    ("place", "kind", "workers", "address"),
    [
        (Placement(), "ray", 3, "10.0.0.5:6379"),
        (Placement(kind="processes"), "processes", 3, None),
        (Placement(workers=7), "ray", 7, "10.0.0.5:6379"),
        (Placement(address="h:1"), "ray", 3, "h:1"),
    ],
)
def test_the_study_says_where_unless_the_command_does(
    gates: GatesFile,
    chosen: list[dict[str, Any]],
    place: Placement,
    kind: str,
    workers: int,
    address: str | None,
) -> None:
    validation_executor(finished(1.0, RAY), gates, 19, place)
    assert (chosen[0]["kind"], chosen[0]["workers"], chosen[0]["address"]) == (
        kind,
        workers,
        address,
    )


def test_an_address_alone_means_ray(gates: GatesFile, chosen: list[dict[str, Any]]) -> None:
    validation_executor(finished(1.0), gates, 19, Placement(address="h:1"))
    assert (chosen[0]["kind"], chosen[0]["address"]) == ("ray", "h:1")


def test_an_unknown_executor(gates: GatesFile) -> None:
    with pytest.raises(ConfigError, match="unknown executor 'procesess'"):
        validation_executor(finished(1.0), gates, 19, Placement(kind="procesess"))
