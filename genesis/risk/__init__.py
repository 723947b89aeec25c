"""Risk checks: pure, fed with snapshots of the ledger."""
