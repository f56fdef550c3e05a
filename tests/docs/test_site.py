"""What `make docs` makes by itself. That all of it holds together is Sphinx's to say, in .ci/run."""

from __future__ import annotations

import re

import pytest

from docs.site import api_reference, checking, declarations, llms, settings_reference, staging
from mediagen import conf
from tests.docs.pages import PAGES


def test_every_page_stands_in_the_navigation_once():
    listed = [page for part in staging.parts() for page in part.pages]

    assert sorted(listed) == sorted([*(set(PAGES) - {staging.INDEX}), staging.API, staging.SETTINGS])
    assert [part.heading for part in staging.parts()][1:4] == [
        "For editors",
        "For developers of sites and frontends",
        "For those who run it",
    ]


def test_every_setting_has_its_default_and_a_meaning():
    entries = settings_reference.entries()

    assert [name for name, _, _ in entries] == list(conf.DEFAULTS)
    assert all(meaning for _, _, meaning in entries)
    assert ("LEASE_S", "60.0") in [entry[:2] for entry in entries]


def test_every_provider_shows_what_its_adapter_declares():
    shown = dict(declarations.sections())

    assert shown.keys() == conf.BUILT_IN_PROVIDERS.keys()
    assert all(f"docs/providers/{name}.md" in PAGES for name in shown)
    assert "| key | `BFL_API_KEY` |" in shown["flux"]
    assert "| `safety_tolerance` | int, 0 to 6 | all |" in shown["flux"]


def test_every_address_and_shape_of_the_api_is_on_its_page():
    page, document = api_reference.page(), api_reference.document()

    for path, methods in document["paths"].items():
        assert all(f"### `{method.upper()} {path}`\n" in page for method in methods)
    assert all(f"(shape-{name.lower()})=" in page for name in document["components"]["schemas"])


def test_models_of_language_get_a_line_for_each_page(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# All\n\n```{toctree}\n```\n")
    (tmp_path / "docs/a.md").write_text("# The `a`\n\n```sh\nmake a\n```\n\nWhat [it](b.md) is. And more.\n")
    made = llms.files(tmp_path, [staging.Part("For editors", ("docs/a.md",))])

    assert "## For editors\n\n- [The a](_sources/docs/a.md): What it is.\n" in made["llms.txt"]
    assert "toctree" not in made["llms-full.txt"]
    assert made["llms-full.txt"].endswith("And more.\n")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="b.html">', "points at b.html, which is not there"),
        ('<a href="#b">', "there is no such place"),
        ('<script src="https://cdn.example/a.js">', "from elsewhere"),
        ('<a id="b"><a href="a.html#b"><a href="https://example.com"><img src="a.html">', ""),
    ],
)
def test_what_a_made_page_must_not_point_at(tmp_path, body, said):
    (tmp_path / "a.html").write_text(body)
    found = checking.problems(tmp_path)

    assert len(found) == bool(said)
    assert said in "".join(found)


def test_screenshots_are_there_for_light_and_dark_and_small():
    found = sorted((staging.ROOT / "docs/pictures").iterdir())

    names = [f"{page}-{scheme}.webp" for page in ("admin", "studio") for scheme in ("dark", "light")]
    assert [file.name for file in found] == names
    assert sum(file.stat().st_size for file in found) < 150_000


@pytest.mark.parametrize("doc", PAGES)
def test_pictures_of_a_page_exist(doc):
    for address in re.findall(r'(?:src|srcset)="([^"{]+\.webp)"', PAGES[doc].read_text()):
        assert (PAGES[doc].parent / address).is_file(), address
