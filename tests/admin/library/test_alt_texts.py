"""Alt texts that a model suggests, in the admin: at the asset itself, and for many as a job."""

from __future__ import annotations

import pytest
from django.urls import reverse

from mediagen.engine.files import uploads
from mediagen.engine.library import alt_texts
from mediagen.engine.work import jobs
from mediagen.models import BackgroundJob, MediaAsset
from tests import pictures
from tests.engine.generation.test_descriptions import seeing
from tests.factories import MediaLibraryFactory

__all__ = ["seeing"]

pytestmark = pytest.mark.django_db

LIST = "admin:mediagen_mediaasset_changelist"


@pytest.fixture
def asset(media_root):
    return uploads.upload(pictures.png(64, 48), library=MediaLibraryFactory(), by=None, name="Tower")


def press(client, asset, action, **fields):
    own = {"_selected_action": str(asset.pk), "index": "0", "_own_page": "1"}
    return client.post(reverse(LIST), {**own, "action": action, **fields}, follow=True)


def page(client, asset):
    return client.get(reverse("admin:mediagen_mediaasset_change", args=[asset.pk])).content.decode()


def test_it_is_suggested_and_accepted_at_the_asset_itself(admin_client, asset, seeing):
    (openai,) = seeing("openai_images")
    assert "Suggest an alt text" in page(admin_client, asset)
    shown = press(admin_client, asset, "suggest_alt_text").content.decode()
    assert "A lighthouse at dawn." in shown
    assert "No page shows it" in shown
    asset.refresh_from_db()
    assert (asset.alt_text, len(openai.purchases)) == ("", 1)
    press(admin_client, asset, "accept_alt_text")
    asset.refresh_from_db()
    assert (asset.alt_text, asset.alt_text_state) == ("A lighthouse at dawn.", "accepted")


def test_what_is_there_is_replaced_on_the_second_yes(admin_client, asset):
    MediaAsset.objects.update(alt_text="By hand.")
    alt_texts.suggest(asset.pk, "A tower.", rehearsed=False)
    assert "Replace the alt text that is there" in press(admin_client, asset, "accept_alt_text").content.decode()
    assert MediaAsset.objects.get().alt_text == "By hand."
    press(admin_client, asset, "accept_alt_text", _go="1")
    assert MediaAsset.objects.get().alt_text == "A tower."


def test_rejected_it_is_gone(admin_client, asset):
    alt_texts.suggest(asset.pk, "A tower.", rehearsed=False)
    assert "The suggestion is gone" in press(admin_client, asset, "reject_alt_text").content.decode()
    assert MediaAsset.objects.get().alt_text_state == "rejected"


def test_many_are_a_job_whose_number_and_price_are_said_before(admin_client, asset, seeing):
    seeing("openai_images")
    other = uploads.upload(pictures.png(64, 48), library=asset.library, by=None, alt_text="Has one.")
    chosen = {"_selected_action": [str(asset.pk), str(other.pk)], "action": "suggest_alt_text", "index": "0"}
    asks = admin_client.post(reverse(LIST), chosen).content.decode()
    assert "$0.068" in asks
    assert BackgroundJob.objects.count() == 0
    begun = admin_client.post(reverse(LIST), {**chosen, "_go": "1", "language": "de", "max_cost": "1"})
    job = BackgroundJob.objects.get()
    assert begun["Location"].endswith(f"/{job.pk}/change/")
    assert (job.arguments["language"], job.arguments["max_cost"], job.total) == ("de", "1", 1)
    jobs.work_off()
    asset.refresh_from_db()
    other.refresh_from_db()
    assert (asset.alt_text_state, other.alt_text_state) == ("suggested", "")
    listed = admin_client.get(f"{reverse(LIST)}?alt_text=suggested").content.decode()
    assert "Tower" in listed
    assert "accept_alt_text" not in listed
