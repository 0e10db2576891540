"""What learned models are made of: boosted trees as arrays, and files without pickles."""
