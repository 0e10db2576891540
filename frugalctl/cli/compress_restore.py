"""`frugalctl compress restore`: the original of a compressed prompt."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from frugalctl.cli.console import print_text
from frugalctl.cli.options import OutputOption
from frugalctl.errors import BadLine, FrugalError, InputError, UsageError


def restore_prompt(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `compress` wrote; - is stdin.")],
    manifest: Annotated[
        str, typer.Option("--manifest", metavar="FILE", help="The manifest that it wrote with it.")
    ],
    output: OutputOption = None,
) -> None:
    """The original of a compressed prompt, to the byte.

    A prompt or a manifest that was changed since is refused. Of a batch, every line becomes {id,
    prompt} or {id, messages} again.

    Examples:
      frugalctl compress prompt.txt --rate 0.5 -o short.txt --manifest m.json

      frugalctl compress restore short.txt --manifest m.json -o again.txt
    """
    from pathlib import Path

    from frugalctl.cli.compress_read import name_source, read_bytes
    from frugalctl.files import check_writable
    from frugalctl.levers.compress.prompt import decode_text

    if output not in (None, "-"):
        for source in (file, manifest):
            if Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
                raise UsageError(f"{output} is both an input and the output")
        check_writable(output)
    if file == "-" == manifest:
        raise UsageError("stdin (-) is given twice")
    text = decode_text(read_bytes(file), name_source(file))
    manifests = _read_manifests(manifest)
    if not text.strip() and isinstance(manifests, list):
        raise InputError("is empty: there is nothing to restore", where=name_source(file))
    if isinstance(manifests, list):
        print_text(_restore_lines(text, name_source(file), manifests, manifest), output)
        return
    print_text(_restore(text, manifests, name_source(file), manifest), output)


def _restore(text: str, manifest: Any, source: str, manifest_name: str) -> str:
    from frugalctl.levers.compress.manifest import restore

    try:
        return restore(text, manifest)
    except FrugalError as error:
        error.where = manifest_name if error.where == "manifest" else source
        raise


def _read_manifests(path: str) -> dict[str, Any] | list[dict[str, Any]]:
    """One manifest, or those of a batch: a line each, with an id."""
    from frugalctl.cli.compress_read import name_source, read_bytes
    from frugalctl.levers.compress.json_text import decode_exact
    from frugalctl.levers.compress.prompt import decode_text

    name = name_source(path)
    text = decode_text(read_bytes(path), name)
    if not text.strip():
        raise InputError("is empty: it is no manifest", where=name)
    try:
        value = decode_exact(text)
    except InputError:
        value = None
    if value is not None:
        return _check_object(value, name)
    found: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            found.append(_read_line(line, name, number))
    return found


def _check_object(value: Any, name: str) -> dict[str, Any] | list[dict[str, Any]]:
    if not isinstance(value, dict):
        raise InputError("is no manifest", where=name)
    fields = cast("dict[str, Any]", value)
    return [fields] if "id" in fields else fields


def _read_line(line: str, name: str, number: int) -> dict[str, Any]:
    from frugalctl.levers.compress.json_text import decode_exact

    try:
        value = decode_exact(line)
    except InputError as error:
        raise BadLine(error.message, source=name, line=number, hint=error.hint) from None
    if not isinstance(value, dict) or "id" not in value:
        raise BadLine("is no object with an id", source=name, line=number)
    return cast("dict[str, Any]", value)


def _restore_lines(
    text: str, source: str, manifests: list[dict[str, Any]], manifest_name: str
) -> str:
    from frugalctl.cli.compress_write import dump_line

    known = {str(one["id"]): one for one in manifests}
    if len(known) < len(manifests):
        raise InputError("has an id twice", where=manifest_name)
    seen: dict[str, int] = {}
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        value = _read_line(line, source, number)
        name = str(value["id"])
        if name in seen:
            raise BadLine(f"the id {name!r} was on line {seen[name]}", source=source, line=number)
        seen[name] = number
        own = known.get(name)
        where = f"{source}:{number}"
        if own is None:
            raise InputError(
                f"the id {value['id']!r} is not in {manifest_name}",
                where=where,
                hint="it belongs to another prompt",
            )
        original = _restore(_write_compressed(value), own, where, manifest_name)
        line: Any = own.get("line")
        line = cast("dict[str, Any]", line) if isinstance(line, dict) else {"id": value["id"]}
        lines.append(dump_line({**line, **_name_original(original, own, line)}))
    return "".join(lines)


def _write_compressed(line: dict[str, Any]) -> str:
    """The text that the digest in the manifest was made of."""
    from frugalctl.levers.compress.manifest import write_output
    from frugalctl.levers.compress.prompt import Prompt

    value = line.get("compressed")
    return value if isinstance(value, str) else write_output(Prompt((), "chat", value), ())


def _name_original(original: str, manifest: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    from frugalctl.cli.compress_read import TEXT_KEYS

    if manifest.get("shape") == "text":
        return {"prompt": original}
    from frugalctl.levers.compress.json_text import decode_exact

    value: Any = decode_exact(original)
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    return {next((key for key in TEXT_KEYS if key in line), "messages"): value}
