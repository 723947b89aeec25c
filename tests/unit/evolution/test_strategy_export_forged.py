"""Strategies whose file or ledgers were changed on the way: nothing of them is taken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.canonical import content_hash
from genesis.domain.errors import RefusedError
from genesis.evolution.files import write_json
from genesis.evolution.origins import origin_problem
from genesis.evolution.store import StoredStrategy
from genesis.evolution.strategy_export import import_strategy, ledgers_file
from genesis.evolution.trials import TrialLedger
from tests.unit.evolution.exported import files_of, forge, repack, swap_ledger
from tests.unit.evolution.trial_homes import Home


@pytest.mark.parametrize(
    "changes",
    [{"ledger_head": "f" * 64}, {"genome": "unknown"}, {"trials": 99}, {"study_hash": "other"}],
)
def test_a_record_that_its_ledger_contradicts(
    home: Home, file: Path, other: Home, changes: dict[str, Any]
) -> None:
    plain = json.loads(file.read_text())
    record = replace(StoredStrategy.from_plain(plain), **changes)
    forged = record.to_plain()
    origins = {k: v for k, v in plain["origins"].items() if k != "digest"}
    origins["record"] = forged["digest"]
    write_json(file, {**forged, "origins": {**origins, "digest": content_hash(origins)}})
    before = files_of(other.path)
    if "study_hash" in changes:  # some other study's record: its ledger did not come along
        assert "is not here" in str(import_strategy(other.path, file).problem)
        return
    with pytest.raises(RefusedError, match="cut or changed") as caught:
        import_strategy(other.path, file)
    assert caught.value.exit_code == 3
    assert files_of(other.path) - {"register.lock"} == before - {"register.lock"}
    if "trials" not in changes:
        assert "does not hold its search" in str(origin_problem(home.path, record))


def _cut(name: str, data: bytes) -> bytes | None:
    return b"".join(data.splitlines(keepends=True)[:-1])


def _change(name: str, data: bytes) -> bytes | None:
    return data.replace(b'"phenotype":"c"', b'"phenotype":"a"')


def _drop_second(name: str, data: bytes) -> bytes | None:
    return None if name.startswith("two") else data


def _add_torn_row(name: str, data: bytes) -> bytes | None:
    return data + b'{"schema": 1, "stu'


@pytest.mark.parametrize("edit", [_cut, _change, _drop_second, _add_torn_row])
def test_a_changed_ledger_is_refused(file: Path, other: Home, edit) -> None:
    repack(ledgers_file(file), edit)
    before = files_of(other.path)
    with pytest.raises(RefusedError, match="cut or changed after they were exported") as caught:
        import_strategy(other.path, file)
    assert caught.value.exit_code == 3
    assert "export it again" in caught.value.fix
    assert files_of(other.path) == before
    assert other.numbers() == (2, 2)
    assert not list(other.path.rglob(".incoming-*"))


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_broken_archive_is_refused(file: Path, other: Home, content: bytes | None) -> None:
    archive = ledgers_file(file)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(RefusedError, match="cut or changed"):
        import_strategy(other.path, file)
    assert not list((other.path / "strategies").glob("*"))


def _fewer(origins: dict[str, Any]) -> None:
    origins["studies"][1]["unique"] = 1


def _leave_out(origins: dict[str, Any]) -> None:
    del origins["studies"][0]


def _below_zero(origins: dict[str, Any]) -> None:
    origins["studies"][1] |= {"trials": -5, "file": None}


def _escape(origins: dict[str, Any]) -> None:
    origins["studies"][0]["file"] = "../../../escaped.trials.jsonl"


def _other_facts(origins: dict[str, Any]) -> None:
    origins["studies"][0]["study"]["searched_ms"] = [5_000, 6_000]


def _twice(origins: dict[str, Any]) -> None:
    origins["studies"].append(origins["studies"][0])


def _other_record(origins: dict[str, Any]) -> None:
    origins["record"] = "f" * 64


def _foreign_seal(origins: dict[str, Any]) -> None:
    origins["seals"][0]["study"] = "nobody"


def _no_opening(origins: dict[str, Any]) -> None:
    origins["openings"] = [{"strategy": 5}]


def _no_p(origins: dict[str, Any]) -> None:
    look = {"strategy": "s", "dataset": "d", "ts_ms": 1, "studies": [], "numbers": {}}
    origins["openings"] = [look]


def _no_list(origins: dict[str, Any]) -> None:
    origins["studies"] = {"a": 1}


@pytest.mark.parametrize(
    "change",
    [
        _fewer, _below_zero, _escape, _other_facts, _twice, _other_record,
        _no_list, _foreign_seal, _no_opening, _no_p,
    ],
)  # fmt: skip
@pytest.mark.parametrize("sign", [True, False])
def test_changed_origins_are_refused(
    file: Path, other: Home, change: Callable[[dict[str, Any]], None], sign: bool
) -> None:
    forge(file, change, sign=sign)
    before, outside = files_of(other.path), files_of(file.parent.parent)
    with pytest.raises(RefusedError, match="cut or changed"):
        import_strategy(other.path, file)
    assert files_of(other.path) == before
    assert files_of(file.parent.parent) == outside
    assert not list(file.parent.parent.rglob("*escaped*"))


def test_a_run_whose_name_leads_out_of_the_folder(file: Path, other: Home) -> None:
    ledger = (file.parent.parent / "home" / "runs" / "two" / "trials.jsonl").read_bytes()

    def lead_out(origins: dict[str, Any]) -> None:
        study = origins["studies"][1]
        study["run_id"] = study["study"]["run_id"] = "../../escaped"
        study["file"] = f"../../escaped-{study['study_hash'][:12]}-1.trials.jsonl"

    swap_ledger(file, 1, f"../../escaped-{'study-of-two'[:12]}-1.trials.jsonl", ledger)
    forge(file, lead_out, sign=True)
    with pytest.raises(RefusedError, match="cut or changed") as caught:
        import_strategy(other.path, file)
    assert "escaped" in caught.value.why
    assert not list(file.parent.parent.rglob("escaped*"))


def test_the_ledger_of_another_study_is_refused(home: Home, file: Path, other: Home) -> None:
    stranger = TrialLedger(home.run("coin") / "trials.jsonl")
    assert stranger.path is not None
    data = stranger.path.read_bytes()

    def pass_off(origins: dict[str, Any]) -> None:
        origins["studies"][1] |= {
            "trials": stranger.trials, "unique": len(stranger.phenotypes),
            "ledger_head": stranger.head, "ledger_size": stranger.size,
            "sha256": hashlib.sha256(data).hexdigest(),
        }  # fmt: skip

    name = json.loads(file.read_text())["origins"]["studies"][1]["file"]
    swap_ledger(file, 1, name, data)
    forge(file, pass_off, sign=True)
    with pytest.raises(RefusedError, match="cut or changed") as caught:
        import_strategy(other.path, file)
    assert "another study" in caught.value.why


def test_origins_left_out_are_seen(file: Path, other: Home) -> None:
    forge(file, _leave_out, sign=False)
    with pytest.raises(RefusedError, match="do not fit their digest"):
        import_strategy(other.path, file)


def test_a_changed_record_is_refused(file: Path, other: Home) -> None:
    file.write_text(file.read_text().replace('"trials": 4', '"trials": 3', 1))
    with pytest.raises(RefusedError, match="changed after it was written"):
        import_strategy(other.path, file)
    assert not (other.path / "origins").exists()
