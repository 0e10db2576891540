"""A semantic cache written as plainly as can be: one request at a time, all entries looked at."""

from dataclasses import dataclass

import numpy as np

from frugalctl.levers.semantic_cache.questions import make_tags
from frugalctl.levers.semantic_cache.retention import is_expired, measure_bytes, rank
from frugalctl.log.times import UNKNOWN_US


@dataclass
class Entry:
    row: int
    scope: str
    key: str
    tags: tuple
    created: int
    used: int
    hits: int
    size: int
    cost: float


def fill_times(questions):
    """Time and end of each row; a row without a time takes those of the row before it."""
    known = [at for at in questions.time_us.tolist() if at != UNKNOWN_US]
    last = known[0] if known else 0
    times, ends = [], []
    for at, end in zip(questions.time_us.tolist(), questions.done_us.tolist(), strict=True):
        last = last if at == UNKNOWN_US else at
        times.append(last)
        ends.append(last if at == UNKNOWN_US else end)
    return times, ends


class SlowCache:
    def __init__(self, questions, vectors, keys, settings, policy, scorer, find_refusal, truncated):
        self.q, self.vectors, self.keys, self.settings = questions, vectors, keys, settings
        self.policy, self.scorer, self.find_refusal = policy, scorer, find_refusal
        self.truncated = truncated
        self.times, self.ends = fill_times(questions)
        self.entries, self.pending = [], []
        self.left = {"expired": 0, "evicted": 0, "replaced": 0, "invalidated": 0, "too_large": 0}
        self.refusals = {}
        known = [cost for cost in questions.cost_usd.tolist() if cost == cost]
        self.middle = float(np.median(known)) if known else 1.0

    def run(self):
        rows = sorted(range(len(self.keys)), key=lambda row: (self.times[row], row))
        self.place = {row: at for at, row in enumerate(rows)}
        cuts = sorted(self.settings.invalidate, key=lambda cut: cut.at_us)
        out = {}
        for row in rows:
            now = self.times[row]
            while cuts and cuts[0].at_us <= now:
                cut = cuts.pop(0)
                self.arrive(cut.at_us - 1)
                self.expire(cut.at_us)
                self.invalidate(cut.tag)
            self.arrive(now)
            self.expire(now)
            out[row] = self.serve(row, now)
        self.arrive(now)
        return [out[row] for row in range(len(rows))]

    def arrive(self, now):
        due = sorted((e for e in self.pending if e.created <= now), key=self.arrival)
        for entry in due:
            self.pending.remove(entry)
            self.expire(entry.created)
            self.insert(entry)

    def arrival(self, entry):
        return entry.created, self.place[entry.row]

    def expire(self, now):
        kept = []
        for entry in self.entries:
            created, used = np.array([entry.created]), np.array([entry.used])
            if is_expired(self.settings.retention, created, used, now)[0]:
                self.left["expired"] += 1
            else:
                kept.append(entry)
        self.entries = kept

    def invalidate(self, tag):
        for name in ("entries", "pending"):
            before = getattr(self, name)
            kept = [e for e in before if tag is not None and tag not in e.tags]
            self.left["invalidated"] += len(before) - len(kept)
            setattr(self, name, kept)

    def insert(self, entry):
        keep = self.settings.retention
        if keep.max_bytes is not None and entry.size > keep.max_bytes:
            self.left["too_large"] += 1
            return
        for old in self.entries:
            if (old.scope, old.key) == (entry.scope, entry.key):
                self.entries.remove(old)
                self.left["replaced"] += 1
                entry.hits = old.hits
                break
        while self.is_full(entry):
            self.entries.remove(self.worst())
            self.left["evicted"] += 1
        self.entries.append(entry)

    def is_full(self, entry):
        keep = self.settings.retention
        total = sum(e.size for e in self.entries) + entry.size
        return (keep.max_entries is not None and len(self.entries) >= keep.max_entries) or (
            keep.max_bytes is not None and total > keep.max_bytes
        )

    def worst(self):
        entries = sorted(self.entries, key=lambda e: self.place[e.row])
        costs = np.array([self.middle if e.cost != e.cost else e.cost for e in entries])
        worth, used = rank(
            self.settings.retention,
            np.array([e.created for e in entries]),
            np.array([e.used for e in entries]),
            np.array([e.hits for e in entries]),
            costs,
            np.array([e.size for e in entries]),
        )
        return entries[min(range(len(entries)), key=lambda at: (worth[at], used[at], at))]

    def serve(self, row, now):
        """(source, how, score, kept) of a row."""
        q = self.q
        if not q.cacheable[row] or self.truncated[row]:
            return -1, "", None, False
        mine = [e for e in self.entries if e.scope == q.scopes[row]]
        for entry in mine:
            if entry.key == self.keys[row]:
                return self.use(entry, now, "exact", 1.0)
        if self.vectors is not None and self.vectors[row].any():
            found = self.find_near(row, mine)
            if found is not None:
                return self.use(found[0], now, "near", found[1])
        if q.quality[row] < (self.settings.min_quality or 0):
            return -1, "", None, False
        self.pending.append(self.make_entry(row))
        return -1, "", None, True

    def use(self, entry, now, how, score):
        entry.hits += 1
        entry.used = max(entry.used, now)
        return entry.row, how, score, False

    def find_near(self, row, mine):
        pairs = [
            (-float(self.vectors[row].astype(float) @ self.vectors[e.row].astype(float)), e)
            for e in mine
            if self.vectors[e.row].any()
        ]
        pairs.sort(key=lambda pair: (pair[0], self.place[pair[1].row]))
        near = [entry for _, entry in pairs[: self.settings.candidates]]
        scored = sorted(
            ((-self.score(row, entry.row), self.place[entry.row], entry) for entry in near),
            key=lambda item: item[:2],
        )
        for minus, _, entry in scored:
            if not self.accepts(row, entry.row, -minus):
                return None
            texts = self.q.texts
            refused = self.find_refusal(texts[row], texts[entry.row], self.settings.guards)
            if refused is None:
                return entry, -minus
            self.refusals[refused[0]] = self.refusals.get(refused[0], 0) + 1
        return None

    def score(self, row, other):
        texts, vectors = self.q.texts, self.vectors
        return float(
            self.scorer.score([texts[row]], [texts[other]], vectors[[row]], vectors[[other]])[0]
        )

    def accepts(self, row, other, score):
        if self.policy is None:
            return score >= self.settings.threshold
        if self.policy.accept(other, score):
            return True
        self.policy.observe(other, score, self.judge(row, other) == 1)
        return False

    def judge(self, row, other):
        answers = self.q.responses[row], self.q.responses[other]
        wanted = self.q.references[row], self.q.references[other]
        same = [one.casefold() == two.casefold() for one, two in (answers, wanted) if one and two]
        return float(any(same)) if same else float("nan")

    def make_entry(self, row):
        q = self.q
        size = measure_bytes(
            np.array([len(q.texts[row].encode())]),
            np.array([len(q.responses[row].encode())]),
            0 if self.vectors is None else 4 * self.vectors.shape[1],
        )
        return Entry(
            row=row,
            scope=q.scopes[row],
            key=self.keys[row],
            tags=make_tags(q.tasks[row], q.parts[row]),
            created=self.ends[row],
            used=self.ends[row],
            hits=0,
            size=int(size[0]),
            cost=float(q.cost_usd[row]),
        )
