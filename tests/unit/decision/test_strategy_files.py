"""Strategy files: what is written is read back equal, what is wrong is named, gates stay."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.decision.ports import Wish
from genesis.decision.stages import Target
from genesis.decision.strategy_files import ConfigStrategyLoader, StrategyFile
from genesis.domain.errors import GenesisError, InputError, RefusedError
from genesis.strategy.language import Market, ema, rsi
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from tests.unit.decision.deployment_desk import ACCOUNT, OTHER, Desk


def strategy(size: float = 0.05, stop: float = 2.0) -> Strategy:
    m = Market()
    rules = Rules(ema(m.close, 5) > ema(m.close, 20), rsi(m.close, 14) > 70)
    return Strategy(rules, PolicyParams(size=size, stop_atr=stop))


def file_of(one: Strategy) -> StrategyFile:
    wishes = (
        Wish(one.id, ACCOUNT, Target.TESTNET, ("BTC", "ETH"), Decimal("2000.5")),
        Wish(one.id, OTHER, Target.MAINNET, ("BTC",), Decimal(100)),
    )
    return StrategyFile(one, wishes)


def loader(desk: Desk, *known: str) -> ConfigStrategyLoader:
    return ConfigStrategyLoader(lambda name: name in known, desk.manager.register)


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_a_file_is_read_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"s{suffix}"
    file = file_of(strategy())
    ConfigStrategyLoader.save(path, file)
    assert ConfigStrategyLoader.load(path) == file
    text = path.read_text()
    ConfigStrategyLoader.save(path, ConfigStrategyLoader.load(path))
    assert path.read_text() == text
    if suffix == ".json":
        assert json.loads(text)["schema"] == 1


@settings(max_examples=40, deadline=None)
@given(st.floats(0.005, 1.0), st.floats(0.5, 8.0), st.integers(1, 10**9))
def test_numbers_survive_to_the_last_bit(size: float, stop: float, cents: int) -> None:
    import tempfile

    one = strategy(size, stop)
    wish = Wish(one.id, ACCOUNT, Target.LOOPBACK, ("BTC",), (Decimal(cents) / 100).normalize())
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.yaml", "a.json"):
            path = Path(folder) / name
            ConfigStrategyLoader.save(path, StrategyFile(one, (wish,)))
            found = ConfigStrategyLoader.load(path)
            assert found.strategy.id == one.id
            assert found.wishes == (wish,)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"schema": 1,\n "kind"', '"schema": 2,\n "kind"', "schema"),
        ('"kind": "strategy"', '"kind": "other"', "kind"),
        ('"deployments"', '"deploy"', "did you mean 'deployments'"),
        ('"cap": "100"', '"cap": 100', "deployments.1.cap"),
        ('"cap": "100"', '"cap": "-5"', "no amount"),
        ('"cap": "100"', '"cap": "1.005"', "no amount"),
        ('"target": "mainnet"', '"target": "mainet"', "did you mean 'mainnet'"),
        ('"target": "mainnet"', '"stage": "live_100"', "stage is not a key"),
        (OTHER, "0x12", "no address"),
        ('"size": 0.05', '"size": 0.06', "the strategy's id is"),
        ("ema(", "__import__(", "unknown primitive '__import__'"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "s.json"
    ConfigStrategyLoader.save(path, file_of(strategy()))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(GenesisError) as caught:
        ConfigStrategyLoader.load(path)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "!!python/object/apply:os.system [id]", "\x00"])
def test_no_strategy_file_is_told_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(InputError):
        ConfigStrategyLoader.load(path)
    with pytest.raises(InputError):
        ConfigStrategyLoader.load(tmp_path / "none")


def test_an_account_is_named_once(tmp_path: Path) -> None:
    one = strategy()
    wish = Wish(one.id, ACCOUNT, Target.TESTNET, ("BTC",), Decimal(10))
    path = tmp_path / "s.yaml"
    ConfigStrategyLoader.save(path, StrategyFile(one, (wish, wish)))
    with pytest.raises(InputError, match="named twice"):
        ConfigStrategyLoader.load(path)


def test_activating_registers_candidates_and_nothing_more(tmp_path: Path) -> None:
    desk, one = Desk(tmp_path / "home"), strategy()
    path = tmp_path / "s.yaml"
    ConfigStrategyLoader.save(path, file_of(one))
    with pytest.raises(RefusedError, match="is not in this workspace"):
        loader(desk).activate(path, "ann")
    done = loader(desk, one.id).activate(path, "ann")
    assert [(d.stage, d.account, d.target) for d in done] == [
        ("candidate", ACCOUNT, Target.TESTNET),
        ("candidate", OTHER, Target.MAINNET),
    ]
    assert done[0].symbols == ("BTC", "ETH")
    assert done[0].cap == Decimal("2000.5")
    assert desk.changes()[0].reason == "from s.yaml"
    with pytest.raises(RefusedError, match="already"):
        loader(desk, one.id).activate(path, "ann")


def test_a_file_without_deployments_cannot_be_activated(tmp_path: Path) -> None:
    desk, one = Desk(tmp_path / "home"), strategy()
    path = tmp_path / "s.yaml"
    ConfigStrategyLoader.save(path, StrategyFile(one))
    with pytest.raises(RefusedError, match="says nowhere"):
        loader(desk, one.id).activate(path, "ann")
