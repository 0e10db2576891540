# sklearn ships no types. To pyright what we take of it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
