"""Korean questions on documents about places that do not exist, written for this project.

Every document speaks of the same things in the same words, so that only the name and the matter
asked for tell where the answer is; names share syllables, and questions use other particles and
endings than the documents.
"""

import random

PLACES = ("도서관", "박물관", "수영장", "시장", "공원", "미술관", "체육관", "역", "서점", "식물원")
FIRST = ("한빛", "새들", "솔내", "가온", "누리", "미르", "다온", "해담", "온새", "달보")
SECOND = ("마을", "언덕", "나루", "벌", "골", "재")
FAMILY = ("김", "이", "박", "최", "정", "강", "조", "윤", "장", "임")
GIVEN = ("서준", "하윤", "도현", "지안", "예린", "태오", "수빈", "은결", "라온", "시우")
DISHES = ("메밀국수", "팥죽", "호박전", "콩국수", "쑥떡", "감자옹심이", "두부찌개", "매실차")
FILLERS = (
    "주말에는 가족과 함께 찾는 사람이 많아서 조금 붐비는 편이다.",
    "건물 앞에는 오래된 느티나무가 한 그루 서 있어 여름이면 그늘이 넓다.",
    "비가 오는 날에는 입구의 우산꽂이를 쓰면 된다.",
    "근처 버스 정류장에서 걸어서 올 수 있고 자전거를 세울 곳도 있다.",
    "안내 책자는 입구에서 누구나 무료로 받을 수 있다.",
    "지난겨울에는 난방 장치를 새것으로 바꾸었다.",
)
QUESTIONS = {
    "head": "{name}의 책임자가 누구인지 알려 주세요.",
    "year": "{name}은 몇 년도에 처음 문을 열었나요?",
    "fee": "{name}에 들어가려면 입장료를 얼마 내야 하나요?",
    "dish": "{name} 안 식당에서 가장 유명한 음식은 뭐예요?",
    "phone": "{name}에 문의하려면 어느 번호로 전화해야 합니까?",
}


def make_cases(count: int = 60, documents: int = 20, seed: int = 11) -> list[dict]:
    """Cases as `frugalctl compress eval` reads them: one document of twenty has the answer."""
    drawn = random.Random(seed)
    names = [f"{first}{second} {place}" for first in FIRST for second in SECOND for place in PLACES]
    cases = []
    for number in range(count):
        made = [_make_document(drawn, name) for name in drawn.sample(names, documents)]
        asked = drawn.choice(sorted(QUESTIONS))
        name, _, facts = drawn.choice(made)
        cases.append(
            {
                "id": f"ko{number}",
                "documents": [{"title": title, "text": text} for title, text, _ in made],
                "question": QUESTIONS[asked].format(name=name),
                "evidence": [facts[asked]],
            }
        )
    return cases


def _make_document(drawn: random.Random, name: str) -> tuple[str, str, dict[str, str]]:
    head = drawn.choice(FAMILY) + drawn.choice(GIVEN)
    phone = f"0{drawn.randint(31, 64)}-{drawn.randint(200, 999)}-{drawn.randint(1000, 9999)}"
    facts = {
        "head": f"운영 책임은 {head} 관장이 맡고 있으며 임기는 {drawn.randint(2, 6)}년이다.",
        "year": f"{drawn.randint(1950, 2024)}년 {drawn.randint(1, 12)}월에 개관하여 문을 열었다.",
        "fee": f"입장료는 어른 {drawn.randint(2, 30) * 500:,}원이고 어린이는 절반만 받는다.",
        "dish": f"구내식당에서는 {drawn.choice(DISHES)} 음식이 가장 인기가 많다.",
        "phone": f"예약과 문의는 전화 {phone} 번으로 할 수 있다.",
    }
    sentences = [*facts.values(), *drawn.sample(FILLERS, 4)]
    drawn.shuffle(sentences)
    return name, " ".join([f"{name}은 이 고장 사람들이 아끼는 곳이다.", *sentences]), facts
