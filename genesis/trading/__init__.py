"""The trading core: event bus and store, the loop, orders, ledger, journal, positions, replay."""
