# pyarrow ships no types. To pyright all of it is Any, said once here.
from typing import Any

def __getattr__(name: str) -> Any: ...
