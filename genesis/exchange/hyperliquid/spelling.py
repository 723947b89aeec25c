"""What was sent other than it was asked: prices and sizes that were put on the exchange's grid.

Those who asked compare what they asked for with what rests; so the exchange's numbers are given
back in the words of the request, also by a later process.
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

from genesis.domain.errors import StorageError

KEPT = 4_096


class Spelling:
    """Asked and sent numbers of orders, by client id.

    Parameters
    ----------
    path : Path
        File of one JSON line an order; written before the order is sent.

    Raises
    ------
    StorageError
        If it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[Decimal | None, Decimal, Decimal, Decimal]] = {}
        try:
            if path.exists():
                self._load(path.read_text(encoding="utf-8"))
            text = "".join(self._line(client_id) for client_id in self._known)
            temporary = path.with_suffix(".tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.chmod(0o600)
            os.replace(temporary, path)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{path} cannot be written", why=str(error)) from None

    def note(
        self,
        client_id: str,
        asked_price: Decimal | None,
        asked_size: Decimal,
        sent_price: Decimal,
        sent_size: Decimal,
    ) -> None:
        """Remember an order before it is sent; one that was sent as asked needs no memory.

        Raises
        ------
        StorageError
        """
        same = asked_price in (None, sent_price) and asked_size == sent_size
        if same and client_id not in self._known:
            return
        self._known.pop(client_id, None)
        self._known[client_id] = (asked_price, asked_size, sent_price, sent_size)
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        try:
            self._file.write(self._line(client_id))
            self._file.flush()
        except (OSError, ValueError) as error:
            raise StorageError(f"{self._path} cannot be written", why=str(error)) from None

    def price(self, client_id: str, price: Decimal) -> Decimal:
        """Price that was asked for where this one was sent."""
        asked_price, _, sent, _ = self._known.get(client_id, (None, price, price, price))
        return asked_price if asked_price is not None and sent == price else price

    def size(self, client_id: str, size: Decimal) -> Decimal:
        """Size that was asked for where this one was sent."""
        _, asked, _, sent = self._known.get(client_id, (None, size, size, size))
        return asked if sent == size else size

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _line(self, client_id: str) -> str:
        numbers = [None if n is None else str(n) for n in self._known[client_id]]
        return json.dumps([client_id, *numbers]) + "\n"

    def _load(self, text: str) -> None:
        for line in text.splitlines():
            try:
                client_id, price, *rest = json.loads(line)
                asked_size, sent_price, sent_size = (Decimal(n) for n in rest)
            except (ValueError, TypeError, ArithmeticError):
                continue  # the last line of a process that was killed while it wrote
            self._known.pop(client_id, None)
            asked = None if price is None else Decimal(price)
            self._known[client_id] = (asked, asked_size, sent_price, sent_size)
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
