"""Dated prices, and what calls cost by them. Names are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frugalctl.prices.book import PriceBook, load_book
    from frugalctl.prices.cost import Calls, Priced, price_calls
    from frugalctl.prices.quote import Quote, explain_unpriced, quote_call
    from frugalctl.prices.resolve import ModelKey
    from frugalctl.prices.rows import PriceRow, PriceSet
    from frugalctl.prices.schedule import TOKEN_CLASSES, UNKNOWN_TIME

__all__ = [
    "TOKEN_CLASSES",
    "UNKNOWN_TIME",
    "Calls",
    "ModelKey",
    "PriceBook",
    "PriceRow",
    "PriceSet",
    "Priced",
    "Quote",
    "explain_unpriced",
    "load_book",
    "price_calls",
    "quote_call",
]

_MODULE_OF = {
    "TOKEN_CLASSES": "schedule",
    "UNKNOWN_TIME": "schedule",
    "Calls": "cost",
    "Priced": "cost",
    "Quote": "quote",
    "explain_unpriced": "quote",
    "quote_call": "quote",
    "price_calls": "cost",
    "ModelKey": "resolve",
    "PriceBook": "book",
    "load_book": "book",
    "PriceRow": "rows",
    "PriceSet": "rows",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
