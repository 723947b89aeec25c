"""Study configurations: every problem is told with file, line, key, value and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesis.domain.errors import ConfigError
from genesis.evolution.config import load_config, parse_config, with_overrides

GOOD = """
schema: 1
name: study
dataset:
  venue: binance_perp
  symbols: [BTCUSDT, ETHUSDT]
  interval: 1h
  from: 2021-01-01
  to: 2024-12-31
  funding: none
costs: {taker: 4.5e-4}
"""

USER = '''
from genesis import Rules, Seed, SeedKind, Window, ema, seed

@seed(kind=SeedKind.TREND)
class MyTrend(Seed):
    """Price above its average."""
    window = Window(10, 80)

    def rules(self, m):
        mean = ema(m.close, self.window)
        return Rules(long=m.close > mean, short=m.close < mean)
'''


def _message(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "x.yaml")
    return str(caught.value)


def test_defaults_are_those_of_the_specification() -> None:
    evolution = parse_config(GOOD).evolution
    assert (evolution.mutation_rate, evolution.crossover_rate, evolution.elite_ratio) == (
        0.1,
        0.8,
        0.2,
    )
    assert evolution.local_threshold == 100
    config = parse_config(GOOD)
    assert (config.split.sealed, config.split.folds) == (0.2, 4)
    assert config.constraints.min_trades == 100
    assert config.costs.taker == 4.5e-4


def test_yaml_round_trip() -> None:
    config = with_overrides(
        parse_config(GOOD),
        dataset__symbols=["on", "1e5", "null", "NEAR"],
        evolution__seed=2**40,
        constraints__min_sharpe_2x=None,
    )
    assert config.dataset.symbols == ("on", "1e5", "null", "NEAR")
    assert parse_config(config.to_yaml()) == config


def test_hash_covers_what_decides_the_result() -> None:
    config = parse_config(GOOD)
    same = with_overrides(
        config,
        name="other",
        executor__kind="ray",
        evolution__ray_workers=4,
        tracking__enabled=False,
        price_per_core_hour=0.04,
    )
    assert same.config_hash == config.config_hash
    for key, value in (
        ("evolution__seed", 2),
        ("evolution__generations", 21),
        ("costs__taker", 4e-4),
        ("split__folds", 5),
        ("dataset__to", "2024-12-30"),
        ("constraints__min_trades", 99),
        ("objectives", ["sharpe"]),
    ):
        assert with_overrides(config, **{key: value}).config_hash != config.config_hash, key


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("evolution: {generations: 0}", "evolution.generations cannot be 0"),
        ("evolution: {generations: 2.5}", "allowed: a whole number at least 1"),
        ("evolution: {populaton_size: 9}", "did you mean 'population_size'"),
        ("evolution: {mutation_rate: 1.5}", "at least 0.0 and at most 1.0"),
        ("evolution: {mutation_rate: .nan}", "evolution.mutation_rate cannot be nan"),
        ("evolution: {seed: yes}", "evolution.seed cannot be 'yes'"),
        ("evolution: {filters: 1}", "true or false"),
        ("evolution: {population_size: 10, islands: 4}", "at least 16 are needed"),
        ("evolution: {immigrants: 0.8, library: 0.2}", "less than a tenth to breed"),
        ("objectives: [sharp]", "did you mean 'sharpe'"),
        ("objectives: []", "a list of 1 to 3"),
        ("objectives: [sharpe, sharpe]", "names an objective twice"),
        ("executor: {kind: rayy}", "did you mean 'ray'"),
        ("executor: {kind: local, address: '1.2.3.4:5'}", "no meaning for executor.kind local"),
        ("constraints: {min_exposure: 0.5, max_exposure: 0.4}", "not below max_exposure"),
        ("seeds: {families: [emacross]}", "did you mean 'ema_cross'"),
        ("seeds: {families: []}", "names no family"),
        ("seeds: {paths: [absent.py]}", "does not exist"),
        ("split: 3", "must be a block of keys"),
        ("split: {sealed: 0.01}", "at least 0.05 and at most 0.8"),
        ("tracking: {url: x}", "did you mean 'uri'"),
    ],
)
def test_wrong_values_are_told(line: str, expected: str) -> None:
    assert expected in _message(GOOD + line)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("4.5e-4", "-1e-4", "costs.taker cannot be -0.0001"),
        ("interval: 1h", "interval: 1hr", "dataset.interval cannot be '1hr' - did you mean '1h'"),
        ("from: 2021-01-01", "from: 2025-01-01", "dataset.to is not after dataset.from"),
        ("from: 2021-01-01", "from: soon", "write 2024-01-31"),
        ("[BTCUSDT, ETHUSDT]", "[BTCUSDT, BTCUSDT]", "BTCUSDT more than once"),
        ("funding: none", "funding: nothing", "required, none, constant:RATE"),
        ("schema: 1", "schema: 2", "schema cannot be 2; allowed: 1"),
        ("name: study", "name: a/b", "letters, digits"),
        ("name: study\n", "", "name is missing"),
        ("name: study", "name: study\nname: twice", "'name' is written twice"),
        ("symbols: [", "symbols: [[", "is not valid YAML"),
        ("name: study", "name: 08", "is not valid YAML"),
    ],
)
def test_wrong_dataset_is_told(old: str, new: str, expected: str) -> None:
    assert expected in _message(GOOD.replace(old, new))


def test_the_command_line_has_no_lines() -> None:
    with pytest.raises(ConfigError, match=r"^command line: evolution\.generations cannot be 0"):
        with_overrides(parse_config(GOOD), evolution__generations=0)


def test_all_problems_at_once_with_their_lines() -> None:
    text = GOOD.replace("taker: 4.5e-4", "taker: -1") + "evolution:\n  generations: 0\n  x: 1\n"
    message = _message(text)
    assert "x.yaml has 3 problems" in message
    assert "x.yaml:11: costs.taker cannot be -1" in message
    assert "x.yaml:13: evolution.generations" in message
    assert "x.yaml:14: evolution.x is not a key" in message


def test_text_that_is_no_mapping() -> None:
    assert "not a mapping" in _message("- 1\n- 2\n")
    assert "not a mapping" in _message("")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no configuration"):
        load_config(tmp_path / "absent.yaml")


def test_user_families_are_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(USER)
    path = tmp_path / "study.yaml"
    path.write_text(GOOD + "seeds: {paths: [mine.py], families: [my_trend]}\n")
    config = load_config(path)
    assert config.seeds.paths == (str((tmp_path / "mine.py").resolve()),)
    assert load_config(path).config_hash == config.config_hash


def test_ml_family_without_its_island() -> None:
    text = "seeds: {families: [linear_svc]}\nevolution: {ml_island: {enabled: false}}"
    assert "evolution.ml_island.enabled is false" in _message(GOOD + text)
