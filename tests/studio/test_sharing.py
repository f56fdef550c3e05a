"""Pictures given to others: by whom, for how long, in which form."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from mediagen.engine.files import links
from tests import pictures
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db


def share(client, asset, **query):
    return client.get(reverse("mediagen:studio-share", args=[asset.pk]), query)


def test_a_link_shows_the_picture_to_anybody_until_its_end(boss, monkeypatch):
    asset = MediaAssetFactory(ready=True)

    text = share(boss, asset, days="7").content.decode()

    address = re.search(r'readonly value="http://testserver([^"]+)"', text)[1]
    assert Client().get(address).status_code == 200
    now = links.time.time()
    monkeypatch.setattr(links.time, "time", lambda: now + 8 * 86400)
    assert Client().get(address).status_code in (403, 404, 410)


def test_without_days_there_is_no_link_and_files_come_in_every_size_that_is_smaller(boss):
    asset = MediaAssetFactory(ready=True, content=pictures.png(900, 600), width=900, height=600)

    text = share(boss, asset, days="9999").content.decode()

    assert "share-address" not in text
    assert "400 px, JPEG" in text
    assert "1600 px" not in text
    address = re.search(r'href="([^"]+)" download>400 px, WEBP', text)[1].replace("&amp;", "&")
    answer = Client().get(address)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")
    assert "attachment" in answer["Content-Disposition"]
    code = re.search(r"<textarea[^>]*>(.*?)</textarea>", text, re.S)[1]
    assert "&lt;picture" in code
    assert not re.search(r"=&quot;/|, /", code)


def test_only_who_may_change_a_picture_gives_it_away(person):
    asset = MediaAssetFactory(ready=True)
    foreign = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))

    assert share(person(), asset).status_code == 403
    assert share(person("change_mediaasset"), foreign).status_code == 404
