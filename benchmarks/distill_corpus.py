"""The text that the bundled embedder is distilled on: questions of our own, and WordNet.

Sources: sentence frames written for frugalctl (below), filled with words of WordNet 3.0; glosses
and examples of WordNet 3.0 (Princeton's permissive licence; Debian: `apt-get install
wordnet-base`). No benchmark's text is in it, so that QQP, CLINC and the like remain held out.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

GROUP = 5
POS = {"noun": "n", "verb": "v", "adj": "a"}
# Frames of one line ask for the same thing, so that the teacher shows what wording is worth.
FRAMES = """
how do i {v} a {n}?|what is the best way to {v} a {n}?|how can i {v} my {n}?|ways to {v} a {n}
how to {v} {n} and {m}|what do i need to {v} {n} and {m}?|teach me how to {v} {n} with {m}
what is {n}?|what does {n} mean?|can you explain {n}?|definition of {n}|tell me about {n}
what is the difference between {n} and {m}?|how does {n} differ from {m}?|{n} vs {m}
which is better, {n} or {m}?|should i choose {n} or {m}?|is {n} better than {m}?
why is {n} so {a}?|what makes {n} {a}?|why do people think {n} is {a}?
why did {p} {v} the {n}?|what is the reason {p} would {v} the {n}?|explain why {p} had to {v} {n}
who was {p}?|what is {p} known for?|give me a short biography of {p}|tell me who {p} was
where is {l}?|on which continent is {l}?|show me {l} on a map|how do i find {l}?
how far is {l} from {k}?|what is the distance between {l} and {k}?|distance {l} {k}
what is the weather like in {l}?|will it rain in {l} tomorrow?|weather forecast for {l} this week
book a flight from {l} to {k}|i need to fly from {l} to {k}|find me a plane ticket to {k} from {l}
find a hotel in {l} for {d} nights|i want to stay in {l} for {d} days|reserve a room in {l}
what is the best time to visit {l}?|when should i travel to {l}?|is it safe to travel to {l}?
what are some good {n} in {l}?|where can i find {n} in {l}?|recommend {n} near {l}
how much does a {n} cost?|what is the price of a {n}?|is a {n} expensive?|cost of {n}
where can i buy a {a} {n}?|which shop sells {a} {n}?|i want to buy a {n} that is {a}
my {n} does not work, what should i do?|the {n} is broken, how do i fix it?|repair my {n} please
why can't i {v} my {n}?|i am not able to {v} the {n}|error when i try to {v} {n}
how do i reset my {n}?|i forgot my {n}, how can i get it back?|change my {n}
how do i cancel my {n}?|please stop my {n}|i no longer want the {n}|cancel {n}
where is my {n}?|has my {n} arrived yet?|track my {n}|when will the {n} come?
set a reminder to {v} the {n}|remind me to {v} {n} at {d}|don't let me forget to {v} {n}
play some {n} music|put on a {n} song|i want to hear {n}|turn up the {n}
how many {n} are there in {l}?|what is the number of {n} in {l}?|count the {n} in {l}
how many {n} does it take to {v} a {m}?|how many {n} do i need for {m}?
can {n} cause {m}?|is {n} a sign of {m}?|does {n} lead to {m}?|what causes {m}?
is it {a} to {v} {n}?|would it be {a} if i {v} the {n}?|can it be {a} to {v} {n} every day?
is it bad to {v} without {n}?|what happens if you {v} without a {n}?|can i {v} with no {n}?
what are the benefits of {n}?|why is {n} good for you?|advantages and disadvantages of {n}
how do you say {n} in {g}?|what is the {g} word for {n}?|translate {n} into {g}
what is another word for {a}?|give me a synonym of {a}|what does {a} mean?|opposite of {a}
how do i learn {g} in {d} months?|what is the easiest way to learn {g}?|is {g} hard to learn?
how do you spell {n}?|spell the word {n}|how is {n} pronounced?
write a {a} story about a {n}|make up a tale of a {n} and a {m}|write a poem about {n}
write a function that can {v} a {n}|code to {v} {n} in python|script which will {v} every {n}
how do i install {n} on my computer?|what is the command to install {n}?|download {n} for windows
summarize the text about {n}|give me a summary of the {n} report|what are the main points on {n}?
what should i eat for {n}?|how do i cook {n}?|recipe for {a} {n}|how long does {n} take to cook?
how many calories are in {n}?|is {n} healthy?|does {n} have a lot of sugar?
what is my {n} balance?|how much money is in my {n} account?|show the {n} on my account
transfer {d} dollars to my {n}|send {d} dollars for the {n}|pay my {n} bill|move money to {n}
what is the interest rate on a {n}?|how do i apply for a {n}?|am i eligible for a {n} loan?
can i get a refund for the {n}?|i want my money back for the {n}|return a {a} {n}
how old is {p}?|when was {p} born?|what is the age of {p}?|when did {p} die?
what did {p} think about {n}?|what are the views of {p} on {n}?|{p} and {n}
what is the capital of {l}?|what is the population of {l}?|which language is spoken in {l}?
what is {d} percent of {e}?|calculate {d} times {e}|what is {d} plus {e}?|divide {e} by {d}
convert {d} {n} to {m}|how many {n} are in {d} {m}?|{d} {n} in {m}
what time is it in {l}?|what is the local time of {l}?|is {l} ahead of {k}?
should i {v} or {w}?|is it better to {v} or to {w}?|what is the difference \
between to {v} and to {w}?
what is the best {n} for {m}?|which {n} would you recommend for {m}?|top {n} for a {m}
what is the best book about {n}?|which books should i read on {n}?|movies about {n}
how do i become a {n}?|what does it take to be a {n}?|is it worth becoming a {n}?
what is it like to be a {n}?|how does it feel to be a {n}?|what do {n} do all day?
how do i prepare for a {n} interview?|questions asked in a {n} interview|tips for a {n} exam
who invented the {n}?|when was the {n} invented?|what is the history of the {n}?
how does a {n} work?|what is the mechanism of a {n}?|explain how the {n} works to a child
do {n} have {m}?|are there {n} with {m}?|can a {n} have a {m}?
does {n} really {v} {m}?|is it true that {n} can {v} {m}?|will {n} {v} the {m}?
what if {n} were {a}?|what would happen if all {n} became {a}?|imagine {a} {n}
i feel {a} about my {n}|my {n} makes me feel {a}|how do i stop being {a} about {n}?
my friend is {a}, how can i help?|how do i talk to a {a} {n}?|how do you deal with a {a} {n}?
the {n} in the {m} was {a}|there was a {a} {n} in the {m}|a {n} was {v} by the {m}
the {a} {n} and the {b} {m}|the {b} {n} and the {a} {m}|a {n} with no {m}
please {v} the {n}|could you {v} the {n} for me?|i would like you to {v} the {n}|do not {v} the {n}
turn on the {n}|turn off the {n}|is the {n} on or off?|switch the {n} off
enable {n} in the settings|disable {n} in the settings|how do i turn {n} off?
i lost my {n} in {l}|someone stole my {n} in {l}|report a lost {n}
who are you?|what is your name?|are you a person or a {n}?|what can you do with {n}?
hello, i have a question about {n}|hi there, can you help me with my {n}?|thanks for the {n}
""".strip().splitlines()
# What fits a definition, which of a verb is "do something" and of a noun "a thing that".
VERB_FRAMES = """
how do i {x}?|how can i {x}?|what is the best way to {x}?|how to {x}|how do you {x}?
why do people {x}?|what makes someone {x}?|why would anyone {x}?|is it normal to {x}?|should i {x}?
can i {x}?|is it possible to {x}?|am i allowed to {x}?|could you {x} for me?|is it legal to {x}?
what happens when you {x}?|what will happen if i {x}?|what is it like to {x}?|what are ways to {x}?
how long does it take to {x}?|how much does it cost to {x}?|when should i {x}?|\
how often can you {x}?
where can i {x}?|what is the best place to {x}?|who can {x}?|which app can {x}?|\
what do i need to {x}?
i want to {x}|please {x}|help me {x}|i don't want to {x}|i forgot to {x}|do not {x}|\
stop trying to {x}
what does it mean to {x}?|what is the purpose of trying to {x}?|is it worth it to {x}?|did you {x}?
why can't i {x}?|why am i unable to {x}?|i tried to {x} but it failed|how do i avoid having to {x}?
will we ever {x}?|do animals {x}?|can a computer {x}?|what is the easiest way for a child to {x}?
""".strip().splitlines()
NOUN_FRAMES = """
what is {x}?|what do you call {x}?|what is the meaning of {x}?|what exactly is {x}?|\
tell me about {x}
where can i find {x}?|where do i get {x}?|how can i get {x}?|where can i buy {x}?|how much is {x}?
what is the best {x}?|which is the best {x}?|what is a good {x}?|what are examples of {x}?
how does {x} work?|how is {x} made?|who made {x}?|when was {x} first used?|\
what is the history of {x}?
why is {x} important?|what is the purpose of {x}?|what are the uses of {x}?|is {x} dangerous?
do i need {x}?|do you like {x}?|have you ever seen {x}?|did you know about {x}?|\
can you recommend {x}?
how do i know if it is {x}?|is this {x}?|what does {x} look like?|how big is {x}?|is {x} useful?
i am looking for {x}|i need {x}|show me {x}|there is {x} in my house|my friend gave me {x}
""".strip().splitlines()
LANGUAGES = "spanish french german italian japanese chinese russian hindi arabic latin".split()
EXAMPLE = re.compile(r'"([^"]{12,90})"')


@dataclass(frozen=True)
class Words:
    """The lemmas that fill the frames, with how often each is drawn."""

    slots: dict[str, list[str]]
    weights: dict[str, list[float]]


def write_corpus(
    wordnet: Path, vocabulary: Iterable[str], *, word_groups: int, gloss_groups: int, seed: int
) -> list[str]:
    """Groups of `GROUP` texts on neighbouring matters, then WordNet's own sentences."""
    rng = random.Random(seed)
    words = read_words(wordnet, vocabulary)
    texts = [text for _ in range(word_groups) for text in fill_group(words, rng)]
    for part, frames in (("verb", VERB_FRAMES), ("noun", NOUN_FRAMES)):
        defined = list(read_definitions(wordnet / f"data.{part}"))
        texts += [text for _ in range(gloss_groups) for text in fill_glosses(defined, frames, rng)]
    told = sorted(set(read_glosses(wordnet)))
    rng.shuffle(told)
    return texts + told


def fill_glosses(
    defined: list[tuple[str, str]], frames: list[str], rng: random.Random
) -> list[str]:
    """Three frames with a word or its definition, then two that share one part with them."""
    near = rng.sample(rng.choice(frames).split("|"), 3)
    word, gloss = rng.choice(defined)
    _, other = rng.choice(defined)
    far = rng.choice(rng.choice(frames).split("|"))
    return [
        near[0].format(x=gloss),
        near[1].format(x=word),
        near[2].format(x=gloss),
        near[0].format(x=other),
        far.format(x=rng.choice((gloss, word))),
    ]


def fill_group(words: Words, rng: random.Random) -> Iterator[str]:
    """Up to three wordings of one matter, then some with another word in one place."""
    frames = rng.choice(FRAMES).split("|")
    filling = draw_filling(words, rng)
    chosen = rng.sample(frames, min(3, len(frames)))
    for frame in chosen:
        yield frame.format(**filling)
    for _ in range(GROUP - len(chosen)):
        frame = rng.choice(frames)
        slots = re.findall(r"{(\w)}", frame)
        other = {slot: draw_filling(words, rng)[slot] for slot in slots and [rng.choice(slots)]}
        yield frame.format(**{**filling, **other})


def draw_filling(words: Words, rng: random.Random) -> dict[str, str]:
    """One word for each slot."""

    def draw(kind: str) -> str:
        return rng.choices(words.slots[kind], words.weights[kind])[0]

    numbers = (str(rng.choice((rng.randrange(2, 13), rng.randrange(13, 1000)))) for _ in "de")
    return {
        **{slot: draw("n") for slot in "nm"},
        **{slot: draw("v") for slot in "vw"},
        **{slot: draw("a") for slot in "ab"},
        **{slot: draw("l") for slot in "lk"},
        "p": draw("p"),
        "g": rng.choice(LANGUAGES),
        **dict(zip("de", numbers, strict=True)),
    }


def read_words(wordnet: Path, vocabulary: Iterable[str]) -> Words:
    """Lemmas by slot, drawn the more often the more of their senses WordNet met in text.

    The vocabulary's other words, names and brands of today among them, are nouns too.
    """
    counts: dict[str, dict[str, float]] = {kind: {} for kind in "nvalp"}
    for part, slot in POS.items():
        for lemma, tagged in read_index(wordnet / f"index.{part}"):
            counts[slot][lemma] = 0.5 + 3.0 * tagged
    for lemma, slot in read_instances(wordnet / "data.noun"):
        counts["n"].pop(lemma.lower(), None)
        counts[slot][lemma.lower()] = 1.0
    for word in vocabulary:
        if re.fullmatch("[a-z]{3,}", word):
            counts["n"].setdefault(word, 1.5)
    return Words(
        {slot: list(found) for slot, found in counts.items()},
        {slot: list(found.values()) for slot, found in counts.items()},
    )


def read_index(path: Path) -> Iterator[tuple[str, int]]:
    """Lemmas of at most two words, with their number of senses that are found in tagged text."""
    for line in data_lines(path):
        fields = line.split()
        lemma = fields[0].replace("_", " ")
        tagged = int(fields[5 + int(fields[3])])
        rare = tagged == 0
        if re.fullmatch(r"[a-z]{2,}( [a-z]{2,})?", lemma) and not (rare and hash_of(lemma) % 4):
            yield lemma, tagged


def read_instances(path: Path) -> Iterator[tuple[str, str]]:
    """Places ("l") and people ("p") that have a name."""
    for line in data_lines(path):
        fields = line.split("|")[0].split()
        kind = {"15": "l", "18": "p"}.get(fields[1])
        name = fields[4].replace("_", " ")
        if kind and "@i" in fields and re.fullmatch(r"[A-Z][A-Za-z. ]{3,24}", name):
            yield name, kind


def read_definitions(path: Path) -> Iterator[tuple[str, str]]:
    """Words with the definitions of 2 to 10 words that stand for them."""
    for line in data_lines(path):
        head, gloss = line.split("|", 1)
        definition = " ".join(re.sub(r"\([^)]*\)", "", gloss.split(";")[0]).split()).strip(" ,")
        if 2 <= definition.count(" ") + 1 <= 10 and re.fullmatch(r"[A-Za-z ,'-]+", definition):
            yield head.split()[4].replace("_", " ").lower(), definition


def read_glosses(wordnet: Path) -> Iterator[str]:
    """Examples, and definitions of 4 to 14 words."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in data_lines(wordnet / f"data.{part}"):
            gloss = line.split("|", 1)[1].strip()
            yield from EXAMPLE.findall(gloss)
            definition = gloss.split(";")[0].strip()
            if 4 <= definition.count(" ") + 1 <= 14:
                yield definition


def data_lines(path: Path) -> Iterable[str]:
    """The lines after the licence, which is indented."""
    with path.open(encoding="latin-1") as lines:
        yield from (line for line in lines if not line.startswith(" "))


def hash_of(text: str) -> int:
    """A hash that is the same in every run."""
    value = 0
    for letter in text:
        value = (value * 31 + ord(letter)) & 0xFFFFFFFF
    return value
