import copy
from typing import Any

from formats_samples import CHAT, SAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frugalctl.log.formats.base import RecordError
from frugalctl.log.formats.registry import readers
from frugalctl.log.schema import Request

RECORDS = [record for sample in SAMPLES for record in sample.records] + [CHAT]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([-1, 2**70, 1e300, "2026-11-01T09:00:00Z", "12", "True", "[", "[{}]", "{}"])
)
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "type", "parts", "role", "content", "value", "usage", "key"])
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def _slots(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    here = [(value, key) for key in keys]
    inner = [value[key] for key in keys if isinstance(value[key], (dict, list))]
    return here + [slot for child in inner for slot in _slots(child)]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    record = copy.deepcopy(draw(st.sampled_from(RECORDS)))
    for _ in range(draw(st.integers(1, 3))):
        slots = _slots(record)
        if not slots:
            break
        container, key = draw(st.sampled_from(slots))
        if isinstance(container, dict) and draw(st.booleans()):
            del container[key]
        else:
            container[key] = draw(junk)
    return record


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(mutated(), min_size=1, max_size=3))
def test_mutated_records_give_requests_or_record_errors(records: list[dict[str, Any]]):
    made = readers()
    for line, record in enumerate(records, start=1):
        for reader in made:
            if reader.matches(record):
                try:
                    _check(reader.feed(record, line))
                except RecordError as error:
                    assert str(error)
    for reader in made:
        try:
            _check(reader.finish())
        except RecordError as error:
            assert error.line


def _check(found: Any) -> None:
    for line, request in found:
        assert isinstance(line, int)
        assert isinstance(request, Request)
        for name in ("id", "session", "tenant", "model", "provider", "service_tier", "response"):
            assert isinstance(getattr(request, name), (str, type(None))), name
        usage = request.usage
        if usage is not None:
            cached = (
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                usage.cache_write_1h_tokens,
            )
            assert usage.input_tokens >= sum(count or 0 for count in cached)
