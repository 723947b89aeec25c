"""Results on disk, and which of them an account may trade under."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from genesis.domain.errors import ConfigError, InputError, RefusedError
from genesis.evolution.risk.config import RiskConfig, load_risk_config, parse_risk_config, quick
from genesis.evolution.risk.result import (
    RiskResult,
    load_risk_result,
    result_ids,
    save_risk_result,
)
from genesis.risk.genome import RiskGenome
from genesis.system.risk_evolution import accepted_genome, quick_unfit, risk_config

GENOME = RiskGenome().replace(stop_atr=7.0)
DATA = "schema: 1\ndataset: {venue: v, symbols: [A], interval: 1h}\n"


def store(home: Path, name: str, verdict: str = "accepted", unfit: tuple[str, ...] = ()) -> Path:
    return save_risk_result(home, RiskResult(name, GENOME, verdict, unfit, {"seed": 1}))


def test_a_result_is_read_back_by_any_unique_beginning(tmp_path: Path) -> None:
    store(tmp_path, "risk-20250101-000000")
    store(tmp_path, "risk-20250102-000000")
    found = load_risk_result(tmp_path, "risk-20250101")
    assert (found.id, found.genome, found.usable) == ("risk-20250101-000000", GENOME, True)
    assert RiskResult.from_plain(found.to_plain()) == found
    with pytest.raises(InputError, match="beginning of 2"):
        load_risk_result(tmp_path, "risk-2025")
    with pytest.raises(InputError, match="is no risk result"):
        load_risk_result(tmp_path, "other")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"stop_atr": 7.0', '"stop_atr": 19.0'),
        ('"verdict": "lost"', '"verdict": "accepted"'),
        ('"unfit": [\n  "too small"\n ]', '"unfit": []'),
    ],
)
def test_a_changed_result_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = store(tmp_path, "risk-1", "lost", ("too small",))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RefusedError, match="changed after it was written"):
        load_risk_result(tmp_path, "risk-1")
    with pytest.raises(RefusedError):
        accepted_genome(tmp_path)


def test_a_result_under_another_name_is_refused(tmp_path: Path) -> None:
    path = store(tmp_path, "risk-1")
    path.rename(path.with_name("risk-2.json"))
    with pytest.raises(RefusedError, match="another name"):
        load_risk_result(tmp_path, "risk-2")


def test_only_accepted_and_fit_results_are_traded_under(tmp_path: Path) -> None:
    assert accepted_genome(tmp_path) is None
    store(tmp_path, "risk-20250101-000000", "lost")
    store(tmp_path, "risk-20250102-000000", "undecided")
    store(tmp_path, "risk-20250103-000000", "accepted", quick_unfit(True))
    assert accepted_genome(tmp_path) is None
    store(tmp_path, "risk-20250104-000000")
    store(tmp_path, "risk-20250105-000000", "lost")
    assert accepted_genome(tmp_path) == GENOME


def test_results_are_in_the_order_of_their_times_whatever_their_names(tmp_path: Path) -> None:
    for name in ("zeta-20250101-000000", "alpha-20250103-000000", "mid-20250102-120000"):
        store(tmp_path, name)
    assert result_ids(tmp_path)[-1] == "alpha-20250103-000000"
    assert result_ids(tmp_path)[0] == "zeta-20250101-000000"


def test_texts_say_what_the_verdict_means(tmp_path: Path) -> None:
    del tmp_path
    texts = {
        verdict: RiskResult("r", GENOME, verdict, (), {}).text
        for verdict in ("accepted", "lost", "undecided")
    }
    assert texts["accepted"].startswith("accepted")
    assert texts["lost"].startswith("lost")
    assert texts["lost"].endswith("the defaults stay")
    assert texts["undecided"].endswith("the defaults stay")
    assert RiskResult("r", RiskGenome(), "lost", (), {}).text.startswith("inert")
    assert "unfit" in RiskResult("r", GENOME, "accepted", ("small",), {}).text
    json.dumps(texts)


# ---- configuration ------------------------------------------------------------------------------


def test_the_shipped_configuration_is_that_of_the_defaults() -> None:
    shipped = load_risk_config(Path("configs/risk_evolution.yaml"))
    assert shipped == RiskConfig(schema=1, dataset=shipped.dataset)
    assert shipped.genomes >= 4_000
    assert shipped.unfit() == []
    assert parse_risk_config(shipped.to_yaml()) == shipped


def test_quick_is_unfit_and_says_why() -> None:
    small = quick(parse_risk_config(DATA))
    assert small.genomes < 4_000
    assert any("genomes" in reason for reason in small.unfit())
    assert any("sealed paths" in reason for reason in small.unfit())
    assert parse_risk_config(small.to_yaml()) == small


def test_only_what_decides_the_result_is_hashed() -> None:
    config = parse_risk_config(DATA)
    elsewhere = parse_risk_config(DATA + "name: other\nexecutor: {kind: local, workers: 3}\n")
    assert elsewhere.config_hash == config.config_hash
    assert parse_risk_config(DATA + "seed: 2\n").config_hash != config.config_hash


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("scenarios: {train: 30}", "multiples of 20"),
        ("scenarios: {train: 100, batch: 40}", "does not divide"),
        ("scenarios: {warm_up: 100}", "knows no market"),
        ("scenarios: {exposure: 2.0}", "exposure"),
        ("search: {ofspring: 8}", "did you mean 'offspring'"),
    ],
)
def test_wrong_values_are_named_with_their_line(line: str, says: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse_risk_config(DATA + line + "\n", "file.yaml")
    assert says in str(found.value)
    assert "file.yaml:3" in str(found.value)


def test_a_dataset_stands_in_for_a_file() -> None:
    text = "binance_perp:BTCUSDT,ETHUSDT:4h:2021-01-01..2024-12-31"
    config = risk_config(None, text, funding="none", seed=7, workers=3)
    data = config.dataset
    assert (data.venue, data.symbols, data.interval) == (
        "binance_perp",
        ("BTCUSDT", "ETHUSDT"),
        "4h",
    )
    assert (data.start, data.end, data.funding) == ("2021-01-01", "2024-12-31", "none")
    assert (config.seed, config.executor.workers) == (7, 3)
    assert risk_config(None, "v:A:1h", quick=True).unfit()
    with pytest.raises(ConfigError, match="neither"):
        risk_config(None, None)
    with pytest.raises(ConfigError, match="names its dataset itself"):
        risk_config(Path("configs/risk_evolution.yaml"), text)
    with pytest.raises(ConfigError, match="unknown executor"):
        risk_config(None, text, executor="threads")


def test_trading_loads_results_without_anything_of_research() -> None:
    code = (
        "import sys; from genesis.system.risk_evolution import accepted_genome, load_risk_result;"
        "heavy = {'deap', 'cmaes', 'scipy', 'ray', 'mlflow', 'vectorbt', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
