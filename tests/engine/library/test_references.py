"""Assets in texts of the site's rows count as used, and it is known where."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mediagen import pictures
from mediagen.engine.library import elsewhere, references, trash, usage
from mediagen.errors import AssetInUse
from mediagen.models import AssetReference, MediaAsset
from tests.factories import MediaAssetFactory, UserFactory
from tests.host import admin_of, articles

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def article(settings):
    with articles() as model:
        settings.MEDIAGEN = {**settings.MEDIAGEN, "RICH_TEXT_FIELDS": ["auth.Article.body"]}
        yield model


def named():
    return set(AssetReference.objects.values_list("asset", "model", "field"))


def test_the_index_follows_what_is_written(article):
    one, other = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)
    row = article.objects.create(title="a", body=f'<img src="{pictures.picture_src(one, 320)}">')
    assert named() == {(one.pk, "auth.article", "body")}
    row.body = f'<img data-asset="{other.pk}"> <img data-asset="{"0" * 8}-0000-0000-0000-{"0" * 12}">'
    row.save()
    assert named() == {(other.pk, "auth.article", "body")}
    row.delete()
    assert named() == set()


def test_it_is_made_anew_by_a_command(article):
    one = MediaAssetFactory(ready=True)
    article.objects.bulk_create([article(title="a", body=str(one.pk)), article(title="b")])
    AssetReference.objects.create(asset=one, model="auth.article", object_id="77", field="body")
    AssetReference.objects.create(asset=one, model="gone.model", object_id="1", field="body")
    told = StringIO()
    call_command("mediagen_rebuild_references", stdout=told)
    assert told.getvalue() == "1 references\n"
    assert named() == {(one.pk, "auth.article", "body")}


def test_every_kind_of_use_is_found_named_and_warned_of(article, django_assert_num_queries):
    cover, shown, written, free = (MediaAssetFactory(ready=True) for _ in range(4))
    row = article.objects.create(title="mug", cover=cover, body=str(written.pk))
    row.gallery.add(shown)
    used = [cover.pk, shown.pk, written.pk]
    assert {pk: [str(place) for place in places] for pk, places in elsewhere.uses_of([*used, free.pk]).items()} == {
        pk: ["Article mug"] for pk in used
    }
    assert elsewhere.pointed_at([*used, free.pk]) == set(used)
    assert set(usage.unused()) == {free}
    for pk in used:
        with pytest.raises(AssetInUse, match="Article mug"):
            trash.delete([pk], None)
    assert trash.delete([free.pk], None).deleted == (free.pk,)


def test_the_assets_page_links_to_the_rows_that_whoever_looks_may_see(article, settings, client):
    asset = MediaAssetFactory(ready=True)
    row = article.objects.create(title="mug", cover=asset)
    with admin_of(article, settings):
        client.force_login(UserFactory(is_superuser=True))
        page = client.get(f"/admin/mediagen/mediaasset/{asset.pk}/change/").content.decode()
        assert f'<a href="/admin/auth/article/{row.pk}/change/">Article mug</a>' in page
        assert f'<a href="/articles/{row.pk}/">' in page
        client.force_login(UserFactory(may=["view_mediaasset"]))
        page = client.get(f"/admin/mediagen/mediaasset/{asset.pk}/change/").content.decode()
        assert "mug" not in page
        assert "<li>Article</li>" in page


@pytest.mark.parametrize("wrong", ["article", "auth.Article.nothing", "auth.Nothing.body", 7])
def test_a_field_that_is_none_is_said(settings, wrong):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "RICH_TEXT_FIELDS": [wrong]}
    with pytest.raises(CommandError, match=r"app\.Model\.field"):
        call_command("mediagen_rebuild_references")
    from mediagen.checks import check_settings

    assert "mediagen.E031" in {error.id for error in check_settings(None)}


def test_a_site_without_such_fields_pays_nothing(django_assert_num_queries):
    user = UserFactory()
    with django_assert_num_queries(1):
        user.save(update_fields=["username"])
    assert MediaAsset.objects.count() == references.rebuild() == 0
