"""What was done before is said to have been: a finished run, an import, an export."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import Small


def test_a_finished_run_that_is_resumed_is_told_of_first(small: Small) -> None:
    answer = small.run("evolve", "--resume", "small")
    assert answer.code == 0
    assert answer.out.startswith("small is finished already: nothing is searched any more")
    quiet = small.run("evolve", "--resume", "small", "--json")
    assert quiet.err.startswith("small is finished already")
    assert quiet.json["status"] == "finished"


def test_a_second_import_says_that_it_is_here(small: Small, tmp_path: Path) -> None:
    best = small.run("strategies", "list", "--json").json["strategies"][0]["id"]
    file = tmp_path / "best.json"
    assert small.run("strategies", "export", best, "--out", str(file)).code == 0
    other = Small(tmp_path / "other", small.lenient, small.strict)
    first = other.run("strategies", "import", str(file), "--json").json
    again = other.run("strategies", "import", str(file), "--json").json
    assert (first["already_here"], again["already_here"]) == (False, True)
    assert other.run("strategies", "import", str(file)).out.startswith(f"already here: {best}\n")


def test_an_export_replaces_nothing_unasked(small: Small, tmp_path: Path) -> None:
    best = small.run("strategies", "list", "--json").json["strategies"][0]["id"]
    file, archive = tmp_path / "best.json", tmp_path / "best.ledgers.zip"
    file.write_text("mine")
    line = ("strategies", "export", best, "--out", str(file))
    for kept in (file, archive):
        error = small.run(*line, "--json").error
        assert error["what"] == f"{kept} exists"
        assert "--force" in error["fix"]
        file.unlink(missing_ok=True)
        archive.write_text("mine")
    assert archive.read_text() == "mine"
    assert small.run(*line, "--force").out.startswith(f"{file}\n")
    assert archive.read_bytes() != b"mine"
