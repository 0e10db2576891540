import pytest

from frugalctl.errors import ConfigError
from frugalctl.levers.cascade import CascadePolicy
from frugalctl.replay.recipe import Recipe, load_recipe, parse_recipe


def test_a_recipe_file(tmp_path):
    file = tmp_path / "cheap.toml"
    file.write_text('[cascade]\nmodels = ["a", "b"]\nthresholds = [-1]\n', "utf-8")
    recipe = load_recipe(str(file))
    assert recipe == Recipe("cheap", CascadePolicy(("a", "b"), (-1.0,), "confidence"))
    assert recipe.levers == ("cascade",)
    assert recipe.settings()["cascade"].items() >= {"thresholds": (-1.0,)}.items()


def test_an_empty_recipe_has_no_lever():
    recipe = parse_recipe({}, "none")
    assert (recipe.name, recipe.levers, recipe.settings()) == ("none", (), {})


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[cascde]", "unknown key 'cascde'", "did you mean 'cascade'?"),
        ("[cascade]\nmodel = []", "[cascade] unknown key 'model'", "did you mean 'models'?"),
        (
            "zzz = 1",
            "unknown key 'zzz'",
            "known: name, normalize, semantic_cache, cascade, compress, prompt_cache",
        ),
        ("cascade = 1", "cascade is not a table", "write [cascade]"),
        ("name = 1", "name is not text", ""),
        ("[cascade]", "[cascade] models is missing", ""),
        ("[cascade]\nmodels = 'a'", "[cascade] models is not a list of names", ""),
        ("[cascade]\nmodels = [1]", "[cascade] models is not a list of names", ""),
        (
            "[cascade]\nmodels = ['a', 'b']\nthresholds = [true]",
            "[cascade] thresholds is not a list of numbers",
            "",
        ),
        ("[cascade]\nmodels = ['a']\nscore = 1", "[cascade] score is not text", ""),
        ("[cascade", "not TOML", ""),
    ],
)
def test_errors_name_the_file_the_key_and_the_nearest_one(tmp_path, text, message, hint):
    file = tmp_path / "bad.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(file))
    line = ":1" if message == "not TOML" else ""
    assert str(caught.value).startswith(f"{file}{line}: {message}")
    assert caught.value.hint == hint


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_recipe(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_recipe(str(tmp_path))
    broken = tmp_path / "latin.toml"
    broken.write_bytes(b'name = "\xe9"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_recipe(str(broken))
