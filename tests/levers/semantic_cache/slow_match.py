"""A look-up as it is meant, over all entries one by one."""

import numpy as np

from frugalctl.levers.semantic_cache.guards import find_refusal
from frugalctl.log.times import UNKNOWN_US

FILLED = ("model", "system", "tools", "sampling")


def look_up_slowly(matcher, query, now_us):
    """(hit, score, entry_id, response, guard) of one question."""
    index, settings = matcher.index, matcher.settings
    entries = [{**entry, "row": row} for row, entry in enumerate(index.read_table().to_pylist())]
    if query.unfit:
        return miss()
    inside = choose_scope(entries, query.known, settings.scope)
    now_us = tell_time(query, now_us, index)
    alive = [entry for entry in inside if lives(entry, settings.retention, now_us)]
    key = matcher.normalizer.make_keys([query.text])[0]
    for entry in alive:
        if entry["key"] == key:
            return True, 1.0, entry["entry_id"], entry["response"], None
    if len(query.text) > settings.max_chars:
        return miss()
    encoded = matcher.embedder.encode(matcher.normalizer.reduce([query.text]))
    vector = encoded.vectors[0]
    if encoded.truncated[0] or not vector.any():
        return miss()
    return decide(query, near(alive, vector, index, settings.candidates), vector, matcher)


def choose_scope(entries, known, keys):
    """The entries that may answer; none where what is not said would have to be guessed."""
    said = {"tenant": None, "history": None, **known}
    fitting = [
        entry for entry in entries if all(entry[key] == said[key] for key in keys if key in said)
    ]
    for key in FILLED:
        if key in keys and key not in said and len({entry[key] for entry in fitting}) > 1:
            return []
    return fitting


def tell_time(query, now_us, index):
    if query.time_us != UNKNOWN_US:
        return query.time_us
    return index.manifest.newest_us if now_us is None else now_us


def lives(entry, retention, now_us):
    if retention.ttl_us is None or now_us is None:
        return True
    times = [entry["created"], entry["last_used"] if retention.sliding else None]
    known = [round(time.timestamp() * 1_000_000) for time in times if time is not None]
    return not known or now_us - max(known) < retention.ttl_us


def near(alive, vector, index, count):
    """The nearest entries: by their stored vectors, the earlier row of equal ones."""
    scored = []
    for entry in alive:
        stored = index.vectors[entry["row"]].astype(np.float64)
        cosine = sum(a * b for a, b in zip(stored, vector.astype(np.float64), strict=True))
        scored.append((-np.float32(cosine / index.norms[entry["row"]]), entry["row"], entry))
    return [entry for _, _, entry in sorted(scored, key=lambda item: item[:2])[:count]]


def decide(query, candidates, vector, matcher):
    """The surest candidate that no guard refuses; the guard of the surest one otherwise."""
    scored = []
    for entry in candidates:
        row = entry["row"]
        stored = matcher.index.vectors[row].astype(np.float32) / matcher.index.norms[row]
        score = matcher.scorer.score([query.text], [entry["text"]], vector[None], stored[None])[0]
        scored.append((-score, row, entry))
    if not scored:
        return miss()
    scored.sort(key=lambda item: item[:2])
    guard = None
    for negative, _, entry in scored:
        if -negative < matcher.settings.threshold:
            break
        refusal = find_refusal(query.text, entry["text"], matcher.settings.guards)
        if refusal is None:
            return True, -negative, entry["entry_id"], entry["response"], None
        guard = guard or refusal[0]
    return False, -scored[0][0], None, None, guard


def miss():
    return False, None, None, None, None
