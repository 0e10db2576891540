"""Guards: what must agree before one question's answer is used for another.

Similar vectors do not tell "enable" from "disable", C from C++, or Paris to London from London to
Paris. Each guard reads both texts and refuses a pair when it finds such a difference.
"""

from __future__ import annotations

from frugalctl.levers.semantic_cache.guards.check import (
    check_guards,
    find_refusal,
    find_refusals,
)

__all__ = ["check_guards", "find_refusal", "find_refusals"]
