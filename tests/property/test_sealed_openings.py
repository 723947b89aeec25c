"""Whatever is done to the files of the seals, no look is forgotten and no level comes back."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.errors import RefusedError
from genesis.evidence.gates import Settings
from genesis.evidence.sealed import level_after
from genesis.evolution.seals import SealRegistry
from tests.unit.evidence.small_study import StepClock

BASES, SPAN = ["BTC"], (80, 100)
BUDGET = Settings(sealed_alpha=0.25, sealed_share=0.8)

LOOK = st.sampled_from(["gate", "closed gate", "by hand"])
HARM = st.sampled_from(
    ["delete", "truncate", "empty", "older copy", "drop a look", "drop all", "reverse", "edit p"]
)


def _damage(path: Path, how: str, place: int, kept: list[bytes]) -> None:
    """What somebody who wants the budget back might do to the file."""
    if not path.exists():
        return
    data = path.read_bytes()
    if how == "delete":
        path.unlink()
    elif how == "truncate":
        path.write_bytes(data[: place % (len(data) + 1)])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "older copy":
        path.write_bytes(kept[place % len(kept)])
    else:
        try:
            plain: dict[str, Any] = json.loads(data)
        except ValueError:
            return
        rows = plain.get("openings") or []
        if how == "drop a look" and rows:
            del rows[place % len(rows)]
        elif how == "drop all":
            plain.pop("openings", None)
        elif how == "reverse":
            rows.reverse()
        elif how == "edit p" and rows:
            rows[place % len(rows)]["numbers"] = {"p": (place % 100) / 100}
        path.write_text(json.dumps(plain))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.one_of(LOOK, HARM), st.integers(0, 10_000)), max_size=14))
def test_looks_and_levels_never_come_back(acts: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        path, clock = Path(folder) / "seals.json", StepClock()
        SealRegistry(path).register("one", "d", BASES, (0, 80), SPAN)
        kept = [path.read_bytes()]
        truth: list[tuple[str, float | None]] = []
        for number, (act, place) in enumerate(acts):
            registry = SealRegistry(path)
            name, p = f"strat_{number}", (place % 100) / 100
            try:
                if act == "by hand":
                    registry.open_sealed(name, "d", registry.seals(), clock)
                    truth.append((name, None))
                elif act in ("gate", "closed gate"):
                    opening = registry.open_for_gate(name, "d", BASES, SPAN, clock)
                    truth.append((name, None))
                    if act == "closed gate":
                        registry.close(opening, {"p": p})
                        truth[-1] = (name, p)
                else:
                    _damage(path, act, place, kept)
            except RefusedError:
                # Refused, and nothing was looked at; what it tells to do brings all of it back.
                path.unlink()
            if path.exists() and act in ("gate", "closed gate", "by hand"):
                kept.append(path.read_bytes())
            _require(path, truth)


def _require(path: Path, truth: list[tuple[str, float | None]]) -> None:
    """The same looks in the same order, and so the same level for the next; or a refusal."""
    try:
        found = SealRegistry(path).openings_of(BASES, SPAN)
    except RefusedError:
        return
    assert [(one.strategy, one.p) for one in found] == truth
    expected = level_after([p for _, p in truth], BUDGET)
    assert level_after([one.p for one in found], BUDGET) == expected
