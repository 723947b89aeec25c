"""Progress of a validation: few lines without a terminal, and an ETA that deserves its name."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from genesis.cli.validation_progress import ValidationProgress


class HandClock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return int(1000 * self.seconds)


def progress(*, terminal: bool = False) -> tuple[ValidationProgress, HandClock, StringIO]:
    """A display into a string, with its clock."""
    text, clock = StringIO(), HandClock()
    console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
    return ValidationProgress(console, clock, ("sign", "shuffle")), clock, text


def test_a_hundred_reruns_are_a_few_lines() -> None:
    told, clock, text = progress()
    for done in range(101):
        told("sign", done, 100)
        clock.seconds += 2.0
    lines = text.getvalue().splitlines()
    assert len(lines) == 5
    # 80 left of this kind and 100 of the next, two seconds each.
    assert lines[0] == "sign        20 of 100 reruns on sign-randomised markets  ETA 6 min 00 s"
    assert lines[-1].startswith("sign        100 of 100 reruns")
    assert lines[-1].endswith("3 min 20 s")


def test_what_was_finished_earlier_does_not_count_as_speed() -> None:
    told, clock, text = progress()
    told("shuffle", 50, 100)
    clock.seconds = 10.0
    told("shuffle", 60, 100)
    assert "ETA 40.0 s" in text.getvalue()


def test_short_steps_are_one_line_each_and_long_ones_some_more() -> None:
    told, clock, text = progress()
    for done in range(1, 51):
        told("trials", done, 50)
        clock.seconds += 0.1
    for done in range(1, 51):
        told("noise", done, 50)
        clock.seconds += 3.0
    names = [line.split()[0] for line in text.getvalue().splitlines()]
    assert names.count("trials") == 1
    assert 2 <= names.count("noise") <= 5


def test_a_kind_that_was_decided_early_says_so_and_an_interrupted_one_does_not() -> None:
    told, _, text = progress()
    told("sign", 0, 19)
    told("sign", 2, 19)
    told("shuffle", 0, 19)
    told("shuffle", 1, 19)
    told.stop()
    lines = text.getvalue().splitlines()
    assert lines == ["sign        2 of 19 reruns on sign-randomised markets  decided early  0.0 s"]
    finished, _, text = progress()
    finished("shuffle", 1, 19)
    finished.finish()
    finished.stop()
    assert "decided early" in text.getvalue()


def test_no_strategy_to_measure_is_no_division_by_nothing() -> None:
    told, _, text = progress()
    told("candidates", 0, 0)
    told.stop()
    assert text.getvalue().startswith("candidates  0 of 0")


def test_a_terminal_shows_the_step_and_its_eta() -> None:
    told, clock, text = progress(terminal=True)
    told("sign", 0, 19)
    clock.seconds = 5.0
    told("sign", 1, 19)
    assert told._live is not None
    told._live.refresh()
    told.stop()
    assert told._live is None
    assert "1 of 19" in text.getvalue()
    assert "at most 3 min 05 s" in text.getvalue()  # 18 + 19 reruns of 5 s


def test_that_it_is_being_stopped_is_told_at_once() -> None:
    told, _, text = progress()
    told("sign", 3, 19)
    told("stopping", 0, 1)
    told.stop()
    assert text.getvalue().splitlines()[-1] == "stopping; what is finished is kept…"
    assert "decided early" not in text.getvalue()
    shown, _, screen = progress(terminal=True)
    shown("sign", 3, 19)
    shown("stopping", 0, 1)
    assert shown._live is None
    assert "stopping" in screen.getvalue()
