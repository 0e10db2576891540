"""What `check` found, one renderer a module."""
