"""Nonces per signer: what is refused, in which words."""

from __future__ import annotations

import pytest

from genesis.domain.timeline import DAY_MS
from genesis.exchange.venue.nonces import NonceBook

NOW = 1_700_000_000_000


def used(book: NonceBook, signer: str, nonce: int) -> str | None:
    refusal = book.refusal(signer, nonce, NOW)
    if refusal is None:
        book.use(signer, nonce)
    return refusal


def test_a_nonce_is_used_once_and_in_any_order() -> None:
    book = NonceBook()
    assert used(book, "a", NOW) is None
    assert used(book, "a", NOW - 5) is None
    assert used(book, "a", NOW) == f"Invalid nonce: duplicate nonce {NOW}"
    assert used(book, "b", NOW) is None, "another signer has nonces of its own"


def test_a_hundred_are_kept_and_what_is_below_them_is_too_low() -> None:
    book = NonceBook()
    for nonce in range(NOW, NOW + 101):
        assert used(book, "a", nonce) is None
    assert used(book, "a", NOW) == f"Invalid nonce: nonce too low {NOW} < {NOW + 1}"
    assert used(book, "a", NOW + 1) == f"Invalid nonce: duplicate nonce {NOW + 1}"
    assert len(book.state()["a"]) == 100


def test_fewer_than_a_hundred_leave_room_below() -> None:
    book = NonceBook()
    assert used(book, "a", NOW) is None
    assert used(book, "a", NOW - DAY_MS) is None


@pytest.mark.parametrize(
    ("offset", "word"),
    [(-2 * DAY_MS, "too low"), (-2 * DAY_MS + 1, ""), (DAY_MS - 1, ""), (DAY_MS, "too high")],
)
def test_the_window_of_time(offset: int, word: str) -> None:
    refusal = used(NonceBook(), "a", NOW + offset)
    assert (refusal is None) == (word == "")
    assert refusal is None or word in refusal


def test_state_comes_back() -> None:
    book, again = NonceBook(), NonceBook()
    for nonce in (NOW + 3, NOW, NOW + 9):
        book.use("a", nonce)
    again.restore(book.state())
    assert again.state() == {"a": [NOW, NOW + 3, NOW + 9]}
    again.forget("a")
    assert again.state() == {}
