"""Prompt templates: read from files, found again in a log, rendered anew."""
