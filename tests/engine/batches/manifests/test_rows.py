"""What the columns mean: types, copies, templates, options."""

from __future__ import annotations

import json

import pytest

from mediagen.engine.batches.manifests import ManifestError, ManifestRow, Problem, Template, open_manifest
from mediagen.engine.generation.orders import AssetOrder
from mediagen.models import MediaAsset


@pytest.fixture
def read(tmp_path):
    def _read(rows, *, defaults=None, **options):
        """Rows of a CSV text, or of a list of objects as JSON lines."""
        path = tmp_path / ("p.csv" if isinstance(rows, str) else "p.jsonl")
        path.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
        return list(open_manifest(path, **options).rows(defaults))

    return _read


def test_all_columns_of_csv(read):
    (row,) = read(
        "key,prompt,Negative_Prompt,width,height,seed,library,tags,name,alt_text,description,provider,steps,option.raw\n"
        'k1," a fox ",bears,640,480.0,7,Spring,"red, quick;fox ",Fox,A fox,Long,"flux, sdxl",20,yes\n'
    )
    assert row.row_key == "k1"
    assert row.line == 2
    assert row.library == "Spring"
    assert row.arguments == {
        "prompt": " a fox ",
        "negative_prompt": "bears",
        "width": 640,
        "height": 480,
        "seed": 7,
        "library": "Spring",
        "tags": ["red", "quick", "fox"],
        "name": "Fox",
        "alt_text": "A fox",
        "description": "Long",
        "providers": ["flux", "sdxl"],
        "steps": "20",
        "raw": "yes",
    }


def test_all_keys_of_json(read):
    (row,) = read(
        [
            {
                "key": 12,
                "prompt": "a fox",
                "size": "640\u00d7480",
                "seed": 7.0,
                "tags": ["a, b", "c"],
                "providers": "flux;sdxl",
                "option.loras": [{"path": "x", "scale": 0.5}],
                "raw": True,
                "name": "",
                "alt_text": None,
            }
        ]
    )
    assert row.row_key == "12"
    assert row.arguments == {
        "prompt": "a fox",
        "width": 640,
        "height": 480,
        "seed": 7,
        "tags": ["a, b", "c"],
        "providers": ["flux", "sdxl"],
        "loras": [{"path": "x", "scale": 0.5}],
        "raw": True,
    }


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("red, quick;fox", ["red", "quick", "fox"]),
        (",red,,", ["red"]),
        ('["a, b", "c"]', ["a, b", "c"]),
        ("[draft], red", ["[draft]", "red"]),
        ("[draft", ["[draft"]),
        ("[" * 100_000, ["[" * 100_000]),
    ],
)
def test_words_in_a_cell(read, cell, tags):
    (row,) = read([{"prompt": "a fox", "tags": cell}])
    assert row.arguments["tags"] == tags


def test_the_longest_key_fits_an_asset_with_its_copies(read):
    rows = read([{"prompt": "a fox", "key": "x" * 190, "count": 1000}])
    assert len(rows[-1].row_key) == 195 <= MediaAsset._meta.get_field("row_key").max_length


def test_empty_cells_are_not_given(read):
    (row,) = read("prompt,negative_prompt,width,seed,tags,steps,provider\na fox,,  ,,,,\n")
    assert row.arguments == {"prompt": "a fox"}
    assert row.values == {"prompt": "a fox"}
    assert row.row_key == "2"


def test_an_order_can_be_made_of_a_row(read):
    (row,) = read("prompt,size,library,tags,provider,steps\na fox,64x48,Spring,red,flux,20\n")
    order = row.order(dry_run=True)
    assert isinstance(order, AssetOrder)
    assert (order.request.width, order.request.height, order.request.options) == (64, 48, {"steps": "20"})
    assert (order.tags, order.providers, order.dry_run) == (("red",), ("flux",), True)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("width", "-5", "must be a whole number of pixels between 1 and 16384, not '-5'."),
        ("width", "0", "between 1 and 16384, not '0'"),
        ("height", "16385", "between 1 and 16384"),
        ("width", "12.5", "whole number of pixels"),
        ("width", "wide", "not 'wide'"),
        ("width", "9" * 5000, "not '99"),
        ("width", "٣٢", "whole number"),
        ("height", True, "not True"),
        ("height", [64], "not [64]"),
        ("height", 64.5, "not 64.5"),
        ("size", "1024", "must be width and height in pixels, such as 1024x768, not '1024'."),
        ("size", "0x5", "between 1 and 16384"),
        ("size", 1024, "such as 1024x768, not 1024"),
        ("seed", "-1", "must be a whole number between 0 and 9223372036854775807, not '-1'."),
        ("seed", str(2**63), "between 0 and 9223372036854775807"),
        ("seed", 2.0**60, "must be a whole number"),
        ("count", "0", "must be a whole number of pictures between 1 and 1000, not '0'."),
        ("count", 1001, "between 1 and 1000, not 1001"),
        ("prompt", 5, "must be text, not 5."),
        ("name", ["x"], "must be text, not ['x']."),
        ("tags", {"a": 1}, "must be a list of texts, or text with commas between the words, not {'a': 1}."),
        ("tags", ["a", 1], "must be a list of texts"),
        ("tags", "[1]", "must be a list of texts"),
        ("tags", [[]], "must be a list of texts"),
        ("provider", 3, "must be a list of texts"),
        ("key", "x" * 191, "must be 1 to 190 characters on one line"),
        ("key", "a\nb", "one line, not 'a\\nb'"),
        ("key", 1.5, "must be text"),
        ("library", 3, "must be text, not 3"),
    ],
)
def test_a_wrong_value_is_told_with_line_and_column(read, column, value, says):
    good = {"prompt": "a fox"}
    first, problem, last = read([good, good | {column: value}, good])
    assert isinstance(first, ManifestRow)
    assert isinstance(last, ManifestRow)
    assert (problem.line, problem.column) == (2, column)
    assert says in problem.message
    assert len(problem.message) < 250


def test_csv_says_line_and_column_in_words(read):
    read_ = read('prompt,width\n"a\nfox",64\nbear,-5\n')
    assert str(read_[1]) == ("line 4, column width: must be a whole number of pixels between 1 and 16384, not '-5'.")


def test_all_that_is_wrong_with_a_row_is_told(read):
    found = read("prompt,width,height,seed\n,-1,x,y\n")
    assert [problem.column for problem in found] == ["width", "height", "seed", "prompt"]
    assert {problem.line for problem in found} == {2}


@pytest.mark.parametrize("row", [{}, {"prompt": None}, {"prompt": ""}, {"prompt": " \n"}, {"width": 5}])
def test_a_row_without_a_prompt(read, row):
    (problem,) = read([row])
    assert str(problem) == "line 1, column prompt: is empty. Say what the picture should show."


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ({"size": "64x64", "width": 64}, "size", "stands beside width or height"),
        ({"size": "64x64", "height": 64}, "size", "stands beside width or height"),
        ({"provider": "flux", "providers": "sdxl"}, "provider", "stands beside providers"),
        ({"steps": 1, "option.steps": 2}, "option.steps", "the option is given twice"),
        ({"Width": 1, "width": 1}, "width", "twice, in two spellings"),
        ({"dry_run": False}, "dry_run", "a manifest cannot set dry_run"),
        ({"created_by": 1}, "created_by", "a manifest cannot set created_by"),
        ({"option.library_id": "x"}, "option.library_id", "a manifest cannot set library_id"),
        ({"cls": 1}, "cls", "a manifest cannot set cls"),
        ({"recorder": 1}, "recorder", "a manifest cannot set recorder"),
        ({"option.seed": 1}, "option.seed", "seed is a column of its own"),
        ({"my colour": "red"}, "my colour", "no such column"),
        ({"": 1}, "''", "no such column"),
        ({"a\nb": 1}, "'a\\nb'", "no such column"),
    ],
)
def test_keys_that_do_not_go_together_or_cannot_be(read, row, column, says):
    (problem,) = read([{"prompt": "a fox"} | row])
    assert problem.column == column
    assert says in problem.message


def test_count_makes_copies_with_keys_and_seeds_of_their_own(read):
    rows = read("key,prompt,seed,count,tags\na,fox,7,3,red\n,bear,,2,\nc,wolf,5,1,\n")
    assert [(row.row_key, row.arguments.get("seed"), row.copy, row.copies) for row in rows] == [
        ("a#1", 7, 1, 3),
        ("a#2", 8, 2, 3),
        ("a#3", 9, 3, 3),
        ("3#1", None, 1, 2),
        ("3#2", None, 2, 2),
        ("c", 5, 1, 1),
    ]
    rows[0].arguments["tags"] = []
    assert rows[1].arguments["tags"] == ["red"]


def test_defaults_are_for_what_a_row_does_not_say(read):
    defaults = {
        "width": 64, "height": 48, "tags": ["all"], "provider": "sdxl", "seed": None, "count": 2, "dry_run": True,
    }  # fmt: skip
    one, two, three = read("prompt,width,tags,providers,count\nfox,99,,,\nbear,,red,flux,1\n", defaults=defaults)
    assert one.arguments == {
        "prompt": "fox", "width": 99, "height": 48, "tags": ["all"], "provider": "sdxl", "dry_run": True,
    }  # fmt: skip
    assert (one.row_key, two.row_key, three.row_key) == ("2#1", "2#2", "3")
    assert three.arguments == {
        "prompt": "bear", "width": 64, "height": 48, "tags": ["all", "red"], "providers": ["flux"], "dry_run": True,
    }  # fmt: skip


def test_a_default_seed_grows_with_the_copies_too(read):
    rows = read([{"prompt": "fox", "count": 2}], defaults={"seed": 5})
    assert [row.arguments["seed"] for row in rows] == [5, 6]


# ---------------------------------------------------------------- templates


def test_a_template_makes_prompts_and_uses_its_columns_up(read):
    (row,) = read("colour,Animal,width\nred,fox,64\n", template="A {colour} {Animal} on a {{beach}}, {width} px")
    assert row.arguments == {"prompt": "A red fox on a {beach}, 64 px", "width": 64}
    assert row.values == {"colour": "red", "Animal": "fox", "width": "64"}


def test_braces_in_values_are_text(read):
    (row,) = read([{"colour": "{animal} {0} %s"}], template="a {colour}")
    assert row.arguments["prompt"] == "a {animal} {0} %s"


def test_numbers_fill_a_template_and_a_used_column_is_no_option(read):
    (row,) = read([{"n": 3, "f": 1.5, "option.n": 4}], template="{n} foxes, {f} m")
    assert row.arguments == {"prompt": "3 foxes, 1.5 m", "n": 4}


def test_a_template_without_columns_serves_rows_that_have_no_prompt(read):
    assert [row.arguments["prompt"] for row in read("seed\n1\n2\n", template="a fox")] == ["a fox", "a fox"]


def test_a_template_around_the_prompt(read, tmp_path):
    (row,) = read("prompt\na fox\n", template="A photo of {Prompt}")
    assert row.arguments["prompt"] == "A photo of a fox"
    path = tmp_path / "p.txt"
    path.write_text("a fox\n")
    (row,) = open_manifest(path, template="A photo of {prompt}").rows()
    assert row.arguments["prompt"] == "A photo of a fox"


def test_a_template_that_ignores_the_prompts_is_refused(read, tmp_path):
    with pytest.raises(ManifestError, match=r"line 1, column prompt: .*Write \{prompt\} into the template"):
        read("prompt,colour\na,b\n", template="a {colour} fox")
    (problem,) = read([{"prompt": "a", "colour": "b"}], template="a {colour} fox")
    assert (problem.line, problem.column) == (1, "prompt")
    path = tmp_path / "p.txt"
    path.write_text("a fox\n")
    with pytest.raises(ManifestError, match=r"Write \{prompt\} into the template"):
        open_manifest(path, template="a fox")


def test_a_template_that_names_a_missing_column(read):
    with pytest.raises(ManifestError, match=r"line 1: the template uses \{kolour\}, .* There are: colour, size\."):
        read("colour,size\nred,64x64\n", template="a {kolour} fox")
    (problem,) = read([{"colour": "red"}], template="a {kolour} fox")
    assert str(problem).startswith("line 1, column kolour: is empty, but the template uses it")


@pytest.mark.parametrize(
    ("value", "says"),
    [("", "is empty"), ("  ", "is empty"), (None, "is empty"), (True, "not True"), (["a"], "must be text or a number")],
)
def test_a_used_column_needs_a_value(read, value, says):
    (problem,) = read([{"colour": value}], template="a {colour} fox")
    assert (problem.line, problem.column) == (1, "colour")
    assert says in problem.message


def test_an_empty_cell_that_the_template_uses(read):
    (problem,) = read("colour,width\n,64\n", template="a {colour} fox")
    assert isinstance(problem, Problem)
    assert (problem.line, problem.column) == (2, "colour")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("a {colour.upper} fox", "may only name columns"),
        ("a {colour[0]} fox", "may only name columns"),
        ("a {colour!r} fox", "may only name columns"),
        ("a {colour:>10} fox", "may only name columns"),
        ("a {colour:{width}} fox", "may only name columns"),
        ("a {} fox", "without a name"),
        ("a { } fox", "without a name"),
        ("a {colour fox", "Write a brace that is meant as such twice"),
        ("a colour} fox", "Write a brace that is meant as such twice"),
        ("", "is empty"),
        ("  ", "is empty"),
    ],
)
def test_a_template_may_only_name_columns(template, says):
    with pytest.raises(ManifestError, match=r"^The template ") as caught:
        Template.parse(template)
    assert says in str(caught.value)


def test_a_column_of_a_result_that_the_template_uses_is_an_input(read):
    (row,) = read("state,cost\nOhio,5\n", template="A field in {state}")
    assert row.arguments == {"prompt": "A field in Ohio"}
