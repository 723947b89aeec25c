"""Gates as data: what is measured, what it must reach, and whether failing it is a veto.

The file is read strictly and hashed. `configs/gates.yaml` is the only one that counts; a file that
says ``rehearsal: true`` makes dossiers marked REHEARSAL, which never lead to real money.

Two hashes cover it: `GatesFile.hash` what judges a dossier (settings and gates of G0 to G3),
`PromotionGates.hash` what judges a promotion (the block ``promotion`` with G4 to G6). So a dossier
stands as long as what judged it is unchanged, and the file counts only if both are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from genesis.domain.canonical import content_hash
from genesis.domain.errors import ConfigError, RefusedError, did_you_mean
from genesis.evidence.measures import MEASURES, PROMOTION_MEASURES, PromotionSettings
from genesis.evolution.configcheck import Problem, check_shape, raise_problems, read_yaml

SCHEMA = 1
EXAMPLE = "configs/gates.yaml"
STAGES = ("G0", "G1", "G2", "G3")
PRODUCTION = Path(__file__).resolve().parents[2] / "configs" / "gates.yaml"
PRODUCTION_HASH = "0a588aff13c3fa7304a2fd208777fc60d1a9a2ea7814f09b06cef543691a479d"
"""Hash of the production gates that this version was measured with (`docs/gates.md`)."""
PROMOTION_HASH = "ab6dd2d36d8b8045c980f9184f216c432e474ba5e44518866c4339c6ae6ae379"
"""Hash of their gates of promotion, G4 to G6 (`docs/promotion.md`)."""

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(gt=0.0, lt=1.0)]

_ALL = MEASURES | PROMOTION_MEASURES


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the measures are taken.

    Attributes
    ----------
    surrogates : int
        Markets a kind of surrogate (B).
    surrogate_seed : int
    lottery_arms, sample_genomes, candidates : int
        Lottery arms; random strategies of the fixed sample; strategies of a study that are judged.
    noise_draws : int
    noise_scale : float
        Jitter as a share of the ATR.
    cpcv_groups, cpcv_test_groups, walk_forward_windows, replay_windows : int
    embargo : float
        Share of the data that is left out after each test block.
    sealed_alpha : float
        Chance, over all candidates ever opened on a sealed span, that one without edge passes.
    sealed_share : float
        Share of the alpha left that the next candidate may use.
    """

    surrogates: Annotated[int, Meta(ge=19)] = 19
    surrogate_seed: Annotated[int, Meta(ge=0)] = 1
    lottery_arms: Count = 20
    sample_genomes: Annotated[int, Meta(ge=10)] = 300
    candidates: Count = 5
    noise_draws: Count = 100
    noise_scale: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.15
    cpcv_groups: Annotated[int, Meta(ge=3)] = 10
    cpcv_test_groups: Count = 2
    embargo: Annotated[float, Meta(ge=0.0, lt=0.5)] = 0.01
    walk_forward_windows: Annotated[int, Meta(ge=2)] = 4
    replay_windows: Annotated[int, Meta(ge=2)] = 3
    sealed_alpha: Share = 0.375
    sealed_share: Share = 0.8


class _Bound(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gate as the file spells it."""

    at_least: float | None = None
    at_most: float | None = None
    veto: bool = True
    why: str = ""


class _Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file, its gates not looked into."""

    schema: Literal[1]
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    rehearsal: bool = False
    settings: Settings = Settings()
    gates: Any = None
    promotion: Any = None


class _PromotionHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The block of promotion, its gates not looked into."""

    settings: PromotionSettings = PromotionSettings()
    gates: Any = None


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate.

    Attributes
    ----------
    measure : str
        Name in `MEASURES` or `PROMOTION_MEASURES`.
    at_least, at_most : float or None
        Its bound, exactly one of them.
    veto : bool
        Whether failing it refuses; else it is reported only.
    why : str
        Reason of the bound, for people.
    """

    measure: str
    at_least: float | None = None
    at_most: float | None = None
    veto: bool = True
    why: str = ""

    @property
    def stage(self) -> str:
        """``G0`` to ``G6``."""
        return _ALL[self.measure][0]

    @property
    def threshold(self) -> float:
        """The bound."""
        bound = self.at_least if self.at_least is not None else self.at_most
        assert bound is not None
        return bound

    def judge(self, value: float | None, note: str = "") -> GateResult:
        """Compare a value with the bound; what could not be measured fails."""
        known = value is not None and math.isfinite(value)
        passed = False
        if known:
            assert value is not None
            passed = value >= self.threshold if self.at_least is not None else (
                value <= self.threshold
            )  # fmt: skip
        return GateResult(self, value if known else None, passed, note)


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate's verdict on one strategy; a failed gate without veto is reported only."""

    gate: Gate
    value: float | None
    passed: bool
    note: str = ""
    reached: bool = True

    @property
    def verdict(self) -> Literal["pass", "fail", "reported", "not reached"]:
        """``pass``, ``fail`` (a veto), ``reported`` (failed, no veto) or ``not reached``."""
        if not self.reached:
            return "not reached"
        if self.passed:
            return "pass"
        return "fail" if self.gate.veto else "reported"

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "measure": self.gate.measure,
            "stage": self.gate.stage,
            "what": _ALL[self.gate.measure][1],
            "value": self.value,
            "bound": "at least" if self.gate.at_least is not None else "at most",
            "threshold": self.gate.threshold,
            "veto": self.gate.veto,
            "verdict": self.verdict,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class PromotionGates:
    """The gates of promotion, G4 to G6, in the file's order."""

    settings: PromotionSettings
    gates: tuple[Gate, ...]

    @property
    def hash(self) -> str:
        """SHA-256 over the block's content, whatever its comments and layout."""
        plain = {
            "settings": msgspec.to_builtins(self.settings),
            "gates": [[g.measure, g.at_least, g.at_most, g.veto] for g in self.gates],
        }
        return content_hash(plain)

    def judge(self, measures: Mapping[str, Any], stage: str) -> list[GateResult]:
        """Verdicts of the gates of a stage; see `GatesFile.judge`."""
        return _judged([gate for gate in self.gates if gate.stage == stage], measures)


@dataclass(frozen=True, slots=True)
class GatesFile:
    """A file of gates, in its order; ``promotion`` is None where it says nothing of G4 to G6."""

    name: str
    rehearsal: bool
    settings: Settings
    gates: tuple[Gate, ...]
    promotion: PromotionGates | None = None

    @property
    def hash(self) -> str:
        """SHA-256 over what judges a dossier, whatever comments and layout of the file."""
        plain = {
            "schema": SCHEMA,
            "name": self.name,
            "rehearsal": self.rehearsal,
            "settings": msgspec.to_builtins(self.settings),
            "gates": [[g.measure, g.at_least, g.at_most, g.veto] for g in self.gates],
        }
        return content_hash(plain)

    @property
    def counts(self) -> bool:
        """Whether a dossier of it may lead to real money."""
        promotion = self.promotion.hash if self.promotion is not None else ""
        return not self.rehearsal and self.hash == PRODUCTION_HASH and promotion == PROMOTION_HASH

    def of(self, *stages: str) -> tuple[Gate, ...]:
        """Gates of some stages, in the file's order."""
        return tuple(gate for gate in self.gates if gate.stage in stages)

    def judge(self, measures: Mapping[str, Any], *stages: str) -> list[GateResult]:
        """Verdicts of the gates of some stages.

        Parameters
        ----------
        measures : mapping
            Measure to its value; a pair is a value and a note.
        """
        return _judged(self.of(*stages), measures)


def _judged(gates: Iterable[Gate], measures: Mapping[str, Any]) -> list[GateResult]:
    results = []
    for gate in gates:
        found = measures.get(gate.measure)
        value, note = found if isinstance(found, (tuple, list)) else (found, "")
        results.append(gate.judge(value, note))
    return results


def stopped_by(results: Iterable[GateResult]) -> list[GateResult]:
    """Vetoes among verdicts."""
    return [result for result in results if result.verdict == "fail"]


def load_gates(path: Path | None = None) -> GatesFile:
    """Read a gates file, the production gates by default.

    Raises
    ------
    ConfigError
        Listing every problem with file, line, key, value and what is allowed.
    RefusedError
        If a file is neither a rehearsal nor the production gates that this version knows: its
        dossiers would look like evidence.
    """
    file = path or PRODUCTION
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the gates {file}",
            why=str(error),
            fix="name a file with --gates, or run from a checkout that has configs/gates.yaml",
        ) from None
    gates = parse_gates(text, str(file))
    if not gates.rehearsal and not gates.counts:
        raise RefusedError(
            f"the gates of {file} are not the production gates of this version",
            why=_difference(gates),
            fix="restore configs/gates.yaml, or write `rehearsal: true` into a file of your own",
        )
    return gates


def _difference(gates: GatesFile) -> str:
    """Which of the two hashes of a file is not the production gates'."""
    if gates.hash != PRODUCTION_HASH:
        return f"their hash is {gates.hash[:12]}, the production gates have {PRODUCTION_HASH[:12]}"
    found = gates.promotion.hash[:12] if gates.promotion is not None else "none"
    return f"the hash of G4 to G6 is {found}, the production gates have {PROMOTION_HASH[:12]}"


def parse_gates(text: str, name: str = "gates") -> GatesFile:
    """Read the text of a gates file; see `load_gates`."""
    raw, lines = read_yaml(text, name, EXAMPLE)
    problems: list[Problem] = []
    head = check_shape(_Head, raw, "", problems)
    _check_gates(raw.get("gates"), "gates", MEASURES, problems)
    block: Any = raw.get("promotion")
    promotion: Any = None
    if block is not None:
        promotion = check_shape(_PromotionHead, block, "promotion.", problems)
        listed = block.get("gates") if isinstance(block, Mapping) else None
        _check_gates(listed, "promotion.gates", PROMOTION_MEASURES, problems)
    if problems:
        raise_problems(name, problems, lines, EXAMPLE)
    read = msgspec.convert(head, _Head, strict=True)
    gates = _gates_of(raw["gates"])
    if promotion is None:
        return GatesFile(read.name, read.rehearsal, read.settings, gates)
    settings = msgspec.convert(promotion, _PromotionHead, strict=True).settings
    return GatesFile(
        read.name,
        read.rehearsal,
        read.settings,
        gates,
        PromotionGates(settings, _gates_of(block["gates"])),
    )


def _gates_of(listed: Mapping[str, Any]) -> tuple[Gate, ...]:
    return tuple(
        Gate(measure, **msgspec.structs.asdict(msgspec.convert(bound, _Bound, strict=True)))
        for measure, bound in listed.items()
    )


def _check_gates(
    listed: Any, where: str, known: Mapping[str, Any], problems: list[Problem]
) -> None:
    if not isinstance(listed, Mapping) or not listed:
        problems.append(Problem(where, "must be a block of gates, a measure each"))
        return
    for measure, bound in listed.items():
        _check_gate(str(measure), bound, where, known, problems)


def _check_gate(
    measure: str, bound: Any, where: str, known: Mapping[str, Any], problems: list[Problem]
) -> None:
    key = f"{where}.{measure}"
    if measure not in known:
        hint = did_you_mean(measure, known)
        problems.append(Problem(key, f"is no measure{hint}; known: {', '.join(known)}"))
        return
    before = len(problems)
    check_shape(_Bound, bound, f"{key}.", problems)
    if len(problems) > before:
        return
    if (bound.get("at_least") is None) == (bound.get("at_most") is None):
        problems.append(Problem(key, "needs exactly one of at_least and at_most"))
