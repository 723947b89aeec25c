"""A whole campaign in small: the same result for any workers and interruptions, and no leakage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from genesis.domain.clock import Clock
from genesis.domain.errors import InputError, InterruptedRun, RefusedError
from genesis.domain.instrument import base_asset
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.executors.processes import ProcessExecutor
from genesis.evolution.openings import sealed_names
from genesis.evolution.risk.campaign import Progress
from genesis.evolution.risk.config import RiskConfig, parse_risk_config
from genesis.evolution.risk.material import begin_material
from genesis.evolution.risk.result import RiskResult, load_risk_result
from genesis.evolution.risk.run import campaign_ids, find_campaign, run_campaign
from genesis.evolution.risk.worker import ENTRY
from genesis.evolution.seals import SealRegistry
from genesis.evolution.work import UnitResult, WorkUnit
from genesis.market.bars import Bars
from genesis.market.sources.synthetic import Plant, SynthSpec, synthesize
from genesis.market.store import BarStore

TEXT = """
schema: 1
dataset: {venue: synth, symbols: [SYN1, SYN2], interval: 1h}
costs: {capital: 2000.0}
scenarios: {strategies: 15, bars: 96, warm_up: 240, books: 1,
            train: 40, validation: 20, sealed: 20, batch: 20}
search: {offspring: 4, restarts: 0, generations: 3, population: 6, rounds: 2, finalists: 3}
acceptance: {draws: 100}
"""
CONFIG = parse_risk_config(TEXT)


class StillClock(Clock):
    def now_ms(self) -> int:
        return 1_760_000_000_000

    def monotonic(self) -> float:
        return 0.0


class StoppingExecutor(InlineExecutor):
    """Is interrupted when it has run a number of units."""

    def __init__(self, units: int) -> None:
        super().__init__(evaluator=ENTRY)
        self.left = units

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        for result in super().run(units):
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            yield result


def fill(home: Path, later: float = 1.0) -> Path:
    """A workspace with a market, whose last tenth is multiplied by a factor."""
    store = BarStore(home / "data")
    spec = SynthSpec(
        assets=2,
        bars=2_000,
        interval="1h",
        seed=3,
        correlation=0.5,
        plants=(Plant("trend", 0.001),),
    )
    for one in synthesize(spec):
        bars = one.bars
        factor = np.where(np.arange(bars.ts_ms.size) >= 1_800, later, 1.0)
        prices = [getattr(bars, name) * factor for name in ("open", "high", "low", "close")]
        store.write_bars("synth", one.symbol, "1h", Bars(bars.ts_ms, *prices, bars.volume))
        store.write_funding("synth", one.symbol, one.funding)
    return home


def run(home: Path, **options: object) -> RiskResult:
    given = {"clock": StillClock(), "executor": InlineExecutor(evaluator=ENTRY), **options}
    return run_campaign(CONFIG, home, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RiskResult, list[Progress]]:
    """An uninterrupted campaign in one process."""
    home, seen = fill(tmp_path_factory.mktemp("whole")), []
    return home, run(home, campaign_id="whole", listener=seen.append), seen


def same(first: RiskResult, second: RiskResult) -> None:
    """Equal in everything but names, times and counts of sittings."""
    free = {"created_ms", "seconds", "scenarios_per_s", "simulated", "recalled", "notes"}
    assert first.genome == second.genome
    assert first.verdict == second.verdict
    assert {k: v for k, v in first.facts.items() if k not in free} == {
        k: v for k, v in second.facts.items() if k not in free
    }


def test_a_campaign_says_what_it_did(whole: tuple[Path, RiskResult, list[Progress]]) -> None:
    home, result, seen = whole
    assert load_risk_result(home, "whole") == result
    assert not result.usable
    assert result.facts["genomes"] >= CONFIG.genomes
    assert len(result.facts["acceptance"]) == 2
    assert len(result.facts["genes"]) == 24
    assert "random genomes" in result.facts["notes"][0]
    assert set(result.facts["tables"]["kinds"]) == {
        "bootstrap",
        "garch",
        "jumps",
        "switching",
        "crash",
    }
    stages = Counter(one.stage for one in seen)
    assert stages["CMA-ES 1 of 1"] == 3
    assert stages["NSGA-II"] == 2
    json.dumps(result.to_plain(), allow_nan=False)


@pytest.mark.parametrize("units", [3, 20, 41])
def test_an_interrupted_campaign_ends_as_an_uninterrupted_one(
    whole: tuple[Path, RiskResult, list[Progress]], tmp_path: Path, units: int
) -> None:
    home = fill(tmp_path)
    with pytest.raises(InterruptedRun, match="interrupted") as stopped:
        run(home, campaign_id="cut", executor=StoppingExecutor(units))
    assert stopped.value.exit_code == 130
    assert "--resume cut" in stopped.value.fix
    name, config = find_campaign(home, "cu")
    assert (name, config) == ("cut", CONFIG)
    result = run(home, campaign_id="cut", resume=True)
    same(result, whole[1])
    if units > 10:
        assert result.facts["recalled"] > 0
        assert result.facts["simulated"] < whole[1].facts["simulated"]


def test_a_campaign_may_be_interrupted_more_than_once(
    whole: tuple[Path, RiskResult, list[Progress]], tmp_path: Path
) -> None:
    home = fill(tmp_path)
    for resume in (False, True, True):
        with pytest.raises(InterruptedRun):
            run(home, campaign_id="cut", resume=resume, executor=StoppingExecutor(16))
    same(run(home, campaign_id="cut", resume=True), whole[1])


def test_a_torn_ledger_costs_only_its_last_row(
    whole: tuple[Path, RiskResult, list[Progress]], tmp_path: Path
) -> None:
    home = fill(tmp_path)
    with pytest.raises(InterruptedRun):
        run(home, campaign_id="cut", executor=StoppingExecutor(30))
    ledger = home / "risk" / "cut" / "evaluations.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-40])
    same(run(home, campaign_id="cut", resume=True), whole[1])


def test_a_changed_ledger_or_campaign_is_refused(tmp_path: Path) -> None:
    home = fill(tmp_path)
    with pytest.raises(InterruptedRun):
        run(home, campaign_id="cut", executor=StoppingExecutor(30))
    folder = home / "risk" / "cut"
    ledger = folder / "evaluations.jsonl"
    kept = ledger.read_text()
    ledger.write_text(kept.replace('"growth":', '"growth":9', 1))
    with pytest.raises(RefusedError, match="chain"):
        run(home, campaign_id="cut", resume=True)
    ledger.write_text(kept)
    campaign = folder / "campaign.json"
    campaign.write_text(campaign.read_text().replace('"random"', '"store"', 1))
    with pytest.raises(RefusedError, match="changed"):
        run(home, campaign_id="cut", resume=True)


def test_resuming_with_other_data_or_settings_is_refused(tmp_path: Path) -> None:
    home = fill(tmp_path)
    with pytest.raises(InterruptedRun):
        run(home, campaign_id="cut", executor=StoppingExecutor(3))
    other = msgspec.structs.replace(CONFIG, seed=2)
    with pytest.raises(RefusedError, match="configuration"):
        run_campaign(
            other,
            home,
            clock=StillClock(),
            executor=InlineExecutor(evaluator=ENTRY),
            campaign_id="cut",
            resume=True,
        )
    later = BarStore(home / "data").read_bars("synth", "SYN1", "1h")
    assert later is not None
    closes = later.close.copy()
    closes[5] *= 1.0001
    changed = Bars(later.ts_ms, later.open, later.high * 1.001, later.low, closes, later.volume)
    BarStore(home / "data").write_bars("synth", "SYN1", "1h", changed, overwrite=True)
    with pytest.raises(RefusedError, match="dataset"):
        run(home, campaign_id="cut", resume=True)


def test_ids_are_used_once_and_finished_campaigns_stay(
    whole: tuple[Path, RiskResult, list[Progress]],
) -> None:
    home = whole[0]
    with pytest.raises(InputError, match="already"):
        run(home, campaign_id="whole")
    with pytest.raises(InputError, match="finished"):
        find_campaign(home, "whole")
    with pytest.raises(InputError, match="is no risk campaign"):
        find_campaign(home, "nobody")


def test_a_campaign_that_cannot_begin_leaves_nothing(tmp_path: Path) -> None:
    home = fill(tmp_path)
    spec = CONFIG.dataset
    wrong = msgspec.structs.replace(
        CONFIG, dataset=msgspec.structs.replace(spec, symbols=("SYN1", "NONE"))
    )
    with pytest.raises(InputError):
        run_campaign(
            wrong, home, clock=StillClock(), executor=InlineExecutor(), campaign_id="never"
        )
    assert campaign_ids(home) == []
    assert not (home / "risk" / "never").exists()


# ---- no future ----------------------------------------------------------------------------------


def test_sealed_bars_change_nothing(tmp_path: Path) -> None:
    found = []
    for name, later in (("plain", 1.0), ("other", 7.0)):
        home = fill(tmp_path / name, later)
        material = begin_material(CONFIG, home, "campaign", home / "risk" / "campaign")
        found.append(material)
    assert found[0].facts["dataset_hash"] != found[1].facts["dataset_hash"]
    assert found[0].law == found[1].law
    assert [f.to_plain() for f in found[0].strategies] == [
        f.to_plain() for f in found[1].strategies
    ]
    assert found[0].panel.bars == 1_600
    for first, second in zip(found[0].panel.symbols, found[1].panel.symbols, strict=True):
        assert first.close.tobytes() == second.close.tobytes()


def test_bars_that_a_study_sealed_are_refused(tmp_path: Path) -> None:
    home = fill(tmp_path)
    bars = BarStore(home / "data").read_bars("synth", "SYN1", "1h")
    assert bars is not None
    stamps = bars.ts_ms
    # Another study of the same asset keeps the second half back.
    SealRegistry(home / "seals.json").register(
        "study",
        "synth:SYN1:1h",
        sealed_names("synth", [base_asset("SYN1")]),
        (int(stamps[0]), int(stamps[1_000])),
        (int(stamps[1_000]), int(stamps[-1]) + 3_600_000),
    )
    with pytest.raises(RefusedError, match="sealed by study"):
        begin_material(CONFIG, home, "campaign", home / "risk" / "campaign")


# ---- strategies ---------------------------------------------------------------------------------


def test_strategies_are_split_sixty_twenty_twenty_with_every_class(tmp_path: Path) -> None:
    config = msgspec.structs.replace(
        CONFIG, scenarios=msgspec.structs.replace(CONFIG.scenarios, strategies=60)
    )
    home = fill(tmp_path)
    found = begin_material(config, home, "c", home / "risk" / "c").strategies
    assert Counter(f.role for f in found) == {"train": 36, "validation": 12, "sealed": 12}
    assert len({f.id for f in found}) == 60
    by_role = {role: {f.kind for f in found if f.role == role} for role in ("train", "sealed")}
    assert by_role["train"] == {"good", "mediocre", "decayed", "noise"}
    assert {"mediocre", "noise"} <= by_role["sealed"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_bit(
    whole: tuple[Path, RiskResult, list[Progress]], tmp_path: Path, workers: int
) -> None:
    executor = ProcessExecutor(workers, evaluator=ENTRY)
    result = run(fill(tmp_path), campaign_id="w", executor=executor)
    same(result, whole[1])
    assert result.facts["archive_hash"] == whole[1].facts["archive_hash"]


def test_another_seed_is_another_campaign(
    whole: tuple[Path, RiskResult, list[Progress]], tmp_path: Path
) -> None:
    other: RiskConfig = msgspec.structs.replace(CONFIG, seed=2)
    result = run_campaign(
        other,
        fill(tmp_path),
        clock=StillClock(),
        executor=InlineExecutor(evaluator=ENTRY),
        campaign_id="x",
    )
    assert result.facts["archive_hash"] != whole[1].facts["archive_hash"]
