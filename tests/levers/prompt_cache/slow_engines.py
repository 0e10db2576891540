"""The engines as plainly as they can be said: tuples of tokens, lists, no hashing, no sorting.

Each takes requests (time in seconds, scope, messages, answer) in the order of time and gives
(read, write, write_1h) of each.
"""

from cache_helpers import flatten


def count_common(one, other):
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return same


def finish(tokens, total, least=0, step=1, fresh=0):
    tokens = max(min(tokens, total - fresh), 0)
    tokens -= tokens % step
    return tokens if tokens >= least else 0


def slow_blocks(requests, unit, ttl=None, sliding=True, life=None, capacity=None, least=0, fresh=0):
    held = []  # [prefix, used, written], the least recently used first
    results = []
    for now, scope, messages, _ in requests:
        tokens = flatten(messages)
        prefixes = [(scope, tokens[:end]) for end in range(unit, len(tokens) + 1, unit)]
        live = 0
        for prefix in prefixes:
            found = [entry for entry in held if entry[0] == prefix]
            if not found:
                break
            _, used, written = found[0]
            if ttl is not None and now - (used if sliding else written) > ttl:
                break
            if life is not None and now - written > life:
                break
            live += 1
        for at in reversed(range(len(prefixes))):
            found = [entry for entry in held if entry[0] == prefixes[at]]
            written = found[0][2] if found and at < live else now
            held = [entry for entry in held if entry[0] != prefixes[at]]
            held.append([prefixes[at], now, written])
        while capacity is not None and len(held) * unit > capacity:
            held.pop(0)
        results.append((finish(live * unit, len(tokens), least, fresh=fresh), 0, 0))
    return results


def slow_marks(messages, places):
    """Indices of the marked messages; places are (place, one_hour)."""
    marks = {}
    for place, one_hour in places:
        chosen = None
        if place == "last":
            chosen = len(messages) - 1
        elif place == "tools" and messages and messages[0].role == "tools":
            chosen = 0
        elif place == "system":
            for at, message in enumerate(messages):
                if message.role == "system":
                    chosen = at
                elif message.role != "tools":
                    break
        if chosen is not None and chosen >= 0:
            marks[chosen] = marks.get(chosen, False) or one_hour
    return sorted(marks.items())


def slow_depth(messages, end):
    """Content blocks of the first messages, written out one by one; runs count once."""
    blocks = []
    for message in messages[:end]:
        kinds = [message.first] + [0] * (message.blocks - 2) + [message.last]
        kinds = kinds[-message.blocks :] if message.blocks > 1 else [message.first]
        for at, kind in enumerate(kinds):
            if not (at == 0 and kind and blocks and blocks[-1] == kind):
                blocks.append(kind)
    return len(blocks)


def slow_breakpoints(requests, places, least, lookback, ttl=None, ttl_1h=None, delays=None):
    entries = []  # dicts
    results = []
    for row, (now, scope, messages, _) in enumerate(requests):
        ready = now + (delays[row] if delays else 0)
        sizes = [len(flatten(messages[: at + 1])) for at in range(len(messages))]

        def find(at, now=now, scope=scope, messages=messages):
            prefix = (scope, flatten(messages[: at + 1]))
            for entry in entries:
                limit = ttl_1h if entry["hour"] else ttl
                if entry["prefix"] == prefix and (limit is None or now - entry["used"] <= limit):
                    return entry
            return None

        marks = [mark for mark in slow_marks(messages, places) if sizes[mark[0]] >= least]
        depths = [slow_depth(messages, at + 1) for at in range(len(messages))]
        near = {at for m, _ in marks for at in range(m + 1) if depths[m] - depths[at] < lookback}
        hits = [at for at in near if sizes[at] >= least and find(at)]
        best = max((at for at in hits if find(at)["ready"] <= now), default=None)
        read = sizes[best] if best is not None else 0
        last_hour = max([read] + [sizes[at] for at, hour in marks if hour])
        last = max([last_hour] + [sizes[at] for at, _ in marks])
        results.append((read, last - last_hour, last_hour - read))
        if best is not None:
            find(best)["used"] = now
        for at, hour in marks:
            entry = find(at)
            if entry:
                entry["used"] = now
                entry["ready"] = min(entry["ready"], ready)
                entry["hour"] = entry["hour"] or hour
            else:
                prefix = (scope, flatten(messages[: at + 1]))
                entries[:] = [other for other in entries if other["prefix"] != prefix]
                entries.append({"prefix": prefix, "used": now, "ready": ready, "hour": hour})
    return results


def slow_units(requests, unit, ttl=None):
    stored, seen = [], []  # (time, scope, tokens)
    results = []

    def is_live(time, now):
        return ttl is None or now - time <= ttl

    for now, scope, messages, answer in requests:
        tokens = flatten(messages)
        whole = tokens + (answer.tokens if answer else ())
        usable = tokens[: len(tokens) - len(tokens) % unit]
        fits = [
            unit_tokens
            for time, owner, unit_tokens in stored
            if owner == scope and is_live(time, now)
            if usable[: len(unit_tokens)] == unit_tokens
        ]
        read = max(map(len, fits), default=0)
        common = 0
        for end in range(unit, len(usable) + 1, unit):
            times = [t for t, s, past in seen if s == scope and past[:end] == usable[:end]]
            if not (times and is_live(max(times), now)):
                break
            common = end
        ends = {len(usable), len(whole) - len(whole) % unit, common, read} - {0}
        stored += [(now, scope, whole[:end]) for end in ends]
        seen.append((now, scope, whole[: len(whole) - len(whole) % unit]))
        results.append((read, 0, 0))
    return results


def slow_named(requests, ttl, least, sliding=False):
    caches = {}
    results, storage = [], []
    for now, scope, messages, _ in requests:
        marks = slow_marks(messages, [("tools", False), ("system", False)])
        prefix = flatten(messages[: marks[-1][0] + 1]) if marks else ()
        key = (scope, prefix)
        read, hours = 0, 0.0
        if prefix and len(prefix) >= least:
            if key in caches and now <= caches[key]:
                read = len(prefix)
                if sliding:
                    hours = len(prefix) * (now + ttl - caches[key]) / 3600
                    caches[key] = now + ttl
            else:
                caches[key] = now + ttl
                hours = len(prefix) * ttl / 3600
        results.append((read, 0, 0))
        storage.append(hours)
    return results, storage


def slow_radix(requests, page, capacity=None, fresh=1):
    """Edges as lists of pages, found by walking; a whole leaf is evicted at a time."""
    root = {"pages": [], "children": [], "used": 0, "parent": None}
    results = []

    def list_nodes(node):
        for child in node["children"]:
            yield child
            yield from list_nodes(child)

    for now, (_, scope, messages, _) in enumerate(requests, start=1):
        tokens = flatten(messages)
        pages = [(scope, tokens[at : at + page]) for at in range(0, len(tokens), page)]
        pages = [one for one in pages if len(one[1]) == page]
        node, at = root, 0
        while at < len(pages):
            child = next((c for c in node["children"] if c["pages"][0] == pages[at]), None)
            if child is None:
                break
            same = count_common(child["pages"], pages[at:])
            if same < len(child["pages"]):
                upper = {**child, "pages": child["pages"][:same], "children": [child]}
                node["children"][node["children"].index(child)] = upper
                child["pages"], child["parent"] = child["pages"][same:], upper
                child = upper
            child["used"] = now
            at += same
            node = child
        if at < len(pages):
            leaf = {"pages": pages[at:], "children": [], "used": now, "parent": node}
            node["children"].append(leaf)
        results.append((finish(at * page, len(tokens), fresh=fresh), 0, 0))
        while capacity is not None:
            nodes = list(list_nodes(root))
            if sum(len(one["pages"]) for one in nodes) * page <= capacity:
                break
            leaf = min((n for n in nodes if not n["children"]), key=lambda n: n["used"])
            siblings = leaf["parent"]["children"]
            siblings[:] = [one for one in siblings if one is not leaf]
    return results


def slow_slot(requests, slots, similarity):
    held = [{"scope": None, "tokens": (), "used": at - slots} for at in range(slots)]
    results = []
    for now, (_, scope, messages, _) in enumerate(requests):
        tokens = flatten(messages)
        for slot in held:
            same = slot["scope"] == scope
            slot["common"] = count_common(slot["tokens"], tokens) if same else 0
        oldest = min(held, key=lambda slot: slot["used"])
        best = max(held, key=lambda slot: (slot["common"], -slot["used"]))
        if best["common"] <= similarity * len(tokens):
            best = oldest
        results.append((finish(best["common"], len(tokens), fresh=1), 0, 0))
        best.update(scope=scope, tokens=tokens, used=now)
    return results


def slow_modules(requests, ttl=None, capacity=None):
    held = []  # [(scope, message key), used, tokens], the least recently used first
    results = []
    for now, scope, messages, _ in requests:
        read = 0
        for message in messages:
            name = (scope, message.key)
            found = [entry for entry in held if entry[0] == name]
            if found and (ttl is None or now - found[0][1] <= ttl):
                read += len(message.tokens)
            held = [entry for entry in held if entry[0] != name]
            held.append([name, now, len(message.tokens)])
        while capacity is not None and sum(entry[2] for entry in held) > capacity:
            held.pop(0)
        results.append((finish(read, len(flatten(messages)), fresh=1), 0, 0))
    return results
