import importlib.metadata
import sys

import pytest

from frugalctl.errors import MissingExtraError
from frugalctl.levers.normalize import NormalizeSettings, make_normalizer
from frugalctl.levers.normalize.korean import has_hangul, reduce_korean


def reduce_one(text, *steps):
    return make_normalizer(NormalizeSettings(("korean", *steps))).reduce([text])[0]


@pytest.fixture
def kiwi():
    return pytest.importorskip("kiwipiepy", reason="needs the extra ko")


@pytest.mark.usefixtures("kiwi")
@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [
        ("파스타 레시피 알려줘", "파스타 레시피를 가르쳐 주세요", []),
        ("파스타 레시피 알려줘", "파스타의 레시피 설명해 줄래?", []),
        ("맛있는 파스타 레시피 알려줘", "파스타 레시피 좀 알려주세요", ["modifiers"]),
        ("비밀번호를 변경하고 싶어요", "비밀번호 변경하고 싶습니다", []),
        ("내일 서울 날씨 알려줘", "서울 내일 날씨 말해줘", ["word-order"]),
        ("환불은 어떻게 하나요?", "환불 어떻게 해요", []),
    ],
)
def test_wordings_of_one_question_meet(one, other, steps):
    assert reduce_one(one, *steps) == reduce_one(other, *steps)


@pytest.mark.usefixtures("kiwi")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("환불이 되나요?", "환불이 안 되나요?"),
        ("비밀번호를 변경하고 싶어요", "비밀번호를 변경하고 싶지 않아요"),
        ("알림을 켜 주세요", "알림을 켜지 마세요"),
        ("이건 사과야", "이건 사과가 아니야"),
        ("사과 2개 주문", "사과 3개 주문"),
        ("사과 두 개 주문", "사과 세 개 주문"),
        ("누가 나한테 전화했어?", "누구한테 내가 전화했어?"),
        ("서울 날씨", "부산 날씨"),
        ("설명 쓰는 법", "쓰는 법"),
    ],
)
def test_what_changes_the_question_stays(one, other):
    assert reduce_one(one, "word-order") != reduce_one(other, "word-order")


@pytest.mark.usefixtures("kiwi")
def test_other_languages_stay_as_they_are():
    assert reduce_one("How do I reset it?") == "how do i reset it"
    assert reduce_one("你好") == "你好"


@pytest.mark.usefixtures("kiwi")
def test_a_text_without_content_is_kept():
    assert reduce_one("그리고?") == "그리고"


@pytest.mark.usefixtures("kiwi")
def test_the_name_says_the_analyser_and_its_model():
    name = make_normalizer(NormalizeSettings(("korean",))).name
    for package in ("kiwipiepy", "kiwipiepy_model"):
        assert importlib.metadata.version(package) in name


def test_without_the_extra_the_step_says_how_to_get_it(monkeypatch):
    def is_missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", is_missing)
    with pytest.raises(MissingExtraError, match="kiwipiepy is not installed") as error:
        make_normalizer(NormalizeSettings(("korean",)))
    assert "frugalctl[ko]" in error.value.hint


def test_nothing_is_loaded_where_no_text_is_korean(monkeypatch):
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    assert reduce_korean(["plain english", "", "日本"]) == ["plain english", "", "日本"]


def test_hangul_is_known_in_every_form():
    assert has_hangul("abc 가")
    assert has_hangul("\u1100\u1161")
    assert has_hangul("ㅋㅋ")
    assert not has_hangul("abc 漢 かな")
