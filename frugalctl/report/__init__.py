"""Reports, differences and gates, read from a ledger."""
