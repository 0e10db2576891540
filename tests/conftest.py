"""How the property tests run: the same examples each time, however slow the machine.

`FRUGALCTL_EXPLORE=1` draws new examples instead.
"""

import os

from hypothesis import settings

settings.register_profile(
    "frugalctl", deadline=None, derandomize=not os.environ.get("FRUGALCTL_EXPLORE")
)
settings.load_profile("frugalctl")
