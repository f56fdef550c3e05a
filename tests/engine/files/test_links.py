"""Signed addresses: good for one content and for a while."""

import time

import pytest
from django.core.signing import Signer

from mediagen.engine.files import links
from mediagen.engine.files.links import LinkRefused
from mediagen.engine.library import trash
from mediagen.errors import InvalidRequest
from mediagen.models import BackgroundJob
from tests import pictures
from tests.factories import MediaAssetFactory, stored

pytestmark = pytest.mark.django_db


def test_a_token_grants_its_asset():
    asset = MediaAssetFactory(ready=True)

    grant = links.check(links.token(asset, expires_s=60, download=True))

    assert (grant.kind, grant.pk, grant.is_download) == ("asset", asset.pk, True)
    assert 58 <= grant.left_s <= 60
    assert links.granted_asset(grant) == asset


def test_one_that_was_altered_or_signed_elsewhere_is_refused(settings):
    token = links.token(MediaAssetFactory(ready=True))
    settings.SECRET_KEY = "another" * 9
    foreign = links.token(MediaAssetFactory(ready=True))
    settings.SECRET_KEY = "only-for-tests-" + "0" * 40
    body, _, signature = token.rpartition(":")
    other_salt = Signer(salt="other").sign(body)
    nonsense = Signer(salt="mediagen.links").sign("a.b.c")
    altered = [f"{body[:-1]}d:{signature}", f"{body}:{signature[:-1]}", body, "", ":", "\x00", "a" * 5000]

    for text in [foreign, other_salt, nonsense, *altered]:
        with pytest.raises(LinkRefused):
            links.check(text)
    assert links.check(token)


def test_an_old_key_is_good_while_it_is_among_the_fallbacks(settings):
    token = links.token(MediaAssetFactory(ready=True))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, [settings.SECRET_KEY]

    assert links.check(token)


def test_it_expires(monkeypatch):
    token = links.token(MediaAssetFactory(ready=True), expires_s=60)
    now = time.time()
    monkeypatch.setattr(links.time, "time", lambda: now + 61)

    with pytest.raises(LinkRefused, match="expired"):
        links.check(token)


def test_it_ends_with_the_asset_and_with_its_picture():
    deleted, replaced = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)
    grants = [links.check(links.token(asset)) for asset in (deleted, replaced)]
    trash.delete([deleted.pk], None)
    other = MediaAssetFactory(ready=True, content=pictures.png(seed=5))
    replaced.content_hash, replaced.file = other.content_hash, other.file.name
    replaced.save()

    for grant in grants:
        with pytest.raises(LinkRefused, match="not there"):
            links.granted_asset(grant)


@pytest.mark.parametrize("expires_s", [0, -1, links.LONGEST_S + 1, "60", True, float("nan")])
def test_a_life_that_cannot_be_is_refused(expires_s):
    with pytest.raises(InvalidRequest) as caught:
        links.token(MediaAssetFactory(ready=True), expires_s=expires_s)
    assert caught.value.field == "expires_s"


def test_what_has_no_file_has_no_token():
    with pytest.raises(InvalidRequest):
        links.token(MediaAssetFactory())
    with pytest.raises(InvalidRequest):
        links.job_token(BackgroundJob.objects.create(kind="zip"))


def test_a_jobs_file_has_one_of_its_own():
    job = BackgroundJob.objects.create(kind="zip", state="done", file=stored(b"x", "mediagen/jobs/x.zip"))
    asset = MediaAssetFactory(ready=True)

    grant = links.check(links.job_token(job))

    assert links.granted_job(grant) == job
    with pytest.raises(LinkRefused):
        links.granted_asset(grant)
    with pytest.raises(LinkRefused):
        links.granted_job(links.check(links.token(asset)))


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("The pier, at dawn", "The-pier-at-dawn.png"),
        ("../../etc/passwd", "etc-passwd.png"),
        ('a"b\r\nSet-Cookie: x', "a-b-Set-Cookie-x.png"),
        ("Möwe am Meer", "Möwe-am-Meer.png"),
        ("x" * 250, "x" * 100 + ".png"),
    ],
)
def test_a_download_is_called_as_its_asset(name, called):
    assert links.download_name(MediaAssetFactory(ready=True, name=name)) == called
