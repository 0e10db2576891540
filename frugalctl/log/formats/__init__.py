"""Foreign log formats, one module each, recognised by content."""
