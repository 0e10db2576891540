"""Provider prompt caches: which input tokens of a log a cache would have served."""

from frugalctl.levers.prompt_cache.engine import Outcome
from frugalctl.levers.prompt_cache.prompts import Prompts
from frugalctl.levers.prompt_cache.read import read_prompts
from frugalctl.levers.prompt_cache.settings import (
    CacheSettings,
    parse_cache_spec,
    parse_cache_table,
)
from frugalctl.levers.prompt_cache.simulate import Simulation, simulate

__all__ = [
    "CacheSettings",
    "Outcome",
    "Prompts",
    "Simulation",
    "parse_cache_spec",
    "parse_cache_table",
    "read_prompts",
    "simulate",
]
