"""Paper trading: the trading core on replayed or synthetic markets, and its fidelity."""
