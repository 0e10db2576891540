"""Shorter prompts: what is kept, what is dropped, and how to have the original back."""
