import os
import subprocess
import time
from dataclasses import replace

import pytest

from frugalctl.errors import ConfigError, FrugalError, InputError, UsageError
from frugalctl.replay.templates.base import take_old_templates
from frugalctl.replay.templates.files import load_prompts
from frugalctl.replay.templates.parse import parse_template
from frugalctl.replay.templates.spec import PromptSpec
from frugalctl.replay.templates.values import Facts, check_values, fill_in


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return str(folder)


def test_every_template_in_a_folder_is_a_prompt(tmp_path):
    write(tmp_path / "p", a__md="A {x}", b__txt="B", c__py="no")
    write(tmp_path / "p" / "more", d__j2="D {{ x }}")
    write(tmp_path / "p" / ".git", e__md="hidden")
    found = load_prompts([str(tmp_path / "p")])
    assert [spec.name for spec in found] == ["a", "b", "more/d"]


DECLARED = """
[support]
file = "s.md"
version = 2
role = "developer"
task = "faq"
was = { version = "1", file = "s@1.md" }
values = { limit = 3 }
[support.varies]
limit = "day"
"""


def test_a_declaration(tmp_path):
    folder = write(tmp_path / "p", s__md="New {limit}", prompts__toml=DECLARED)
    (tmp_path / "p" / "s@1.md").write_text("Old")
    (spec,) = load_prompts([folder])
    assert (spec.name, spec.version, spec.old_version) == ("support", "2", "1")
    assert (spec.role, spec.filters, spec.old.texts) == ("developer", {"task": "faq"}, ("Old",))
    assert (spec.values, spec.varies) == ({"limit": "3"}, {"limit": "day"})


def test_a_declaration_is_of_the_template_of_its_name(tmp_path):
    folder = write(tmp_path / "p", s__md="x {tier}", prompts__toml='[s.values]\ntier = "x"')
    (spec,) = load_prompts([folder])
    assert (spec.name, spec.file, spec.values) == ("s", f"{folder}/s.md", {"tier": "x"})
    write(tmp_path / "p", s__txt="another")
    with pytest.raises(ConfigError, match="file is missing"):
        load_prompts([folder])


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[a]\nfile = "s.md"\nversoin = "1"', 3, "did you mean 'version'?"),
        ('[a]\nfile = "t.md"', 2, "no such file"),
        ('[a]\nfile = "s.md"\nrole = "sytem"', 3, "did you mean 'system'?"),
        ('[a]\nfile = "s.md"\nversion = true', 3, "version"),
        ('[a]\nfile = "s.md"\nversion = "1"\nwas = { version = "1" }', 4, "replace itself"),
        ('[a]\nfile = "s.md"\nwas = { fiel = "s.md" }', 3, "did you mean 'file'?"),
        ('[a]\nfile = "s.md"\nwas = "s.md"', 3, "not a table"),
        ('[a]\nfile = "s.md"\n[a.varies]\nx = "hour"', 4, "varies.x"),
        ('[a]\nfile = "s.md"\nvalues = { x = [1] }', 3, "values.x"),
        ('[a]\nversion = "1"', 1, "file is missing"),
        ('[a]\nfile = "s.md"\n[a.varies]\nnwo = "day"', 4, "unknown key 'varies.nwo'"),
        ('[a]\nfile = "s.md"\nvalues = { y = "1" }', 3, "unknown key 'values.y'"),
        ('[a]\nfile = "."', 2, "file: is a folder"),
        ('[a]\nfile = "s.md"\nwas = { file = "t.md" }', 3, "no such file: t.md"),
        ('[a]\nfile = "s.md"\n\n[b', 4, "not TOML"),
        (f"[a]\nx = {'[' * 9999}", None, "nested too deeply"),
        ('a = "s.md"', 1, "not a table"),
    ],
)
def test_a_bad_declaration_names_its_line(tmp_path, text, line, words):
    folder = write(tmp_path / "p", s__md="x", prompts__toml=text)
    with pytest.raises(ConfigError) as caught:
        load_prompts([folder])
    error = caught.value
    assert error.where.endswith(f"prompts.toml:{line}" if line else "prompts.toml")
    assert words in f"{error.message} {error.hint}"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a\0b", "binary"),
        (b"one\ntwo \xff", "s.md:2"),
        (b" \n", "empty"),
    ],
)
def test_what_is_no_template(tmp_path, data, words):
    (tmp_path / "s.md").write_bytes(data)
    with pytest.raises(InputError) as caught:
        load_prompts([str(tmp_path)])
    assert words in str(caught.value)


def test_an_empty_folder_a_missing_one_and_two_of_one_name(tmp_path):
    with pytest.raises(InputError, match="no template"):
        load_prompts([str(tmp_path)])
    with pytest.raises(InputError, match="no such"):
        load_prompts([str(tmp_path / "none")])
    folder = write(tmp_path / "p", s__md="x", s__txt="y")
    with pytest.raises(ConfigError, match="two prompts"):
        load_prompts([folder])


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    folder = write(tmp_path / "p", s__md="x")
    (tmp_path / "p" / "t.md").symlink_to("nowhere.md")
    with pytest.raises(InputError, match="t.md: cannot be read"):
        load_prompts([folder])


def test_a_base_that_is_empty_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--base is empty"):
        take_old_templates(load_prompts([write(tmp_path / "p", s__md="x")]), [], "")


def test_old_templates_from_a_folder(tmp_path):
    new = write(tmp_path / "new", a__md="A2", b__md="B")
    old = write(tmp_path / "old", a__md="A1")
    found, missing = take_old_templates(load_prompts([new]), [new], old)
    assert [spec.old and spec.old.texts for spec in found] == [("A1",), None]
    assert missing == [found[1].file]
    with pytest.raises(InputError, match="none of the templates"):
        take_old_templates(load_prompts([new]), [new], write(tmp_path / "empty"))


def git(folder, *arguments):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True)


def test_old_templates_from_a_revision(tmp_path):
    new = write(tmp_path / "p", a__md="A1")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    write(tmp_path / "p", a__md="A2", b__md="B")
    found, missing = take_old_templates(load_prompts([new]), [new], "HEAD")
    assert [spec.old and spec.old.texts for spec in found] == [("A1",), None]
    assert len(missing) == 1
    for revision, kind in (("nonsense", InputError), ("--all", UsageError)):
        with pytest.raises(kind):
            take_old_templates(load_prompts([new]), [new], revision)


def test_an_old_template_behind_a_link(tmp_path):
    new = write(tmp_path / "p", a__md="A1", c__txt="no")
    write(tmp_path / "shared", real__md="L1")
    (tmp_path / "p" / "link.md").symlink_to("../shared/real.md")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    write(tmp_path / "shared", real__md="L2")
    found, missing = take_old_templates(load_prompts([f"{new}/link.md"]), [new], "HEAD")
    assert [spec.old and spec.old.texts for spec in found] == [("L1",)]
    assert not missing


def test_links_in_a_circle_are_named(tmp_path):
    folder = write(tmp_path / "p", s__md="x")
    (tmp_path / "p" / "a.md").symlink_to("b.md")
    (tmp_path / "p" / "b.md").symlink_to("a.md")
    with pytest.raises(InputError, match="a.md: cannot be read"):
        load_prompts([folder])


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    folder = write(tmp_path / "p", s__md="x")
    (tmp_path / "p" / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="locked: cannot be read: Permission denied"):
        load_prompts([folder])


def test_parsing_takes_linear_time():
    for mark in ("{% ", "{# ", "{{ "):
        start = time.process_time()
        parse_template("{{ a }}\n" + mark * 60_000, "t.md")
        assert time.process_time() - start < 5, mark


def test_a_revision_without_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    new = write(tmp_path / "p", a__md="A1")
    with pytest.raises(InputError, match="no git repository"):
        take_old_templates(load_prompts([new]), [new], "HEAD")


FACTS = Facts(7, "r8", 1_790_000_000_000_000, "s1", "acme", "faq", "gpt-4o")


def prompt(source, **more):
    return PromptSpec("p", "p.md", parse_template(source, "p.md"), **more)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("now", "2026-09-21T14:13:20Z"),
        ("today", "2026-09-21"),
        ("now:%d.%m. %H", "21.09. 14"),
        ("now.isoformat()", "2026-09-21T14:13:20Z"),
        ("session_id", "s1"),
        ("tenant", "acme"),
    ],
)
def test_well_known_values(name, value):
    assert fill_in(prompt(f"{{{name}}}"), name, FACTS) == value


@pytest.mark.parametrize("name", ["request_id", "uuid", "nonce"])
def test_ids_differ_by_request_and_stay_the_same(name):
    spec = prompt(f"{{{name}}}")
    other = Facts(8, "r9", FACTS.time_us, "s1", "acme", "faq", "gpt-4o")
    assert fill_in(spec, name, FACTS) == fill_in(spec, name, FACTS)
    assert fill_in(spec, name, FACTS) != fill_in(spec, name, other)


@pytest.mark.parametrize(("rate", "same"), [("request", False), ("session", True), ("never", True)])
def test_declared_values_vary_as_declared(rate, same):
    spec = prompt("{who}", values={"who": "Ada"}, varies={"who": rate})
    other = Facts(8, "r9", FACTS.time_us, "s1", "acme", "faq", "gpt-4o")
    one, two = fill_in(spec, "who", FACTS), fill_in(spec, "who", other)
    assert (one == two) is same
    assert one.endswith("Ada")


def test_a_value_that_nobody_knows_is_named_with_how_to_declare_it():
    spec = prompt("one\n{mood}", old=parse_template("one", "old"))
    with pytest.raises(ConfigError) as caught:
        check_values(spec)
    assert caught.value.where == "p.md:2"
    assert "[p.values] mood" in caught.value.hint


@pytest.mark.parametrize("name", ["user.tier", "고객", "order"])
def test_what_the_hint_says_can_be_declared(name, tmp_path):
    folder = write(tmp_path / "p", s__j2=f"one {{{{ {name} }}}}")
    with pytest.raises(ConfigError) as caught:
        check_values(replace(load_prompts([folder])[0], old=parse_template("one", "old")))
    table, key = caught.value.hint.removeprefix("in prompts.toml: ").split(" and,")[0].split("] ")
    write(tmp_path / "p", prompts__toml=f"{table}]\n{key}")
    (spec,) = load_prompts([folder])
    check_values(replace(spec, old=parse_template("one", "old")))
    assert spec.values == {name: "..."}


def test_a_request_without_a_tenant_has_no_value_for_it():
    with pytest.raises(FrugalError, match="tenant"):
        fill_in(prompt("{tenant}"), "tenant", Facts(0, None, 0, None, None, None, None))
