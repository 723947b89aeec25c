"""Seals and looks at sealed bars are in the trial register too: a lost file forgets nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import RefusedError
from genesis.evolution.openings import Opening, Seal
from genesis.evolution.register import END, REGISTER, TrialRegister
from genesis.evolution.seals import SealRegistry
from tests.conftest import REPOSITORY
from tests.unit.evidence.small_study import StepClock

BTC, TAIL = ["BTC"], (80, 100)


class Sealed:
    """A workspace with a sealed span, two looks of the gate at it and one by hand."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / "seals.json"
        self.clock = StepClock()
        fresh = self.registry
        fresh.register("one", "v:BTC:1h", BTC, (0, 80), TAIL)
        first = fresh.open_for_gate("strat_a", "d", BTC, TAIL, self.clock)
        fresh.close(first, {"p": 0.4})
        fresh.open_sealed("strat_b", "d", fresh.seals(), self.clock)
        fresh.open_for_gate("strat_c", "d", BTC, TAIL, self.clock)

    @property
    def registry(self) -> SealRegistry:
        """A process of its own."""
        return SealRegistry(self.file)

    def looks(self) -> list[tuple[str, str, float | None]]:
        return [(o.strategy, o.purpose, o.p) for o in self.registry.openings_of(BTC, TAIL)]

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        plain = json.loads(self.file.read_text())
        change(plain)
        self.file.write_text(json.dumps(plain))

    def forget_register(self) -> None:
        """As an earlier version left it: seals and looks in their own file only."""
        for name in (REGISTER, END):
            (self.home / name).unlink()


LOOKS = [("strat_a", "gate", 0.4), ("strat_b", "backtest", None), ("strat_c", "gate", None)]


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return Sealed(tmp_path / "home")


def test_the_register_has_what_the_file_has(sealed: Sealed) -> None:
    plain = json.loads(sealed.file.read_text())
    register = TrialRegister(sealed.home)
    assert [asdict(seal) for seal in register.seals()] == plain["seals"]
    assert [Opening.from_plain(row) for row in plain["openings"]] == list(register.openings())
    assert sealed.looks() == LOOKS
    assert register.rows() == ()


def test_a_deleted_file_comes_back(sealed: Sealed) -> None:
    before = sealed.file.read_bytes()
    sealed.file.unlink()
    assert sealed.looks() == LOOKS
    assert [seal.study for seal in sealed.registry.seals()] == ["one"]
    with pytest.raises(RefusedError, match="sealed by one"):
        sealed.registry.refuse_overlap("two", BTC, (0, 90), 100)
    sealed.registry.adopt("one", "v:BTC:1h", BTC, TAIL)
    assert sealed.file.read_bytes() == before


def drop_looks(plain: dict[str, Any]) -> None:
    plain["openings"] = []


def drop_first_look(plain: dict[str, Any]) -> None:
    del plain["openings"][0]


def drop_key(plain: dict[str, Any]) -> None:
    del plain["openings"]


def drop_seals(plain: dict[str, Any]) -> None:
    plain["seals"] = []


def forget_numbers(plain: dict[str, Any]) -> None:
    plain["openings"][0]["numbers"] = None


@pytest.mark.parametrize("change", [drop_looks, drop_first_look, drop_key, drop_seals])
def test_what_is_taken_out_comes_back(sealed: Sealed, change: Any) -> None:
    sealed.edit(change)
    assert sealed.looks() == LOOKS
    # A new look goes behind all that were there, and the file is whole again.
    sealed.registry.open_for_gate("strat_d", "d", BTC, TAIL, sealed.clock)
    assert sealed.looks() == [*LOOKS, ("strat_d", "gate", None)]
    assert len(json.loads(sealed.file.read_text())["openings"]) == 4
    assert len(json.loads(sealed.file.read_text())["seals"]) == 1


def test_numbers_that_were_taken_out_come_back(sealed: Sealed) -> None:
    sealed.edit(forget_numbers)
    assert sealed.looks() == LOOKS
    first = sealed.registry.openings()[0]
    assert sealed.registry.close(first, {"p": 0.0001}).p == 0.4


def better_p(plain: dict[str, Any]) -> None:
    plain["openings"][0]["numbers"]["p"] = 0.01


def a_success_that_never_was(plain: dict[str, Any]) -> None:
    """What passes hands its level on to the next."""
    plain["openings"].append({**plain["openings"][0], "strategy": "x", "numbers": {"p": 0.0}})


def other_time(plain: dict[str, Any]) -> None:
    plain["openings"][0]["ts_ms"] -= 1


def other_span(plain: dict[str, Any]) -> None:
    plain["openings"][0]["start_ms"] = 99


def other_seal(plain: dict[str, Any]) -> None:
    plain["seals"][0]["start_ms"] = 99


@pytest.mark.parametrize(
    "change", [better_p, a_success_that_never_was, other_time, other_span, other_seal]
)
def test_what_was_written_otherwise_is_refused(sealed: Sealed, change: Any) -> None:
    sealed.edit(change)
    for look in (
        sealed.looks,
        sealed.registry.seals,
        lambda: sealed.registry.adopt("one", "v:BTC:1h", BTC, TAIL),
        lambda: sealed.registry.open_sealed("strat_e", "d", [], sealed.clock),
    ):
        with pytest.raises(RefusedError, match=r"seals\.json was changed or damaged") as caught:
            look()
        assert caught.value.exit_code == 3
        assert caught.value.why
    # The remedy that is named works.
    assert caught.value.fix.startswith(f"delete {sealed.file}")
    sealed.file.unlink()
    assert sealed.looks() == LOOKS


def test_the_order_is_that_of_the_register(sealed: Sealed) -> None:
    """The first look may use most of the budget: a place must not be had by sorting a file."""
    sealed.edit(lambda plain: plain["openings"].reverse())
    assert sealed.looks() == LOOKS


@pytest.mark.parametrize(
    "text",
    [
        "{", "", "[]", "3", "null", "{}", '{"seals": 3}', '{"seals": [3]}', '{"seals": [{}]}',
        '{"seals": [], "openings": 3}', '{"seals": [], "openings": [3]}',
        '{"seals": [], "openings": [{}]}', '{"seals": [], "openings": null}',
        '{"seals": [], "openings": [{"strategy": "a", "dataset": "d", "ts_ms": 1,'
        ' "studies": [], "numbers": {}}]}',
        '{"seals": [], "openings": [{"strategy": "a", "dataset": "d", "ts_ms": 1,'
        ' "studies": [], "numbers": {"p": -1}}]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("registered", [True, False])
def test_a_damaged_file_is_refused(sealed: Sealed, text: str, registered: bool) -> None:
    sealed.file.write_text(text)
    if not registered:
        sealed.forget_register()
    with pytest.raises(RefusedError, match=r"seals\.json was changed or damaged") as caught:
        sealed.registry.openings()
    assert caught.value.exit_code == 3
    assert caught.value.why
    wanted = f"delete {sealed.file}" if registered else f"restore {sealed.file} from a copy"
    assert caught.value.fix.startswith(wanted)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"size": "a", "head": ""}', '{"size": -1}'])
def test_a_damaged_end_of_the_register_is_refused(sealed: Sealed, text: str) -> None:
    (sealed.home / END).write_text(text)
    with pytest.raises(RefusedError, match=f"{REGISTER} was changed or cut") as caught:
        sealed.registry.openings()
    assert END in caught.value.why
    assert caught.value.fix


def test_looks_in_the_register_cannot_be_edited(sealed: Sealed) -> None:
    path = sealed.home / REGISTER
    text = path.read_text()
    for old, new in (('"p":0.4', '"p":0.1'), ('"strategy":"strat_b"', '"strategy":"strat_x"')):
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(RefusedError, match="does not fit the chain") as caught:
            sealed.looks()
        assert "was changed or cut" in caught.value.what


def test_a_workspace_of_an_earlier_version_is_taken_up(sealed: Sealed) -> None:
    sealed.forget_register()
    assert sealed.looks() == LOOKS
    sealed.registry.open_for_gate("strat_d", "d", BTC, TAIL, sealed.clock)
    sealed.file.unlink()
    assert sealed.looks() == [*LOOKS, ("strat_d", "gate", None)]


# Dies by a signal when a file grows beyond a size: in the midst of a write, unable to tidy up.
KILLED = """
import resource, signal, sys
from pathlib import Path
from genesis.evolution.seals import SealRegistry
registry = SealRegistry(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
registry.adopt("one", "v:BTC:1h", ["BTC"], (80, 100))
"""


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_workspace_that_is_taken_up_by_half_loses_no_look(
    sealed: Sealed, tmp_path: Path, rows: int
) -> None:
    sealed.forget_register()
    shutil.copytree(sealed.home, tmp_path / "whole")
    SealRegistry(tmp_path / "whole" / "seals.json").adopt("one", "v:BTC:1h", BTC, TAIL)
    lines = (tmp_path / "whole" / REGISTER).read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    most = sum(len(line) for line in lines[:rows]) + len(lines[rows]) // 2
    command = [sys.executable, "-c", KILLED, str(sealed.file), str(most)]
    assert subprocess.run(command, cwd=REPOSITORY).returncode == -signal.SIGXFSZ
    assert sealed.looks() == LOOKS
    sealed.registry.open_for_gate("strat_d", "d", BTC, TAIL, sealed.clock)
    sealed.file.unlink()
    assert sealed.looks() == [*LOOKS, ("strat_d", "gate", None)]


def test_two_looks_in_one_millisecond_are_two(tmp_path: Path) -> None:
    class Stopped(StepClock):
        def now_ms(self) -> int:
            return 42

    registry = SealRegistry(tmp_path / "seals.json")
    clock = Stopped()
    for _ in range(3):
        registry.open_for_gate("strat_a", "d", BTC, TAIL, clock)
    assert [one.ts_ms for one in registry.openings()] == [42, 43, 44]


def test_two_processes_see_each_other(sealed: Sealed) -> None:
    one, two = sealed.registry, sealed.registry
    for n in range(3):
        one.open_for_gate(f"one_{n}", "d", BTC, TAIL, sealed.clock)
        two.open_for_gate(f"two_{n}", "d", BTC, TAIL, sealed.clock)
    names = [look.strategy for look in one.openings()]
    assert names[3:] == ["one_0", "two_0", "one_1", "two_1", "one_2", "two_2"]
    assert one.openings() == two.openings() == sealed.registry.openings()


def test_a_look_that_was_never_written_cannot_be_closed(sealed: Sealed) -> None:
    with pytest.raises(RefusedError, match="no record of opening") as caught:
        sealed.registry.close(Opening("strat_z", "d", 1, ()), {"p": 0.5})
    assert caught.value.fix


def test_numbers_are_not_imported_for_a_look_that_was_not_finished(sealed: Sealed) -> None:
    open_ = sealed.registry.openings()[2]
    better = Opening(**{**asdict(open_), "numbers": {"p": 0.0}})
    sealed.registry.take([Seal("BTC", 80, 100, "one", "v:BTC:1h")], [better])
    assert sealed.looks() == LOOKS
