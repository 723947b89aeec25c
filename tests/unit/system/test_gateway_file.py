"""Settings of a gateway in a file: what they may say, and how a mistake is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from genesis.domain.errors import ConfigError
from genesis.exchange.hyperliquid.settings import ForeignPolicy
from genesis.system.gateway_file import read_gateway


def test_values_have_their_types_and_the_command_line_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("foreign: keep\nslippage: 0.02\nleverage: {SOL: 3}\nset_leverage: true\n")
    found = read_gateway(path)
    assert found == {
        "foreign": ForeignPolicy.KEEP,
        "slippage": Decimal("0.02"),
        "leverage": {"SOL": 3},
        "set_leverage": True,
    }
    assert read_gateway(path, "cancel")["foreign"] is ForeignPolicy.CANCEL
    assert read_gateway(None) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slipage: 0.02", "did you mean 'slippage'"),
        ("network: mainnet", "sets network, which is the run's own"),
        ("slippage: 0.9", "slippage of the gateway is out of its range"),
        ("foreign: kept", "kept"),
        ("leverage: {SOL: much}", "cannot be read"),
        ("- foreign", "holds no settings"),
        ("{", "is not valid YAML"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as told:
        read_gateway(path)
    assert words in str(told.value)


def test_a_missing_file_and_an_unknown_policy_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no settings"):
        read_gateway(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="did you mean 'keep'"):
        read_gateway(None, "kept")
