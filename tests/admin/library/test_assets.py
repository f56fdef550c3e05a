"""The assets' list and page, and what an editor does with them."""

import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from mediagen.admin.base import CappedPaginator
from mediagen.engine.files.links import picture_url, thumbnail_url
from mediagen.engine.library import review, usage
from mediagen.models import MediaAsset
from tests.admin.conftest import page
from tests.factories import (
    AssetExportFactory,
    GenerationAttemptFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    MediaTagFactory,
)

pytestmark = pytest.mark.django_db


def found(client, **query):
    response = client.get(page("mediaasset"), query)
    assert response.status_code == 200, response
    return set(response.context["cl"].result_list)


# ---------------------------------------------------------------------- the list


def test_a_row_shows_the_picture_in_a_fixed_box(admin_client):
    asset = MediaAssetFactory(ready=True, alt_text="a lighthouse & its fog")

    text = admin_client.get(page("mediaasset")).content.decode()

    (image,) = re.findall(r"<img class=\"mediagen-thumbnail\"[^>]*>", text)
    assert f'src="{escape(thumbnail_url(asset))}"' in image
    assert 'alt="a lighthouse &amp; its fog"' in image
    assert 'width="96" height="72" loading="lazy"' in image
    assert "$0.03" in text
    assert "sdxl" in text


def test_a_row_without_a_picture_says_so(admin_client):
    MediaAssetFactory(failed=True, prompt="nobody drew this", name="")

    text = admin_client.get(page("mediaasset")).content.decode()

    assert "<img class=" not in text
    assert "no picture" in text
    assert "nobody drew this" in text
    assert "mediagen-state-failed" in text


def test_an_unknown_cost_is_not_nothing(admin_client):
    MediaAssetFactory(ready=True, cost=None)
    MediaAssetFactory(ready=True, cost=Decimal(0))

    text = admin_client.get(page("mediaasset")).content.decode()

    assert "not known" in text
    assert "$0.00" in text


def test_no_text_of_an_asset_is_taken_for_markup(admin_client):
    asset = MediaAssetFactory(ready=True, prompt="<script>alert(1)</script>", name="", parameters={"<b>": "<i>"})
    GenerationAttemptFactory(asset=asset, message="<script>alert(2)</script>")

    text = admin_client.get(page("mediaasset")).content.decode()
    text += admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()

    assert "alert(1)" in text
    assert "alert(2)" in text
    assert "<script>alert" not in text
    assert "<i>" not in text


def test_three_rows_and_thirty_take_the_same_queries(admin_client):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(page("mediaasset"))
        return [query["sql"] for query in captured]

    for _ in range(3):
        MediaAssetFactory(ready=True)
    few = queries()
    for _ in range(27):
        asset = MediaAssetFactory(ready=True)
        asset.tags.add(MediaTagFactory())
    many = queries()

    assert len(few) == len(many)
    assert len(many) <= 12


def test_the_list_does_not_count_the_whole_table(admin_client, monkeypatch):
    monkeypatch.setattr(CappedPaginator, "CAP", 20)
    monkeypatch.setattr("mediagen.admin.asset.MediaAssetAdmin.list_per_page", 15)
    for _ in range(25):
        MediaAssetFactory(failed=True)

    with CaptureQueriesContext(connection) as captured:
        response = admin_client.get(page("mediaasset"))

    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"] and "mediagen_mediaasset" in query["sql"]]
    assert counts
    assert all("LIMIT 20" in sql for sql in counts)
    assert response.context["cl"].result_count == 20
    assert "Only the first 20 are counted" in response.content.decode()
    assert len(admin_client.get(page("mediaasset"), {"p": 2}).context["cl"].result_list) == 5


def test_a_short_list_is_counted_and_says_nothing_of_it(admin_client):
    MediaAssetFactory(failed=True)

    response = admin_client.get(page("mediaasset"))

    assert response.context["cl"].result_count == 1
    assert "are counted and paged" not in response.content.decode()


def test_the_newest_comes_first(admin_client):
    first, second = MediaAssetFactory(), MediaAssetFactory()

    assert list(admin_client.get(page("mediaasset")).context["cl"].result_list) == [second, first]


def test_every_filter_finds_its_own(admin_client):
    shelf = MediaLibraryFactory(name="Shelf")
    real = MediaAssetFactory(ready=True, status="approved", library=shelf, provider_name="flux")
    drawn = MediaAssetFactory(placeholder=True, dry_run=True)
    failed = MediaAssetFactory(failed=True)

    assert found(admin_client, library__id__exact=str(shelf.pk)) == {real}
    assert found(admin_client, generation_state__exact="failed") == {failed}
    assert found(admin_client, status__exact="approved") == {real}
    assert found(admin_client, provider="flux") == {real}
    assert found(admin_client, is_placeholder__exact="1") == {drawn}
    assert found(admin_client, dry_run__exact="1") == {drawn}
    assert found(admin_client, created_at__gte="2020-01-01 00:00:00+00:00") == {real, drawn, failed}
    assert found(admin_client, created_at__gte="2999-01-01 00:00:00+00:00") == set()


def test_the_provider_filter_asks_the_chain_and_not_the_assets(admin_client):
    MediaAssetFactory(ready=True, provider_name="long gone")

    with CaptureQueriesContext(connection) as captured:
        text = admin_client.get(page("mediaasset")).content.decode()

    assert "?provider=replicate_sdxl" in text
    assert "?provider=long" not in text
    assert not [query for query in captured if "DISTINCT" in query["sql"]]
    assert len(found(admin_client, provider="long gone")) == 1


@pytest.mark.parametrize("field", ["prompt", "name", "description", "alt_text"])
def test_search_looks_into_every_text(admin_client, field):
    asset = MediaAssetFactory(**{field: "The Harbour of Lübeck"})
    MediaAssetFactory()

    assert found(admin_client, q="harbour lübeck") == {asset}
    assert found(admin_client, q="harbour nowhere") == set()


def test_search_looks_into_tags_and_finds_an_asset_once(admin_client):
    asset = MediaAssetFactory()
    asset.tags.add(MediaTagFactory(name="Straße"), MediaTagFactory(name="Straßenbahn"))
    MediaAssetFactory()

    response = admin_client.get(page("mediaasset"), {"q": "STRASSE"})

    assert list(response.context["cl"].result_list) == [asset]


# ---------------------------------------------------------------------- one asset


@pytest.fixture
def asset():
    row = MediaAssetFactory(
        ready=True,
        fit_report={"size": {"asked": [64, 48], "made": [128, 96], "action": "resized"}},
        parameters={"width": 64, "height": 48, "options": {"style_preset": "anime"}},
    )
    GenerationAttemptFactory(asset=row, rate_limited=True, position=1, provider_name="openai_images", latency_s=0.41)
    GenerationAttemptFactory(asset=row, unknown=True, position=2, provider_name="flux", latency_s=181)
    GenerationAttemptFactory(asset=row, position=3)
    return row


def test_the_page_tells_the_whole_story(admin_client, asset):
    text = admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()

    assert f'<img src="{picture_url(asset)}"' in text
    rows = re.findall(r"<tr>\s*<td class=\"mediagen-position\">.*?</tr>", text, re.DOTALL)
    assert [re.search(r"<th scope=\"row\">(\w+)", row).group(1) for row in rows] == ["openai_images", "flux", "sdxl"]
    assert "rate limited" in rows[0]
    assert "HTTP 429" in rows[0]
    assert "0.41 s" in rows[0]
    assert "unknown" in rows[1]
    assert "up to $0.04" in rows[1]
    assert "181 s" in rows[1]
    assert "$0.03" in rows[2]
    assert "asked 64×48, the provider made 128×96 (scaled to what was asked)" in text
    assert "style_preset" in text


def test_what_was_generated_cannot_be_edited(admin_client, asset):
    form = admin_client.get(page("mediaasset", "change", asset.pk)).context["adminform"].form

    labels = {"credit", "licence", "expires_on", "rating", "ai_label", "ai_label_reason"}
    assert set(form.fields) == {"name", "description", "alt_text", "tag_names", "focal_x", "focal_y"} | labels


def edited(**changes):
    return {"name": "n", "description": "", "alt_text": "", "focal_x": "0.5", "focal_y": "0.5", **changes}


def test_the_descriptive_fields_can(admin_client, asset):
    MediaTagFactory(name="Spring")
    changes = edited(alt_text="a lighthouse", focal_x="0.2", tag_names=" spring, Sea  air,, SPRING")

    response = admin_client.post(page("mediaasset", "change", asset.pk), changes)

    assert response.status_code == 302, response.context["adminform"].form.errors
    asset.refresh_from_db()
    assert (asset.name, asset.alt_text, asset.focal_x, asset.tag_names) == (
        "n",
        "a lighthouse",
        0.2,
        ["Sea air", "Spring"],
    )


def test_tags_are_added_and_taken_off_against_what_the_page_showed(admin_client):
    """A worker adds tags of its own while somebody has the page open."""
    asset = MediaAssetFactory()
    asset.tags.add(MediaTagFactory(name="old"), MediaTagFactory(name="stays"))
    text = admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()
    assert 'name="initial-tag_names" value="old, stays"' in text
    asset.tags.add(MediaTagFactory(name="generated"))

    sent = {"initial-tag_names": "old, stays", "tag_names": "Stays, new"}
    response = admin_client.post(page("mediaasset", "change", asset.pk), edited(**sent))
    assert asset.tag_names == ["generated", "new", "stays"]
    assert response.status_code == 302

    unchanged = {"initial-tag_names": "new, stays", "tag_names": "STAYS,new"}
    admin_client.post(page("mediaasset", "change", asset.pk), edited(**unchanged))
    assert asset.tag_names == ["generated", "new", "stays"]


def test_a_tag_that_is_none_is_said_at_the_field(admin_client, asset):
    response = admin_client.post(page("mediaasset", "change", asset.pk), edited(tag_names="x" * 101))

    assert "1 to 100 characters" in response.context["adminform"].form.errors["tag_names"][0]


def test_an_edit_does_not_undo_what_a_worker_writes_meanwhile(admin_client, monkeypatch):
    asset = MediaAssetFactory()
    save = review.describe

    def fill_first(obj, fields, **by):
        MediaAsset.objects.filter(pk=asset.pk).update(generation_state="running", lease_token=7, provider_name="flux")
        save(obj, fields, **by)

    monkeypatch.setattr(review, "describe", fill_first)

    admin_client.post(page("mediaasset", "change", asset.pk), edited(alt_text="described"))

    asset.refresh_from_db()
    assert (asset.generation_state, asset.lease_token, asset.provider_name) == ("running", 7, "flux")
    assert asset.alt_text == "described"


def test_assets_are_neither_added_nor_deleted_here(admin_client, asset):
    assert admin_client.get(page("mediaasset", "add")).status_code == 403
    assert admin_client.post(page("mediaasset", "delete", asset.pk), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in admin_client.get(page("mediaasset")).content.decode()


def test_the_page_of_a_failed_one_says_why(admin_client):
    asset = MediaAssetFactory(failed=True)

    text = admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()

    assert "Why there is no picture" in text
    assert "sdxl: unavailable: it did not answer." in text
    assert "Nobody was asked yet" in text


def test_a_fit_report_of_any_shape_is_shown(admin_client):
    """Reports are written by other people's providers as well."""
    odd = {
        "seed": {"asked": 7, "honoured": False, "why": "flux has no seed"},
        "size": {"made": None},
        "x": [1],
        "y": "text",
    }
    asset = MediaAssetFactory(ready=True, fit_report=odd)

    text = admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()

    assert "asked 7, not honoured: flux has no seed" in text
    asset.fit_report = ["no", "mapping"]
    asset.save()
    assert admin_client.get(page("mediaasset", "change", asset.pk)).status_code == 200


# ---------------------------------------------------------------------- the rest of the story


def test_the_view_is_switched_by_a_link_and_remembered(admin_client):
    MediaAssetFactory(ready=True)
    assert "mediagen-assets-grid" in admin_client.get(page("mediaasset")).content.decode()

    response = admin_client.get(page("mediaasset"), {"view": "list", "status__exact": "draft"})

    assert response.url == page("mediaasset") + "?status__exact=draft"
    assert response.cookies["mediagen_assets"]["httponly"]
    assert "mediagen-assets-list" in admin_client.get(page("mediaasset")).content.decode()
    admin_client.get(page("mediaasset"), {"view": "<script>"})
    assert "mediagen-assets-list" in admin_client.get(page("mediaasset")).content.decode()


def test_filters_into_which_one_types(admin_client):
    small = MediaAssetFactory(ready=True, model_name="core", cost=Decimal("0.01"))
    large = MediaAssetFactory(ready=True, model_name="ultra", width=2048, height=1024, cost=Decimal("0.08"))
    large.tags.add(MediaTagFactory(name="Sea"))

    assert found(admin_client, model="ultra") == {large}
    assert found(admin_client, tag="SEA") == {large}
    assert found(admin_client, min_width="100") == {large}
    assert found(admin_client, max_cost="0.05") == {small}
    assert found(admin_client, created_from="2020-01-01", created_to="2999-01-01") == {small, large}
    assert found(admin_client, created_from="2999-01-01") == set()
    assert found(admin_client, source__exact="generated") == {small, large}


def test_what_a_filter_cannot_read_is_said_and_finds_nothing(admin_client):
    MediaAssetFactory(ready=True)

    response = admin_client.get(page("mediaasset"), {"min_cost": "a lot", "status__exact": "draft"})

    assert list(response.context["cl"].result_list) == []
    assert "min_cost must be an amount in USD" in response.content.decode()


def test_relatives_duplicates_exports_and_uses_are_on_the_page(admin_client, asset, django_assert_max_num_queries):
    child = MediaAssetFactory(ready=True, parent=asset, name="the child", content=b"x" * 10)
    twin = MediaAssetFactory(ready=True, name="the twin")
    AssetExportFactory(asset=asset, frame_name="the hero frame", state="placed")
    usage.record_metrics(asset, "Spring", totals={"impressions": 1000, "clicks": 1})
    usage.record_metrics(twin, "Spring", totals={"impressions": 1000, "clicks": 100})

    with django_assert_max_num_queries(12):
        text = admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()

    for words in (child.name, twin.name, "the hero frame", "0.10 %", "Try a variant", "Record a use"):
        assert words in text
    assert "&quot;style_preset&quot;: &quot;anime&quot;" in text
    assert 'data-mediagen-copy="mediagen-parameters"' in text


def test_a_member_with_few_rights_costs_few_queries(signed_in, django_assert_max_num_queries):
    client = signed_in("view_mediaasset", "change_mediaasset", "approve_mediaasset")
    for _ in range(30):
        last = MediaAssetFactory(ready=True)

    with django_assert_max_num_queries(12):
        client.get(page("mediaasset"))
    with django_assert_max_num_queries(16):
        client.get(page("mediaasset", "change", last.pk))


def test_an_asset_is_found_for_a_use_but_no_deleted_one(admin_client):
    MediaAssetFactory(ready=True, name="kept lighthouse")
    MediaAssetFactory(ready=True, name="gone lighthouse", status="deleted")

    query = {"app_label": "mediagen", "model_name": "assetusage", "field_name": "asset", "term": "lighthouse"}
    answer = admin_client.get("/admin/autocomplete/", query).json()

    assert [result["text"] for result in answer["results"]] == ["kept lighthouse"]
