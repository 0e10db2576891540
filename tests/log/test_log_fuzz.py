import gzip
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from log_makers import MODES, file_of, logs, read_all

from frugalctl.errors import InputError
from frugalctl.log.columnar import NotColumnar

quick = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MAGIC = [
    b"",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"PAR1",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"{",
    b"[",
    b"a,b\n",
]
SPLICES = [*map(bytes, zip(b"\n\r\"{}[],:\\-/'\x00\x0b\xff", strict=True))]
SPLICES += [b"\\ud800", b"NaN", b"9" * 25, b"e999", b"null", b"true", b"1.5", b'{"usage": 1}']
SPLICES += [b"\xef\xbb\xbf", b"\xc2\x85", b"//"]


def check(data: bytes, name: str = "log.jsonl") -> None:
    with file_of(data, name) as path:
        for mode in MODES:
            strict = read_all(path, mode=mode)
            assert strict.error is None or isinstance(strict.error, InputError)
            lenient = read_all(path, mode=mode, on_error="skip")
            assert lenient.error is None or isinstance(lenient.error, InputError)
            assert lenient.places[: len(strict.places)] == strict.places
            assert len(set(lenient.bad)) == len(lenient.bad)
            if strict.error is None:
                assert not lenient.bad


@quick
@given(st.sampled_from(MAGIC), st.binary(max_size=300))
@example(b"", b"a,b\x00\n\x00,1\n")
@example(b"", b"TIMESTAMP,ContextTokens,GeneratedTokens\n\x00,\r,1\n")
@example(b"", b'TIMESTAMP,ContextTokens,GeneratedTokens\n"' + b"x" * 200_000 + b'",1,1\n')
@example(b"\xef\xbb\xbf", b"\xef\xbb\xbf")
def test_random_bytes(magic: bytes, data: bytes):
    check(magic + data)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = draw(logs(with_usage=False))[1]
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        splice = draw(st.sampled_from(SPLICES) | st.just(b"") | st.binary(max_size=4))
        data = data[:start] + splice + data[end:]
    return data


@quick
@given(mutated())
def test_mutated_logs(data: bytes):
    check(data)


@quick
@given(mutated())
def test_what_both_readers_take_they_read_alike(data: bytes):
    with file_of(data) as path:
        by_lines, by_columns = (read_all(path, mode=mode) for mode in MODES[::-1])
    if by_lines.error is None:
        assert by_columns.error is None
        assert by_columns.rows == by_lines.rows
        assert by_columns.places == by_lines.places
    elif by_columns.error is not None:
        assert by_columns.error.where == by_lines.error.where
    else:
        assert by_lines.error.message.startswith("not JSON")


@settings(quick, max_examples=60)
@given(st.sampled_from(["gzip", "zstd"]), logs(), st.data())
def test_damaged_archives(codec: str, log: tuple[Any, bytes], data: st.DataObject):
    packed = (
        gzip.compress(log[1])
        if codec == "gzip"
        else pa.Codec("zstd").compress(log[1], asbytes=True)
    )
    at = data.draw(st.integers(0, len(packed) - 1))
    if data.draw(st.booleans()):
        check(packed[:at])
    else:
        check(packed[:at] + bytes([packed[at] ^ data.draw(st.integers(1, 255))]) + packed[at + 1 :])


def test_errors_while_duckdb_streams_lead_to_the_line_reader(monkeypatch: pytest.MonkeyPatch):
    from frugalctl.log import read as reading

    def broken(*_: Any) -> Any:
        raise NotColumnar("for the test")
        yield

    monkeypatch.setattr(reading, "read_columnar", broken)
    with file_of(b'{"usage": {"input_tokens": 1}}\n') as path:
        found = read_all(path, mode="columnar")
    assert (found.fell_back, found.lines) == (True, [1])


@pytest.mark.parametrize(
    ("message", "expected"), [("Query interrupted", KeyboardInterrupt), ("a bug", RuntimeError)]
)
def test_ctrl_c_within_duckdb_is_an_interrupt(
    message: str, expected: type[BaseException], monkeypatch: pytest.MonkeyPatch
):
    from frugalctl.log import columnar

    def broken(*_: Any) -> Any:
        raise RuntimeError(message)

    monkeypatch.setattr(columnar, "_to_schema", broken)
    with file_of(b'{"usage": {"input_tokens": 1}}\n') as path, pytest.raises(expected):
        read_all(path, mode="columnar")
