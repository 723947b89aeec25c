"""What is of this machine, and that one place says so."""

from __future__ import annotations

import pytest

from genesis.exchange.loopback import on_loopback
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:3001", True),
        ("http://LOCALHOST:1/x", True),
        ("http://[::1]:3001", True),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost@example.org", False),
        ("https://api.hyperliquid.xyz", False),
        ("127.0.0.1:3001", False),
        ("", False),
    ],
)
def test_what_is_of_this_machine(url: str, *, here: bool) -> None:
    assert on_loopback(url) is here


def test_its_names_have_one_home() -> None:
    files = (REPOSITORY / "genesis").rglob("*.py")
    assert [one.name for one in files if '"::1"' in one.read_text()] == ["loopback.py"]
