"""From the name in a log to the name in a price list. Never by likeness: by rule, or not at all.

The ladder: the exact name; an alias; the name without its provider's prefix and without the
decorations of Bedrock, Vertex, Azure and fine-tuning; the name without its snapshot date. Then the
same names in litellm's map. A dated name with prices of its own wins over the undated one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frugalctl.prices.book import PriceBook

API = "api"
HOSTS = frozenset({"groq"})
"""Providers that serve other people's models: named by the log, or not meant."""

_API_NAMES = {
    "openai": "openai text-completion-openai",
    "anthropic": "anthropic",
    "google": "google gemini gcp.gemini gcp.gen_ai google_genai google_ai_studio google-gla",
    "deepseek": "deepseek",
    "xai": "xai x_ai x-ai x.ai",
    "groq": "groq",
    "mistral": "mistral mistral_ai mistralai text-completion-codestral codestral",
    "moonshot": "moonshot moonshotai moonshot_ai kimi",
    "cohere": "cohere cohere_chat",
    "fireworks_ai": "fireworks_ai fireworks fireworks_ai-embedding-models",
    "together_ai": "together_ai together",
    "watsonx": "watsonx ibm.watsonx.ai",
    "alibaba": "alibaba dashscope qwen alibaba_cloud aliyun qwencloud",
}
_SURFACE_NAMES = {
    "azure": "azure azure_ai azure_text azure_openai az.ai.openai az.ai.inference azure.ai.openai",
    "bedrock": "bedrock aws.bedrock aws_bedrock amazon_bedrock bedrock_converse bedrock_mantle",
    "vertex": "vertex vertexai vertex_ai gcp.vertex_ai google_vertex google-vertex",
    "": "litellm litellm_proxy unknown other",
}
_TIER_NAMES = {
    "": "standard",
    "default": "standard",
    "auto": "standard",
    "standard": "standard",
    "on_demand": "standard",
}
_ANYWHERE = frozenset({"", "global", "default", "not_available"})
LITELLM_PREFIXES = {
    "google": ("gemini",),
    "alibaba": ("dashscope",),
    "azure": ("azure", "azure_ai"),
    "vertex": ("vertex_ai",),
}
_VENDOR_OWNER = {"mistral": "mistral", "moonshot": "moonshot", "moonshotai": "moonshot"} | {
    name: name for name in ("anthropic", "openai", "deepseek")
}

_RESOURCE = re.compile(
    r"^(?:arn:[^/]*/|(?:projects/.*/)?(?:locations/.*/)?(?:publishers/[^/]+/)?models/)"
)
_BEDROCK = re.compile(
    r"^(?:[a-z0-9-]+/)?(?:(?:us|eu|apac|ap|jp|au|ca|sa|global|us-gov)\.)?"
    r"([a-z0-9]+)\.([a-z].*?)(?:-v\d+)?(?::\d+[a-z0-9:]*)?$"
)
_FINE_TUNED = re.compile(r"^(ft:[^:]+):.*$")
_AZURE_FINE_TUNED = re.compile(r"^(.+)\.ft-.*$")
_SNAPSHOTS = (
    re.compile(r"-preview-\d\d-\d{2,4}$"),
    re.compile(r"-\d{4}-\d\d-\d\d$"),
    re.compile(r"-20\d{6}$"),
    re.compile(r"-latest$"),
    re.compile(r"(?<=[a-z])-00\d$"),
)


@dataclass(frozen=True, slots=True)
class ModelKey:
    """A model of a price list.

    Attributes:
        provider: whose list.
        model: the name in it.
        surface: where the call was bought: "api", "azure", "bedrock", "vertex".
        origin: "book" or "litellm".
        note: what the resolution had to assume, "" if nothing.
    """

    provider: str
    model: str
    surface: str = API
    origin: str = "book"
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """What is known of where a model was called; None is unknown."""

    owner: str | None = None
    surface: str | None = None


_PLACES = {
    name: _Place(owner, API) for owner, names in _API_NAMES.items() for name in names.split()
} | {
    name: _Place(None, surface or None)
    for surface, names in _SURFACE_NAMES.items()
    for name in names.split()
}


def resolve_model(book: PriceBook, model: str, provider: str | None) -> ModelKey | None:
    """Find a model's prices.

    Args:
        book: the price book.
        model: as the log names it ("gpt-4o", "bedrock/us.anthropic.claude-3-haiku-20240307-v1:0").
        provider: as the log names it, in litellm's or OpenTelemetry's way; None if it does not.

    Returns:
        The key, or None for a model that neither the book nor litellm's map knows.
    """
    names = list(_list_names(model, _read_place(provider)))
    for find in (_find_in_book, _find_in_litellm):
        for name, place in names:
            found = find(book, name, place)
            if found is not None:
                return _move_to_surface(book, found, names)
    return None


def normalize_tier(tier: str | None) -> str:
    """The book's word for a service tier; a tier that it does not know stays as it is."""
    lower = (tier or "").strip().lower()
    return _TIER_NAMES.get(lower, lower)


def normalize_region(region: str | None) -> str:
    """The book's word for a processing region, "" for none in particular."""
    lower = (region or "").strip().lower()
    return "" if lower in _ANYWHERE else lower


def _read_place(provider: str | None) -> _Place:
    if not provider:
        return _Place()
    name = provider.strip().lower()
    if name.startswith("vertex_ai"):
        name = "vertex_ai"
    return _PLACES.get(name, _Place(name, API))


def _list_names(model: str, place: _Place) -> Iterator[tuple[str, _Place]]:
    """The names to try, from the one given to the barest, each with what it says of the place."""
    name = model.strip()
    yield name, place
    for undecorated in (_strip_prefix, _strip_cloud, _strip_tuning):
        stripped = undecorated(name, place)
        while stripped is not None:
            name, place = stripped
            yield name, place
            stripped = undecorated(name, place)
    for snapshot in _SNAPSHOTS:
        bare = snapshot.sub("", name)
        if bare != name:
            name = bare
            yield name, place


def _strip_prefix(name: str, place: _Place) -> tuple[str, _Place] | None:
    if match := _RESOURCE.match(name):
        return name[match.end() :], place
    head, slash, rest = name.partition("/")
    prefix = _PLACES.get(head.lower())
    if not slash or prefix is None:
        return None
    if place.owner and prefix.owner and place.owner != prefix.owner:
        return None
    surface = prefix.surface if prefix.surface not in (None, API) else place.surface
    return rest, _Place(place.owner or prefix.owner, surface or prefix.surface)


def _strip_cloud(name: str, place: _Place) -> tuple[str, _Place] | None:
    bedrock = _BEDROCK.match(name)
    if bedrock and bedrock[1] in _VENDOR_OWNER:
        return bedrock[2], _Place(_VENDOR_OWNER[bedrock[1]], "bedrock")
    if "@" in name:
        bare = name.replace("@default", "").replace("@", "-")
        return bare, _Place(place.owner, place.surface or "vertex")
    if name.startswith("claude-") and "." in name:
        return name.replace(".", "-"), place
    return None


def _strip_tuning(name: str, place: _Place) -> tuple[str, _Place] | None:
    if match := _FINE_TUNED.match(name):
        return match[1], place
    if match := _AZURE_FINE_TUNED.match(name):
        return f"ft:{match[1]}", place
    return None


def _find_in_book(book: PriceBook, name: str, place: _Place) -> ModelKey | None:
    lower = name.lower()
    for owner in [place.owner] if place.owner else book.list_owners(lower):
        model = book.aliases.get((owner, lower), lower)
        if (owner, model) in book.sets:
            return ModelKey(owner, model, place.surface or API)
    return None


def _move_to_surface(book: PriceBook, key: ModelKey, names: list[tuple[str, _Place]]) -> ModelKey:
    """The prices of the cloud that sold the call, where somebody lists them."""
    if key.origin != "book" or key.surface == API:
        return key
    if any(one.surface == key.surface for one in book.sets[key.provider, key.model]):
        return key
    for name, _ in names:
        found = _find_in_litellm(book, name, _Place(key.provider, key.surface))
        if found is not None:
            return found
    note = f"no price for {key.surface}: priced as {key.provider}'s own API"
    return ModelKey(key.provider, key.model, API, note=note)


def _find_in_litellm(book: PriceBook, name: str, place: _Place) -> ModelKey | None:
    entries = book.litellm.entries
    place_name = place.owner if place.surface in (None, API) else place.surface
    prefixes = LITELLM_PREFIXES.get(place_name or "", (place_name,) if place_name else ())
    for key in (name, *(f"{prefix}/{name}" for prefix in prefixes)):
        if key not in entries:
            continue
        theirs = _read_place(book.litellm.provider_of(key))
        surface = theirs.surface or API
        owner = theirs.owner or surface
        if _agree(place, theirs) and book.fallback_sets(key, owner)[0]:
            return ModelKey(owner, key, surface, origin="litellm")
    return None


def _agree(asked: _Place, theirs: _Place) -> bool:
    if asked.surface not in (None, API):
        return asked.surface == theirs.surface
    return asked.owner is None or asked.owner == theirs.owner
