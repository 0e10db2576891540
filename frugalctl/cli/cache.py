"""`frugalctl cache`: an index of answers that may be used again."""

from __future__ import annotations

import typer

from frugalctl.cli import cache_build, cache_eval, cache_keep, cache_query, cache_tune

app = typer.Typer(help="A semantic cache: build, query, tune and keep an index.")

app.command("build")(cache_build.build_cache)
app.command("query")(cache_query.query_cache)
app.command("add")(cache_build.add_to_cache)
app.command("prune")(cache_keep.prune_cache)
app.command("info")(cache_keep.describe_cache)
app.command("export")(cache_keep.export_cache)
app.command("eval")(cache_eval.eval_cache)
app.command("tune")(cache_tune.tune_cache)
