"""Code is cut between statements, of any language that people paste."""

import ast

import pytest

from frugalctl.levers.compress.statements import cut_statements


def cut(code, language):
    starts = [one.start for one in cut_statements(code, language)]
    return [code[a:b].strip() for a, b in zip(starts, [*starts[1:], len(code)], strict=True)]


@pytest.mark.parametrize(
    ("language", "units"),
    [
        ("python", ["@app.route('/x')\n\n@cached(ttl=60)\ndef f():\n    pass", "x = 1"]),
        ("python", ["# why\ndef f():\n    pass", "try:\n    x = 1\nexcept E:\n    pass"]),
        ("py", ["x = '''\nno = 1\n'''", "if a:\n    b\nelse:\n    c"]),
        ("", ["@dataclass\nclass A:\n    x: int", "y = 2"]),
        ("python2", ["@x(\n  1)\n@y\ndef f():\n    print 'a'", "print 'b'"]),
        ("java", ["@Override\npublic int f() {\n  return 1;\n}", "int x;"]),
        ("java", ["/** What it does.\n * More. */\n@A(b = 1)\nvoid f()\n{\n}", "int x;"]),
        ("rust", ["#[derive(Debug)]\nstruct A {\n    x: i32,\n}", "fn f() {}"]),
        ("csharp", ["[Test]\nvoid f()\n{\n}", "int x;"]),
        ("c", ["static int\nf(void)\n{\n}", "int x; // {", "int y;"]),
        ("c", ["#ifdef A\nint x;\n#endif", "int y;"]),
        ("typescript", ["// @ts-ignore\nexport const f = (a) => {\n  a;\n};", "g();"]),
        ("js", ["fetch(u)\n.then(a)\n.catch(b);", "const t = `a\n\nb`;"]),
        ("bash", ["cat <<EOF\nhello\n\nworld\nEOF", "ls"]),
        ("bash", ["if a\nthen\nb\nfi", "for x in y\ndo\nls\ndone", "a |\nb"]),
        ("sql", ["SELECT a\nFROM t\n\nWHERE x = 1\nGROUP BY a;", "DELETE FROM t\nWHERE id = 3;"]),
        ("yaml", ["a:\n- x\n- y", "b: 1"]),
        ("toml", ["[a]\nx = 1\ny = 2", "[b]\nx = 1"]),
        ("html", ["<ul>\n<li>a</li>\n</ul>"]),
    ],
)
def test_a_statement_is_one_unit(language, units):
    assert cut("\n\n".join(units) + "\n", language) == units
    assert cut("\n".join(units), language) == units


def test_a_comment_apart_is_a_unit_of_its_own():
    assert cut("// Part one\n\nf();\n", "js") == ["// Part one", "f();"]


def test_a_long_class_is_cut_between_its_methods():
    methods = "".join(
        f"    @cached\n    def f{at}(self):\n        return {'x' * 300}\n\n" for at in range(6)
    )
    code = f"import os\n\n\nclass A(\n    B,\n):\n    # first\n{methods}\ny = 1\n"
    unit = cut_statements(code, "python")[1]
    assert unit.name == "A"
    assert len(unit.body) == 6
    for at, one in enumerate(unit.body):
        end = unit.body[at + 1].start if at < 5 else code.index("y = 1")
        ast.parse("class A:\n" + code[one.start : end])
    assert not cut_statements(code.replace("x" * 300, "x"), "python")[1].body


def test_a_function_is_cut_only_where_it_is_too_long_for_all():
    code = "def f():\n" + "".join(f"    x{at} = {at}\n" for at in range(50))
    assert not cut_statements(code, "python")[0].body
    assert len(cut_statements(code, "python", 100)[0].body) == 50
