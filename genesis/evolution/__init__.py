"""The search: population, operators, islands, archive, trial ledger, executors, tracking."""
