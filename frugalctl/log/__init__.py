"""The request log: schema, streaming readers, foreign formats, writers."""
