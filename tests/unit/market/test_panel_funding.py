"""How much of a panel's funding is known."""

from dataclasses import replace

import numpy as np

from genesis.market.panel import partly_funded


def test_names_symbols_whose_funding_has_holes(random_panel):
    panel = random_panel()
    one = panel.symbols[0]
    known = np.where(one.valid, 1e-4, np.nan)
    places = np.flatnonzero(one.valid)
    holed = known.copy()
    holed[places[: places.size // 4]] = np.nan
    whole = replace(one, funding=known, has_funding=True)
    part = replace(one, funding=holed, has_funding=True)
    none = replace(one, funding=np.full_like(known, np.nan), has_funding=False)

    assert partly_funded(replace(panel, symbols=(whole,))) == {}
    assert partly_funded(replace(panel, symbols=(none,))) == {}
    share = partly_funded(replace(panel, symbols=(part,)))[one.symbol]
    assert abs(share - (1 - (places.size // 4) / places.size)) < 1e-12
