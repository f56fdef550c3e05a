"""What people write about a picture, and what must be written before it is published."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from mediagen.engine.library import review
from tests.factories import MediaAssetFactory, MediaLibraryFactory
from tests.studio.conftest import JSON

pytestmark = pytest.mark.django_db


def do(client, asset, action, **fields):
    return client.post(reverse("mediagen:studio-action", args=[asset.pk, action]), fields, headers=JSON)


def panel(client, asset):
    return client.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()


def test_a_picture_is_described_where_it_is_looked_at(boss, person):
    asset = MediaAssetFactory(ready=True, name="Old")
    fields = {"alt_text": "A tower", "credit": "Ann", "licence": "CC BY 4.0", "expires_on": "2020-05-01"}

    answer = do(boss, asset, "describe", name="New", tags="coast, Fog", **{"initial-name": "Old"}, **fields)

    asset.refresh_from_db()
    assert (answer.status_code, answer.json()["message"]) == (200, "Saved.")
    assert (asset.name, asset.alt_text, asset.credit, asset.licence) == ("New", "A tower", "Ann", "CC BY 4.0")
    assert (asset.expires_on, asset.is_expired, asset.tag_names) == (date(2020, 5, 1), True, ["Fog", "coast"])
    assert "expired" in answer.json()["tile"]
    assert 'data-action="describe"' in panel(boss, asset)
    assert 'data-action="describe"' not in panel(person(), asset)
    assert do(person(), asset, "describe", name="Mine").status_code == 403


def test_what_a_colleague_wrote_meanwhile_stays(boss):
    asset = MediaAssetFactory(ready=True, name="Old", credit="")
    sent = {"name": "Old", "initial-name": "Old", "credit": "", "initial-credit": "", "licence": "CC0"}
    type(asset).objects.filter(pk=asset.pk).update(name="Hers", credit="Ann")

    do(boss, asset, "describe", **sent)

    asset.refresh_from_db()
    assert (asset.name, asset.credit, asset.licence) == ("Hers", "Ann", "CC0")


def test_a_wrong_day_is_said_and_nothing_is_written(boss):
    asset = MediaAssetFactory(ready=True, name="Old")

    answer = do(boss, asset, "describe", name="New", expires_on="soon")

    asset.refresh_from_db()
    assert (answer.status_code, asset.name) == (409, "Old")
    assert "May be used until: Enter a valid date" in answer.json()["problem"]


def test_a_library_may_want_an_alt_text_before_anything_is_published(boss):
    library = MediaLibraryFactory(alt_text_required=True)
    bare = MediaAssetFactory(ready=True, library=library)
    described = MediaAssetFactory(ready=True, library=library, alt_text="A tower")

    refused = do(boss, bare, "publish")
    done = review.review([bare.pk, described.pk], "publish", by=boss.user)

    assert refused.status_code == 409
    assert "alt text" in refused.json()["problem"]
    assert (done.changed, done.without_alt_text, done.without_picture) == ((described.pk,), 1, 0)
    assert review.review([bare.pk], "approve", by=boss.user).changed
