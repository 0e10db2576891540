"""The words and signs by which a prompt says what its parts are."""

from __future__ import annotations

import re

# A label at the start of a line: what it opens, and the title that it gives.
DOCUMENT = re.compile(
    r"[ \t]{0,3}(?:"
    r"(?:\*\*)?(?:Document|Doc|Passage|Context|Source|Article|Chunk|Snippet|Excerpt|Reference|Text"
    r"|File|문서|자료|본문|지문|文档|文書|资料)"
    r"[ \t]?(?:\[\w{1,12}\]|\(\w{1,12}\)|#?\d{1,6}|[A-Z](?=[:.)]))?"
    r"[ \t]?(?:\((?:Title|title|제목):[ \t]?"
    r"(?P<titled>(?:[^()\n]|\([^()\n]{0,100}\)){0,300}|[^\n]{0,300}?)\)[ \t]?:?|(?:\*\*)?[:：])"
    r"|\[(?P<number>\d{1,6})\](?=[ \t])"
    r"|(?:Title|제목|标题)[:：][ \t]?(?P<plain>[^\n]{0,300})"
    r")"
)
SHOT = re.compile(
    r"[ \t]{0,3}(?:\*\*|#{1,6} )?(?:Example|Exemplar|Shot|Demonstration|Sample"
    r"|예시|예제|보기|例|示例)"
    r"[ \t]?(?:\[\d{1,4}\]|#?\d{1,4})[^\n]{0,80}$",
    re.IGNORECASE,
)
ASK = re.compile(
    r"[ \t]{0,3}(?:\*\*)?(?P<label>Q|Question|Input|User|Human|Query|Problem"
    r"|질문|입력|문제|问题|问|問題|質問)"
    r"[ \t]?\d{0,4}(?:\*\*)?[:：](?:\*\*)?(?=[ \t\r\n]|$|[^\x00-\x7f])"
)
REPLY = re.compile(
    r"[ \t]{0,3}(?:\*\*)?(?:A|Answer|Output|Assistant|AI|Response|Label|Solution|Completion"
    r"|답변|답|정답|출력|回答|答案|答)"
    r"[ \t]?\d{0,4}(?:\*\*)?[:：](?:\*\*)?(?P<rest>[^\n]{0,200})"
)
HEADING = re.compile(r"(?P<level>#{1,6})[ \t]+(?P<title>[^\n]{1,300})")
# A line in capitals or in bold type, which is a heading where its words name a section.
BARE_HEADING = re.compile(
    r"(?P<title>[A-Z][A-Z _\-'&]{3,40}|\*\*[A-Z][\w _\-'&]{2,40}:?\*\*:?"
    r"|__[A-Z][\w \-'&]{2,40}__):?[ \t]*\r?$"
)
RULE = re.compile(r"[ \t]{0,3}(?:-{3,}|\*{3,}|_{3,}|={3,})[ \t]*\r?$")
TAG_LINE = re.compile(
    r"[ \t]{0,8}<(?P<close>/?)(?P<name>[A-Za-z][\w\-]{0,40})(?P<rest>[^<>\n]{0,400})>"
)
CLOSE_TAG = re.compile(r"</(?P<name>[A-Za-z][\w\-]{0,40})>\Z")
TITLE = re.compile(r"\b(?:title|name|source|id|index|path|url)[ \t]?=[ \t]?[\"']([^\"'\n]{1,300})")

_INSTRUCTION_NAMES = re.compile(
    r"(?:system(?:[ _]prompt)?|developer message|guardrails|role|persona|instructions?"
    r"|tasks?|your task|rules?|guidelines?|goals?|objectives?"
    r"|constraints?|requirements?|(?:output|response|answer)(?:[ _\-](?:format|schema|style))?"
    r"|format|steps?|tone|style|important|policy|policies|how to .{1,40}"
    r"|역할|지시(?: ?사항)?|지침|규칙|과제|목표|제약(?: ?조건)?|조건|출력 ?형식|형식"
    r"|주의(?: ?사항)?|指示|规则|任务)",
    re.IGNORECASE,
)
_QUESTION_NAMES = re.compile(
    r"(?:(?:user|final|the)?[ _\-]?(?:questions?|query|request|message|input)"
    r"|질문|문제|요청|问题|質問)",
    re.IGNORECASE,
)
_SHOT_NAMES = re.compile(r"(?:example|exemplar|shot|demonstration|demo|예시|예제)", re.IGNORECASE)
_DOCUMENT_NAMES = re.compile(
    r"(?:document|doc|source|passage|article|context|file|chunk|item|result|snippet|reference"
    r"|excerpt|page|text|content|transcript|email|search_result|document_content"
    r"|knowledge(?:[ _]base)?|facts|data|background(?: information)?|conversation"
    r"|(?:chat |conversation )?history)",
    re.IGNORECASE,
)
_ORDER = re.compile(
    r"(?:#{1,6} )?(?:(?:now|finally|first|then),? )?"
    r"(?:you are|you're|you will|you must|you should|you have|your (?:task|job|role|goal)"
    r"|please|act as|imagine|assume|given (?:the|a|an|this|these)|using|based on|use|answer"
    r"|summari[sz]e|translate|write|read|extract|classify|explain|describe|list|compare|identify"
    r"|find|generate|create|rewrite|analy[sz]e|review|fix|evaluate|determine|decide|choose|select"
    r"|complete|convert|provide|consider|think|respond|reply|return|output|give|tell|show|make"
    r"|ensure|do not|don't|never|always|only|keep|i want|i need|i would like|let's|the following"
    r"|below (?:is|are)|here (?:is|are)|follow|refactor|implement|debug|solve|calculate|compute"
    r"|instructions?:|task:|system:|note:|important:|role:|"
    r"당신은|너는|귀하는|다음|아래|위의?|주어진|请|你是|根据|以下|あなたは|次の)",
    re.IGNORECASE,
)
_ORDER_END = re.compile(
    r"(?:하세요|하십시오|하시오|하라|마세요|마십시오|해라|해 ?줘"
    r"|해 ?주세요|주세요|주십시오|시오|할 것|말 것|바랍니다"
    r"|ください|しなさい|请回答)[.!。]?[\"'”’)]*\s*$"
)
_ASKS = re.compile(
    r"[?？؟][\"'”’)\]*_]*\s*$|(?:인가요?|는가요?|은가요?|니까|까요|나요)[.]?\s*$"
    r"|(?:^|\n)[^\n]{0,40}(?:question|질문|问题|質問)[^\n]{0,20}[:：]",
    re.IGNORECASE,
)
RULES_FOLLOW = re.compile(
    r"(?:rules?|guidelines?|steps?|requirements?|constraints?|instructions?|format|must|criteria"
    r"|규칙|지침|조건|형식)[^\n]{0,80}[:：]\s*$",
    re.IGNORECASE,
)
BULLET = re.compile(r"[ \t]{0,8}(?:[-*+•]|\d{1,3}[.)])[ \t]")

_NUMBER = re.compile(r"[_\-]?\d{1,6}\Z")
_PLURALS = frozenset(
    {"documents", "docs", "sources", "passages", "contexts", "examples", "results"}
)


def name_section(title: str) -> str:
    """What a heading or a tag of this name holds: a kind of segment, or "" where it is unsure."""
    name = title.strip().strip("*_`#:： \t").strip()
    if _INSTRUCTION_NAMES.fullmatch(name):
        return "instruction"
    if _QUESTION_NAMES.fullmatch(name):
        return "question"
    if _SHOT_NAMES.fullmatch(name):
        return "exemplar"
    if name.lower() in _PLURALS:
        return "container"
    return "document" if _DOCUMENT_NAMES.fullmatch(name) else ""


def name_tag(name: str) -> str:
    """The same of a tag, which may have a number: <doc1>, <example_2>."""
    return name_section(_NUMBER.sub("", name))


def is_order(text: str) -> bool:
    """Whether a paragraph tells the model what to do."""
    head = text[:400].lstrip("\ufeff \t\r\n*_>\"'-")
    return bool(_ORDER.match(head) or _ORDER_END.search(text[-80:]))


def is_question(text: str) -> bool:
    """Whether a paragraph ends by asking, or is labelled as a question."""
    return bool(_ASKS.search(text[-400:]))
