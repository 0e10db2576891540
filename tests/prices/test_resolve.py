import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalctl.prices import load_book

BOOK = load_book()


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        ("gpt-4o", None, "openai gpt-4o"),
        (" GPT-4o ", "OpenAI", "openai gpt-4o"),
        ("openai/gpt-4o", None, "openai gpt-4o"),
        ("litellm_proxy/openai/gpt-4o", None, "openai gpt-4o"),
        ("gpt-4o", "litellm", "openai gpt-4o"),
        ("gpt-4o-2024-08-06", None, "openai gpt-4o-2024-08-06"),
        ("gpt-4o-2024-11-20", "openai", "openai gpt-4o-2024-11-20"),
        ("gpt-5.4-2026-03-05", "openai", "openai gpt-5.4"),
        ("gpt-4-0613", None, "openai gpt-4-0613"),
        ("gpt-5.6", None, "openai gpt-5.6-sol"),
        ("gpt-5-chat-latest", None, "openai gpt-5-chat-latest"),
        ("ft:gpt-4o-mini-2024-07-18:org::id", None, "openai ft:gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18.ft-abc", "openai", "openai ft:gpt-4o-mini"),
        ("anthropic/claude-3-5-sonnet-20241022", None, "anthropic claude-3-5-sonnet"),
        ("claude-3-5-sonnet-latest", "anthropic", "anthropic claude-3-5-sonnet"),
        ("claude-opus-4.5", None, "anthropic claude-opus-4-5"),
        ("claude-sonnet-4-20250514", None, "anthropic claude-sonnet-4"),
        ("claude-opus-4-0", None, "anthropic claude-opus-4"),
        ("models/gemini-2.5-flash", "gemini", "google gemini-2.5-flash"),
        ("gemini-2.5-flash", "google", "google gemini-2.5-flash"),
        ("gemini-2.5-flash-preview-09-2025", "gcp.gemini", "google gemini-2.5-flash"),
        ("gemini-2.5-flash-preview-05-20", None, "google gemini-2.5-flash-preview-05-20"),
        ("gemini-1.5-pro-002", None, "google gemini-1.5-pro"),
        ("deepseek/deepseek-chat", None, "deepseek deepseek-chat"),
        ("grok-4-fast-reasoning", "x-ai", "xai grok-4-fast"),
        ("groq/openai/gpt-oss-120b", None, "groq openai/gpt-oss-120b"),
        ("openai/gpt-oss-120b", "groq", "groq openai/gpt-oss-120b"),
        ("mistral-large-latest", "mistralai", "mistral mistral-large-latest"),
        ("codestral-latest", "mistral", "mistral codestral"),
        ("qwen-plus", "dashscope", "alibaba qwen-plus"),
    ],
)
def test_names_that_the_book_knows(model, provider, expected):
    key = BOOK.resolve(model, provider)
    assert key is not None
    assert f"{key.provider} {key.model}" == expected
    assert (key.origin, key.surface, key.note) == ("book", "api", "")


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        ("gpt-4o", "azure", "azure azure/gpt-4o"),
        ("azure/gpt-4o-2024-11-20", None, "azure azure/gpt-4o-2024-11-20"),
        ("gpt-4o", "az.ai.openai", "azure azure/gpt-4o"),
        (
            "bedrock/us.anthropic.claude-3-5-sonnet-20241022-v2:0",
            None,
            "bedrock us.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        (
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws.bedrock",
            "bedrock anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("claude-3-haiku@20240307", "vertex_ai", "vertex vertex_ai/claude-3-haiku@20240307"),
        ("publishers/google/models/gemini-2.5-pro", "gcp.vertex_ai", "vertex gemini-2.5-pro"),
    ],
)
def test_clouds_have_their_own_prices_in_litellm(model, provider, expected):
    key = BOOK.resolve(model, provider)
    assert key is not None and key.origin == "litellm"
    assert f"{key.surface} {key.model}" == expected


def test_a_cloud_without_a_price_takes_the_providers_own_and_says_so():
    key = BOOK.resolve("gemini-1.5-pro", "vertex_ai")
    assert key is not None
    assert (key.provider, key.model, key.origin) == ("google", "gemini-1.5-pro", "book")
    assert key.note == "no price for vertex: priced as google's own API"
    assert load_book(use_litellm=False).resolve("azure/gpt-4o").note


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("llama3.1-8b", None),
        ("llama3.1-405b", None),
        ("openai/gpt-oss-120b", None),
        ("gpt-4o", "together_ai"),
        ("gpt-4o", "groq"),
        ("openai/gpt-4o", "openrouter"),
        ("anthropic/claude-opus-5", "openai"),
        ("gpt-4", "anthropic"),
        ("gpt", None),
        ("gpt-4o-mini-turbo", None),
        ("claude", None),
        ("azure/my-deployment", None),
        ("mistral-large-9999", "mistral"),
        ("", None),
        ("/", None),
        ("openai/", "openai"),
    ],
)
def test_never_by_likeness(model, provider):
    assert BOOK.resolve(model, provider) is None


def test_every_model_of_the_book_resolves_to_itself():
    for provider, model in BOOK.sets:
        key = BOOK.resolve(model, provider)
        assert key is not None and (key.provider, key.model, key.origin) == (
            provider,
            model,
            "book",
        )


def test_the_same_model_with_and_without_provider():
    for provider, model in BOOK.sets:
        if provider != "groq":
            assert BOOK.resolve(model) == BOOK.resolve(model, provider), model


pieces = st.sampled_from(
    "/ : @ . - ft: models/ us. anthropic. azure/ openai/ vertex_ai/ gpt-4o claude-opus-4.5 -v1:0 "
    "-latest -2024-07-18 -001 arn:aws:x/ publishers/google/models/ .ft- gemini-1.5-pro".split()
)
names = st.one_of(st.text(max_size=30), st.lists(pieces, max_size=6).map("".join))


@settings(max_examples=300, deadline=None)
@given(names, st.one_of(st.none(), st.text(max_size=12), st.sampled_from(["azure", "bedrock"])))
def test_any_text_resolves_to_a_priced_model_or_to_none(model, provider):
    key = BOOK.resolve(model, provider)
    assert key is None or BOOK.list_sets(key)


def test_what_is_remembered_is_bounded():
    book = load_book(use_litellm=False)
    for number in range(25_000):
        book.resolve(f"model-{number}")
    assert len(book.memory.keys) <= 10_000
    assert book.resolve("gpt-4o") is not None


@pytest.mark.parametrize(
    ("model", "provider", "key"),
    [
        ("command-r-08-2024", "cohere", "command-r-08-2024"),
        ("cohere/command-r-08-2024", None, "command-r-08-2024"),
        ("llama3.1-8b", "cerebras", "cerebras/llama3.1-8b"),
        ("sonar", "perplexity", "perplexity/sonar"),
    ],
)
def test_other_providers_come_from_litellm(model, provider, key):
    found = BOOK.resolve(model, provider)
    assert found is not None and (found.model, found.origin) == (key, "litellm")
