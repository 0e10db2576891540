"""What reads like an order to the model: sentences that say how to answer, and how not to."""

from __future__ import annotations

import re

from frugalctl.levers.compress.segments_words import is_order

# A paragraph of which so many sentences are orders is one; a document has few of them.
ORDERS_SHARE = 0.25
_READ_CHARS = 1500
_MAX_LEAD_CHARS = 400

_SENTENCES = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_STARTS = re.compile(
    r"\W{0,4}(?:\d{1,3}[.)][ \t]+)?(?:\*\*)?(?:"
    r"(?:(?:please|always|also|then|finally|first|otherwise|and)[ ,]+)?"
    r"(?:answer|reply|respond|output|return|limit|cite|mention|avoid|refuse|say|write|translate"
    r"|summari[sz]e|classify|extract|rewrite|rephrase|explain|describe|quote|escalate|forward"
    r"|address|include|exclude|omit|ignore|prefer|format|wrap|remember|ensure|make sure|stay"
    r"|speak|sound|sign|treat|consider|think|use|do not|don't|never|keep|base your|follow"
    r"|be (?:brief|polite|kind|concise|short|clear|careful|precise|honest|friendly|formal))\b"
    r"(?! (?:before|again|since|had|has|was|were|is|are|of)\b)"
    r"|(?:at most|no more than|at all times|under no circumstances|in no case|only (?:answer|use"
    r"|reply|output|return))\b"
    r"|as an? [^,.\n]{2,60}, (?:you|your)\b|(?:you are|you must|you should|you will|you may"
    r"|you can(?:not)?|you have to|you need to|your (?:task|job|role|goal|answer|reply|output))\b"
    r"|(?:tone|voice|style|length|language|format|audience|forbidden|prohibited|not allowed"
    r"|persona|scope|limits?)\b[^:\n]{0,30}:"
    r")",
    re.IGNORECASE,
)
_ABOUT_ANSWERS = re.compile(
    r"\b(?:(?:the|your|each|every) (?:answer|reply|response|output|summary|translation|result)"
    r"|answers|replies|responses|you)\b[^.\n]{0,40}"
    r"\b(?:must|should|shall|has to|have to|may not|cannot|need to|needs to|is to|are to)\b"
    r"|\b(?:must|should|shall) (?:you|the (?:answer|reply|response|output))\b"
    r"|(?:세요|십시오|시오|마라|할 것|말 것|ください|しなさい)[.!。]?[\"'”’)]*\s*$",
    re.IGNORECASE,
)
_LEADS_IN = re.compile(
    r"(?:\b(?:below|following|follows|here|this|these|above)\b|아래|다음|以下|次の)"
    r"[^\n]{0,120}[:：][ \t*_]*\s*$",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"\W*(?:(?:many )?thanks?(?: you)?|cheers|(?:best|kind|warm) (?:regards|wishes)|regards"
    r"|good luck|best|sincerely|감사합니다|고맙습니다|부탁드립니다|谢谢|ありがとう(?:ございます)?)"
    r"\b[^\n?]{0,40}\s*\Z",
    re.IGNORECASE,
)


def is_directive(sentence: str) -> bool:
    """Whether a sentence says how to answer."""
    return bool(_STARTS.match(sentence) or _ABOUT_ANSWERS.search(sentence))


def measure_orders(text: str) -> float:
    """The share of its sentences that say how to answer; of a long text, of its beginning."""
    sentences = [one for one in _SENTENCES.split(text[:_READ_CHARS]) if one and not one.isspace()]
    return sum(map(is_directive, sentences)) / len(sentences) if sentences else 0.0


def gives_orders(text: str) -> bool:
    """Whether a paragraph begins with an order, or has enough of them."""
    return is_order(text) or measure_orders(text) >= ORDERS_SHARE


def leads_in(text: str) -> bool:
    """Whether a short paragraph ends in a colon: something follows that it speaks of."""
    return len(text) <= _MAX_LEAD_CHARS and bool(_LEADS_IN.search(text))


def is_closing(text: str) -> bool:
    """Whether it is a word of thanks after all is said."""
    return len(text) <= 100 and bool(_CLOSING.match(text))
