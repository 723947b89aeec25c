"""Values that are out of range are told of by the option that set them."""

from __future__ import annotations

from tests.unit.cli.conftest import Small


def test_paper_run_names_the_option(small: Small) -> None:
    (best, *_) = small.run("strategies", "list", "--json").json["strategies"]
    line = ("paper", "run", best["id"], "--dataset", "synth:SYN1:4h", "--funding", "none")
    error = small.run(*line, "--leverage", "0", "--json").error
    assert error["what"] == "--leverage 0.0 is not allowed"
    assert error["fix"] == "it must be within [1, 100]"


def test_backtest_names_the_option(small: Small) -> None:
    (best, *_) = small.run("strategies", "list", "--json").json["strategies"]
    line = ("backtest", best["id"], "-d", "synth:SYN1:4h", "--leverage", "0", "--json")
    assert small.run(*line).error["what"] == "--leverage 0.0 is not allowed"
