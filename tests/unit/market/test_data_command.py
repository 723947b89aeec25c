"""`genesis data` from the command line: what it stores, prints, and how it fails."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from genesis.cli.main import dispatch

HEADER = "Date,open,high,low,close,volume\n"
GOOD = "".join(f"2024-03-01T{h:02d}:00Z,10,12,9,11,5\n" for h in range(20))


class Shell:
    """Runs commands in one workspace and reads their output."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        code = dispatch(["--home", str(self.home), "data", *words])
        out = self._capsys.readouterr()
        return code, out.out, out.err

    def json(self, *words: str) -> tuple[int, dict[str, Any]]:
        code, out, _ = self(*words, "--json")
        assert out.count("\n") == 1, "one object on stdout and nothing else"
        return code, json.loads(out)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "home", capsys)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "btc.csv"
    path.write_text(HEADER + GOOD)
    return path


def test_import_list_and_check(shell: Shell, csv: Path) -> None:
    code, payload = shell.json("import", str(csv), "--venue", "mine", "--symbol", "BTC")
    assert code == 0
    assert payload["schema"] == 1
    assert payload["ok"] is True
    (one,) = payload["imported"]
    assert (one["interval"], one["rows"], one["added"]) == ("1h", 20, 20)
    code, payload = shell.json("list")
    (series,) = payload["series"]
    assert (series["venue"], series["symbol"], series["rows"]) == ("mine", "BTC", 20)
    assert len(series["content_hash"]) == 64
    code, _, err = shell("list", "--venue", "mime")
    assert code == 2
    assert "did you mean 'mine'" in err
    for target in ([], ["mine:BTC:1h"], [str(csv)]):
        code, payload = shell.json("check", *target)
        assert code == 0
        assert payload["ok"] is True
        assert payload["checks"][0]["bars"] == 20
    code, out, err = shell("import", str(csv), "--venue", "mine", "--symbol", "BTC")
    assert code == 0
    assert "0 new" in err
    assert "1 series imported, 0 new rows" in out


def test_bad_file_is_refused_then_quarantined(shell: Shell, csv: Path) -> None:
    csv.write_text(HEADER + GOOD.replace("T07:00Z,10,12", "T07:00Z,10,2"))
    words = ["import", str(csv), "--venue", "mine", "--symbol", "BTC"]
    code, _, err = shell(*words)
    assert code == 2
    assert "1 bad rows" in err
    assert "2024-03-01T07:00Z" in err
    assert "--quarantine" in err
    assert not (shell.home / "data" / "bars").exists()
    code, payload = shell.json("check", str(csv))
    assert code == 2
    assert payload["ok"] is False
    assert payload["checks"][0]["issues"][0]["kind"] == "impossible_ohlc"
    code, payload = shell.json(*words, "--quarantine")
    assert code == 0
    assert payload["imported"][0]["quarantined"] == 1
    assert Path(payload["imported"][0]["quarantine"]).exists()


def test_conflict_needs_replace(shell: Shell, csv: Path) -> None:
    words = ["import", str(csv), "--venue", "mine", "--symbol", "BTC"]
    assert shell(*words)[0] == 0
    csv.write_text(HEADER + GOOD.replace("T07:00Z,10,12", "T07:00Z,10,13"))
    code, payload = shell.json(*words)
    assert code == 2
    assert payload["ok"] is False
    assert "1 rows differ" in payload["error"]["what"]
    assert "--replace" in payload["error"]["fix"]
    code, payload = shell.json(*words, "--replace")
    assert payload["imported"][0]["replaced"] == 1


def test_mapping_and_missing_time_column(shell: Shell, csv: Path) -> None:
    csv.write_text((HEADER + GOOD).replace("Date", "When"))
    words = ["import", str(csv), "--venue", "mine", "--symbol", "BTC"]
    code, _, err = shell(*words)
    assert code == 2
    assert "no time column" in err
    assert "--map timestamp=COLUMN" in err
    assert shell(*words, "--map", "timestamp=When")[0] == 0


def test_folder_with_one_bad_file_stores_the_others_and_says_so(
    shell: Shell, tmp_path: Path
) -> None:
    for symbol in ("A", "B"):
        folder = tmp_path / "mine" / "candles" / "v" / symbol
        folder.mkdir(parents=True)
        (folder / "1h.csv").write_text(HEADER + GOOD)
    (tmp_path / "mine/candles/v/B/1h.csv").write_text(HEADER + GOOD.replace(",11,5", ",99,5"))
    (tmp_path / "mine/candles/v/C").mkdir()
    (tmp_path / "mine/candles/v/C/1h.parquet").write_bytes(b"no parquet")
    code, payload = shell.json("import", str(tmp_path / "mine"))
    assert code == 2
    assert payload["error"]["what"] == "2 files refused, 1 stored"
    assert "B/1h.csv" in payload["error"]["why"]
    assert "C/1h.parquet" in payload["error"]["why"]
    _, payload = shell.json("list")
    assert [one["symbol"] for one in payload["series"]] == ["A"]


def test_synth_writes_a_market_once(shell: Shell) -> None:
    words = ["synth", "--assets", "2", "--bars", "300", "--plant", "trend:0.001"]
    code, payload = shell.json(*words)
    assert code == 0
    assert payload["dataset"] == "synth:SYN1,SYN2:4h"
    assert shell(*words)[0] == 0
    code, _, err = shell(*words, "--seed", "2")
    assert code == 2
    assert "--replace" in err
    assert shell(*words, "--seed", "2", "--replace")[0] == 0
    code, payload = shell.json("check", "synth:SYN1,SYN2:4h")
    assert code == 0
    assert len(payload["checks"]) == 2


def test_plants_are_explained(shell: Shell) -> None:
    code, payload = shell.json("synth", "--plants")
    assert code == 0
    assert {"trend", "carry", "decoy"} <= set(payload["plants"])
    code, _, err = shell("synth", "--plant", "trand:1")
    assert code == 2
    assert "did you mean 'trend'" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "nonsense"], "neither a file nor a dataset"),
        (["check", "mine:BTC:1h"], "data import"),
        (["import", "absent.csv"], "does not exist"),
        (["fetch", "nonsense"], "is no dataset"),
        (["fetch", "synth:A:1h"], "data synth"),
        (["fetch", "nowhere:A:1h"], "no exchange 'nowhere'"),
        (["import", "absent.csv", "--interval", "7h"], "unknown bar interval '7h'"),
    ],
)
def test_wrong_words_are_explained(shell: Shell, words: list[str], message: str) -> None:
    code, _, err = shell(*words)
    assert code == 2
    assert message in err.replace("\n", " ")


def test_empty_store_says_how_to_fill_it(shell: Shell) -> None:
    code, out, _ = shell("list")
    assert code == 0
    assert "data import" in out


@pytest.mark.parametrize("command", ["import", "fetch", "synth", "list", "check"])
def test_every_command_shows_examples(shell: Shell, command: str) -> None:
    code, out, _ = shell(command, "--help")
    assert code == 0
    assert f"genesis data {command}" in out


@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_that_semicolons_or_tabs_separate_are_read(
    shell: Shell, tmp_path: Path, mark: str
) -> None:
    path = tmp_path / "eu.csv"
    path.write_text((HEADER + GOOD).replace(",", mark))
    code, payload = shell.json("import", str(path), "--venue", "mine", "--symbol", "BTC")
    assert code == 0
    assert payload["imported"][0]["rows"] == 20
    packed = tmp_path / "eu2.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    code, payload = shell.json("import", str(packed), "--venue", "mine", "--symbol", "ETH")
    assert code == 0


def test_a_decimal_comma_is_told_of(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "eu.csv"
    path.write_text((HEADER + GOOD).replace(",", ";").replace(";12;", ";12,5;"))
    code, _, err = shell("import", str(path), "--venue", "mine", "--symbol", "BTC")
    assert code == 2
    assert "a decimal point is written as a point" in " ".join(err.split())


@pytest.mark.parametrize("keep", [0, 5, 25])
def test_a_packed_file_that_was_cut_is_told_of(shell: Shell, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress((HEADER + GOOD).encode())[:keep])
    code, _, err = shell("import", str(path), "--venue", "mine", "--symbol", "BTC")
    assert code == 2
    assert "check that the file is complete" in " ".join(err.split())
