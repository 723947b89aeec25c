"""Entry scales: what a risk manager left of each entry, handed to the policy pass."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError
from genesis.market.panel import Panel

Floats = npt.NDArray[np.float64]


def scales_by_place(panel: Panel, scales: Mapping[str, Floats]) -> dict[int, Floats]:
    """Check entry scales, and find their symbols in a panel.

    Parameters
    ----------
    panel : Panel
    scales : mapping of str to float64, shape (T,)
        By symbol: the share that is left of an entry decided at the close of each bar, 0 to 1.

    Returns
    -------
    dict of int to float64, shape (T,)
        By the place of the symbol in the panel.

    Raises
    ------
    InputError
        If scales are of an unknown symbol, of another length, or not within 0 and 1.
    """
    places = {series.symbol: place for place, series in enumerate(panel.symbols)}
    for symbol, values in scales.items():
        if symbol not in places:
            raise InputError(
                f"entry scales of {symbol}, which the panel does not have",
                fix=f"give them for {', '.join(places)}",
            )
        shaped = values.dtype == np.float64 and values.shape == (panel.bars,)
        if not (shaped and bool(np.all((values >= 0.0) & (values <= 1.0)))):
            raise InputError(
                f"the entry scales of {symbol} are not shares of a size, one for each bar",
                why=f"they are {values.dtype} of shape {values.shape}",
                fix=f"give {panel.bars} numbers from 0 to 1",
            )
    return {places[symbol]: np.ascontiguousarray(values) for symbol, values in scales.items()}
