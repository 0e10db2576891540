"""Cascades: call a cheap model first, go on only while its score is low."""

from frugalctl.levers.cascade.policy import CascadePolicy, Decisions, decide

__all__ = ["CascadePolicy", "Decisions", "decide"]
