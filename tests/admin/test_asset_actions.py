"""What an editor does with assets: the steps of the review, and another try."""

import re
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import resolve

from mediagen.engine import review
from mediagen.models import GenerationAttempt, MediaAsset, ProviderConfig
from tests.admin.conftest import act, page, said
from tests.factories import MediaAssetFactory

pytestmark = pytest.mark.django_db


# ---------------------------------------------------------------------- review


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("approve", "draft", "approved"),
        ("publish", "draft", "published"),
        ("publish", "approved", "published"),
        ("archive", "published", "archived"),
        ("restore", "archived", "draft"),
    ],
)
def test_a_step_is_kept_with_who_and_when(admin_client, admin_user, action, before, after):
    asset = MediaAssetFactory(ready=True, status=before)

    response = act(admin_client, "mediaasset", action, asset.pk)

    asset.refresh_from_db()
    assert (asset.status, asset.reviewed_by) == (after, admin_user)
    assert asset.reviewed_at is not None
    assert said(response)[0].startswith("1 asset ")
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user) == (str(asset.pk), admin_user)
    assert entry.change_message.startswith("Review: ")


def test_what_cannot_take_the_step_is_left_and_named(admin_client):
    ready, failed, gone = (
        MediaAssetFactory(ready=True),
        MediaAssetFactory(failed=True),
        MediaAssetFactory(ready=True, status="archived"),
    )
    drawn = MediaAssetFactory(placeholder=True)

    response = act(admin_client, "mediaasset", "approve", ready.pk, failed.pk, gone.pk, drawn.pk)

    assert said(response) == [
        "2 assets approved.",
        "1 of them is a placeholder.",
        "1 was left out: no picture.",
        "1 was left out: wrong status.",
    ]
    assert set(MediaAsset.objects.filter(status="approved")) == {ready, drawn}


def test_too_many_at_once_are_refused_whole(admin_client, monkeypatch):
    monkeypatch.setattr(review, "MAX_AT_ONCE", 2)
    assets = [MediaAssetFactory(ready=True) for _ in range(3)]

    response = act(admin_client, "mediaasset", "approve", *[asset.pk for asset in assets], select_across="1")

    assert said(response) == ["3 assets are too many at once. Take at most 2."]
    assert not MediaAsset.objects.filter(status="approved").exists()


def test_the_assets_own_page_offers_what_can_be_done_and_comes_back(admin_client):
    asset = MediaAssetFactory(ready=True)
    own = page("mediaasset", "change", asset.pk)

    def offered():
        return re.findall(r'name="action" value="(\w+)"', admin_client.get(own).content.decode())

    assert offered() == ["approve", "publish", "archive"]
    response = act(admin_client, "mediaasset", "archive", asset.pk, index="0", _asset_page="1")
    assert response.url == own
    assert offered() == ["restore"]


def test_enter_in_the_form_saves_and_starts_no_action(admin_client):
    """A browser presses the first button of a form."""
    asset = MediaAssetFactory(ready=True)
    text = admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()

    form = text[text.index('id="mediaasset_form"') :]
    assert re.search(r'<(?:input|button) type="submit"[^>]*name="(\w+)"', form).group(1) == "_save"


# ---------------------------------------------------------------------- again


def test_failed_ones_and_placeholders_are_generated_again(admin_client):
    failed, drawn = MediaAssetFactory(failed=True, prompt="a pier"), MediaAssetFactory(placeholder=True)

    response = act(admin_client, "mediaasset", "generate_again", failed.pk, drawn.pk)

    assert said(response) == ["2 assets were generated."]
    failed.refresh_from_db()
    assert failed.is_ready
    assert (failed.width, failed.height, failed.failure) == (64, 48, "")
    assert Path(failed.file.path).stat().st_size == failed.file_size > 0
    assert LogEntry.objects.filter(change_message="Generated again.").count() == 2


def test_a_real_picture_is_not_made_again_under_its_id(admin_client):
    real = MediaAssetFactory(ready=True)

    response = act(admin_client, "mediaasset", "generate_again", real.pk)

    (message,) = said(response)
    assert "Only failed, cancelled and placeholder assets" in message
    assert not GenerationAttempt.objects.exists()


def test_a_failure_is_told_with_every_attempt(admin_client):
    ProviderConfig.objects.exclude(name="sdxl").update(enabled=False)
    ProviderConfig.objects.filter(name="sdxl").update(dry_run=False)
    failed = MediaAssetFactory(failed=True)

    response = act(admin_client, "mediaasset", "generate_again", failed.pk)

    (message,) = said(response)
    assert str(failed.pk) in message
    assert "sdxl: misconfigured" in message


def test_an_unforeseen_exception_shows_its_class_only(admin_client, monkeypatch, caplog):
    from mediagen.engine import MediaEngine

    async def fail(self, asset_id, **kwargs):
        raise RuntimeError("text that may hold anything")

    monkeypatch.setattr(MediaEngine, "regenerate_asset", fail)
    failed = MediaAssetFactory(failed=True)

    response = act(admin_client, "mediaasset", "generate_again", failed.pk)

    assert said(response) == [f"{failed.pk}: RuntimeError"]
    assert "was not generated again" in caplog.text


def test_more_than_a_page_can_wait_for_are_refused(admin_client, monkeypatch):
    monkeypatch.setattr("mediagen.admin.asset.MAX_GENERATIONS", 2)
    assets = [MediaAssetFactory(failed=True) for _ in range(3)]

    response = act(admin_client, "mediaasset", "generate_again", *[asset.pk for asset in assets])

    (message,) = said(response)
    assert message.startswith("At most 2 assets are generated at once")
    assert not GenerationAttempt.objects.exists()


def test_actions_run_outside_a_sites_request_transaction():
    """With ATOMIC_REQUESTS an error after a purchase would take the rows about it with it."""
    assert "default" in resolve(page("mediaasset")).func._non_atomic_requests
