"""A semantic cache: answers used again for questions that mean the same."""
