"""Replay: levers decide, prices apply, a ledger remembers."""
