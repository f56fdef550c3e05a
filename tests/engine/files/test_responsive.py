"""A picture on a page: its sizes, their addresses, and what a browser gets there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import StringIO

import jinja2
import pytest
from django.core.management import CommandError, call_command
from django.template import Context, Template

from mediagen import pictures as page
from mediagen.engine.files import links
from mediagen.engine.files.responsive import page_picture
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.images import inspect
from mediagen.models import MediaAsset, Rendition
from tests import pictures
from tests.factories import MediaAssetFactory, stored

pytestmark = pytest.mark.django_db


def filled(one: MediaAsset, content: bytes) -> MediaAsset:
    """With this picture in place of its own."""
    picture = inspect(content)
    one.file.name, one.format, one.content_hash = stored(content, "mediagen/page.bin"), picture.format, picture.sha256
    one.width, one.height, one.file_size, one.color = picture.width, picture.height, len(content), ""
    one.save()
    return one


def asset(width=1200, height=800, format="jpeg", **values):
    return filled(MediaAssetFactory(ready=True, **values), pictures.picture(format, width, height))


def rendered(markup: str, **context: object) -> str:
    return Template("{% load mediagen %}" + markup).render(Context(context))


def tags(html: str) -> list[tuple[str, dict[str, str]]]:
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda name, given: found.append((name, dict(given)))
    parser.feed(html)
    return found


def candidates(srcset: str) -> dict[int, str]:
    return {int(width[:-1]): url for url, width in (each.split() for each in srcset.split(", "))}


def test_every_size_is_what_the_page_says_it_is(client, django_assert_num_queries):
    one = asset(alt_text="A pier & the sea", name="Pier")
    with django_assert_num_queries(0):
        html = rendered(
            '{% picture a sizes="50vw" widths="400,800,1600" formats="avif,webp" ratio="16:9" class="hero" %}', a=one
        )

    (_, _), (_, avif), (_, webp), (_, img) = tags(html)
    assert [avif["type"], webp["type"], img["sizes"]] == ["image/avif", "image/webp", "50vw"]
    assert (img["alt"], img["loading"], img["decoding"]) == ("A pier & the sea", "lazy", "async")
    assert "hero" in img["class"].split()
    assert (img["width"], img["height"]) == ("1200", "675")
    assert "style=" not in html
    assert Rendition.objects.count() == 0
    for source, format in ((avif, "avif"), (webp, "webp"), (img, "jpeg")):
        assert list(candidates(source["srcset"])) == [400, 800, 1200]  # nothing wider than the picture is
        for width, url in candidates(source["srcset"]).items():
            response = client.get(url)
            found = inspect(response.content)
            assert (found.format, found.width, found.height) == (format, width, round(width * 9 / 16))
            assert response["Cache-Control"] == "public, max-age=2592000, immutable"
    assert img["src"] in candidates(img["srcset"]).values()
    assert rendered("{% picture a %}", a=one) == rendered("{% picture a %}", a=one)


def test_the_colour_is_there_once_a_size_was_made(client):
    one = asset()
    assert page_picture(one).color == ""
    client.get(page.picture_src(one, 320))
    again = page_picture(MediaAsset.objects.get(pk=one.pk))
    assert re.fullmatch("#[0-9a-f]{6}", again.color)
    assert len(again.asset.blur_hash) == 28
    assert f"mediagen-r-{again.color[1]}" in again.classes


def test_the_focal_point_is_in_address_and_class(client):
    one = asset(1200, 400, focal_x=0.0, focal_y=0.5)
    left = page.picture_src(one, 200, ratio="1:1")
    assert "mediagen-x-0" in page_picture(one, ratio="1").classes
    assert page_picture(one).object_position == "0% 50%"
    assert page.picture_src(one, 200, ratio="1:1", focus="1,0.5") != left
    assert client.get(left).content != client.get(page.picture_src(one, 200, ratio="1:1", focus=(1, 0.5))).content


def test_nobody_has_other_sizes_made(client):
    url = page.picture_src(asset(), 320)
    for wrong in (url.replace("_inside_", "_cover_").replace("320", "321"), url[:-6], url + "x", url[:20]):
        assert client.get(wrong).status_code in (403, 404)
    assert Rendition.objects.count() == 0


def test_an_old_page_gets_the_new_picture_and_a_deleted_one_is_gone(client):
    one = asset()
    url = page.picture_src(one, 320)
    filled(one, pictures.picture("jpeg", 900, 600, seed=7))
    response = client.get(url)
    assert (response.status_code, response["Cache-Control"]) == (302, "public, max-age=60")
    assert client.get(response["Location"]).status_code == 200
    MediaAsset.objects.update(status="deleted")
    assert client.get(response["Location"]).status_code == 403


def test_no_picture_is_nothing():
    for nothing in (None, MediaAssetFactory()):
        assert rendered("{% picture a %}{% picture_src a %}{% ai_label a %}{% credit a %}", a=nothing) == ""


def test_an_animated_gif_stays_one(client):
    one = filled(MediaAssetFactory(ready=True), pictures.animation("gif"))
    ((name, img),) = tags(rendered("{% picture a %}", a=one))
    assert (name, "srcset" in img) == ("img", False)
    assert inspect(client.get(img["src"]).content).is_animated


def test_a_variable_has_the_parts_for_other_markup():
    html = rendered("{% picture a as p %}{{ p.width }} {{ p.alt }} {{ p.sources.0.type }} {{ p }}", a=asset(name="<b>"))
    assert html.startswith("1200 &lt;b&gt; image/webp <picture>")
    assert "<b>" not in html


def test_the_prompt_is_no_alt_text():
    one = asset(prompt="the secret campaign", name="", alt_text="")
    assert "secret" not in rendered("{% picture a %}{% credit a %}{% ai_label a %}", a=one)


@pytest.mark.parametrize(
    "wrong",
    [
        {"widths": "0"},
        {"widths": "9999"},
        {"widths": "wide"},
        {"formats": "gif"},
        {"ratio": "16:0"},
        {"ratio": "wide"},
        {"fit": "cover"},
        {"fit": "stretch"},
        {"loading": "soon"},
        {"focus": "2,0"},
        {"quality": 101},
    ],
)
def test_what_cannot_be_is_said(wrong):
    with pytest.raises(InvalidRequest):
        page_picture(asset(), **wrong)


def test_named_sets_are_one_place_for_page_and_command(settings):
    settings.MEDIAGEN = {
        **settings.MEDIAGEN,
        "PICTURES": {"card": {"widths": [200, 400], "ratio": "1", "sizes": "9em"}},
    }
    one = asset(status="published")
    shown = page_picture(one, set="card")
    assert (shown.sizes, shown.width, shown.height) == ("9em", 400, 400)
    out = StringIO()
    call_command("mediagen_make_renditions", stdout=out)
    assert out.getvalue().strip() == "4 made, 0 there before, 0 assets failed"
    keys = {each.spec.key(one) for source in shown.sources for each in source.candidates}
    assert set(Rendition.objects.values_list("key", flat=True)) == keys
    call_command("mediagen_make_renditions", stdout=out)
    assert out.getvalue().strip().endswith("0 made, 4 there before, 0 assets failed")
    with pytest.raises(ConfigurationError, match="There are: card"):
        page_picture(one, set="hero")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--widths=wide", "widths are whole numbers"),
        ("--status=foo", "status can be draft"),
        ("--library=nowhere", "There is no media library 'nowhere'."),
        ("nonsense", "'nonsense'"),
        ("01a20404-8da1-7f3b-a702-9254e98a762d", "There is no asset 01a20404"),
    ],
)
def test_make_renditions_refuses_what_it_would_pass_over(argument, said):
    with pytest.raises(CommandError, match=said) as refused:
        call_command("mediagen_make_renditions", argument)
    assert refused.value.returncode == 2


def test_make_renditions_says_of_which_asset_there_is_no_picture_yet():
    waiting = MediaAssetFactory(generation_state="pending")
    with pytest.raises(CommandError, match=f"There is no picture yet of {waiting.asset_id}"):
        call_command("mediagen_make_renditions", waiting.asset_id)


def test_with_the_storages_own_addresses_what_was_made_is_not_sent_by_us(settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "SERVE_FILES": "storage"}
    one = asset()
    before = page.picture_src(one, 320)
    assert "/pictures/" in before
    call_command("mediagen_make_renditions", str(one.pk), "--widths=320", stdout=StringIO())
    assert page.picture_src(one, 320).startswith("/media/mediagen/renditions/")


def test_a_site_without_our_addresses_shows_the_whole_file(settings):
    settings.ROOT_URLCONF = "tests.no_urls"
    links._pattern.cache_clear()
    one = asset()
    ((_, img),) = tags(rendered("{% picture a %}", a=one))
    assert img["src"] == one.file.url


def test_link_previews_get_a_whole_address(settings):
    one = asset()
    with pytest.raises(InvalidRequest, match="SITE_URL"):
        page.picture_src(one, 1200, absolute=True)
    settings.MEDIAGEN = {**settings.MEDIAGEN, "SITE_URL": "https://site.example"}
    assert rendered("{% picture_src a 1200 absolute=True %}", a=one).startswith("https://site.example/")


def test_jinja2_has_them_too():
    environment = jinja2.Environment(autoescape=True)
    environment.globals.update(page.GLOBALS)
    one = asset(name="<i>")
    html = environment.from_string("{{ picture(a, widths=[200]) }}{{ ai_label(a) }}").render(a=one)
    assert html.startswith("<picture><source")
    assert "&lt;i&gt;" in html
