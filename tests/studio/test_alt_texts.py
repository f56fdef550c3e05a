"""Alt texts that a model suggests, in the studio: asked for beside the field, answered there and in the list."""

from __future__ import annotations

import re
import uuid

import pytest
from django.urls import reverse

from mediagen.engine.files import uploads
from mediagen.engine.library import alt_texts
from mediagen.engine.work import jobs
from mediagen.models import AssetDescription, BackgroundJob, MediaAsset
from tests import pictures
from tests.engine.generation.test_descriptions import seeing
from tests.factories import MediaLibraryFactory
from tests.servers import Fault
from tests.studio.conftest import JSON

__all__ = ["seeing"]

pytestmark = pytest.mark.django_db

LIST = "mediagen:alt-texts"


@pytest.fixture
def library(media_root):
    return MediaLibraryFactory()


@pytest.fixture
def asset(library):
    return uploads.upload(pictures.png(64, 48), library=library, by=None, name="Tower")


def do(client, asset, what, **fields):
    address = reverse("mediagen:alt-text", args=[asset.pk])
    return client.post(address, {"do": what, **fields}, headers=JSON)


def test_it_is_suggested_beside_the_field_in_the_pages_language_and_accepted(boss, asset, seeing):
    (openai,) = seeing("openai_images")
    panel = boss.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()
    assert "Suggest an alt text" in panel
    assert "$0.068" in panel

    token = str(uuid.uuid4())
    answers = [do(boss, asset, "suggest", language="de", token=token) for _ in range(2)]
    said = answers[0].json()
    assert (said["suggestion"], said["alt_text"], said["state"]) == ("A lighthouse at dawn.", "", "suggested")
    assert "No page shows it" in said["html"]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(openai.purchases) == 1, "a double click buys once"
    assert "German (de)" in openai.purchases[0].prompt
    asset.refresh_from_db()
    assert asset.shown_alt_text == ""

    kept = do(boss, asset, "accept", text="A lighthouse.").json()
    assert (kept["alt_text"], kept["state"]) == ("A lighthouse.", "changed")
    assert do(boss, asset, "reject").status_code == 409


def test_a_text_that_is_there_is_replaced_only_by_who_ticks_it(boss, asset):
    MediaAsset.objects.update(alt_text="By hand.")
    alt_texts.suggest(asset.pk, "A tower.", rehearsed=False)
    assert "Replace the alt text" in boss.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()
    refused = do(boss, asset, "accept", text="A tower.")
    assert (refused.status_code, "already" in refused.json()["problem"]) == (409, True)
    assert do(boss, asset, "accept", text="A tower.", replace="1").json()["alt_text"] == "A tower."


def test_a_refusal_is_said_in_plain_words_and_costs_no_second_question(boss, asset, seeing):
    (openai,) = seeing("openai_images")
    openai.fault("submit", Fault.moderation())
    answer = do(boss, asset, "suggest")
    assert (answer.status_code, "moderation" in answer.json()["problem"]) == (409, True)
    assert AssetDescription.objects.get().state == "failed"


def test_without_a_script_the_same_is_done_a_page_at_a_time(boss, asset):
    address = reverse("mediagen:alt-text", args=[asset.pk])
    response = boss.post(address, {"do": "suggest", "next": reverse(LIST)})
    assert (response.status_code, response["Location"]) == (302, f"{reverse(LIST)}?said=suggested")
    page = boss.get(response["Location"]).content.decode()
    assert "Rehearsal" in page
    assert "data-alt-row" in page
    assert boss.post(address, {"do": "accept"})["Location"].endswith("said=accepted")
    assert "None waits" in boss.get(reverse(LIST)).content.decode()


def test_who_may_only_look_neither_asks_nor_answers(person, asset):
    alt_texts.suggest(asset.pk, "A tower.", rehearsed=False)
    assert do(person(), asset, "suggest").status_code in (403, 404)
    assert do(person(), asset, "accept").status_code in (403, 404)
    assert "A tower." not in person().get(reverse(LIST)).content.decode()


def test_all_of_a_library_are_described_as_a_job_whose_number_and_price_were_said(boss, library, asset, seeing):
    (openai,) = seeing("openai_images")
    page = boss.get(f"{reverse(LIST)}?library={library.pk}&language=fr").content.decode()
    assert "1 picture has no alt text" in page
    assert "$0.068" in page
    asked = {"library": str(library.pk), "language": "fr", "count": "1"}
    other = boss.post(reverse(LIST), {**asked, "count": "2"})
    assert (other.status_code, BackgroundJob.objects.count()) == (400, 0)

    begun = boss.post(reverse(LIST), asked)
    assert begun["Location"] == reverse("mediagen:studio-job", args=[BackgroundJob.objects.get().pk])
    jobs.work_off()
    assert "French (fr)" in openai.purchases[0].prompt
    assert "A lighthouse at dawn." in boss.get(f"{reverse(LIST)}?library={library.pk}").content.decode()


def test_pages_show_a_suggestion_only_where_the_site_says_so_and_never_a_rehearsal(asset, settings):
    alt_texts.suggest(asset.pk, "A tower.", rehearsed=False)
    asset.refresh_from_db()
    assert asset.shown_alt_text == ""
    settings.MEDIAGEN = {**settings.MEDIAGEN, "SHOW_SUGGESTED_ALT_TEXT": True}
    assert asset.shown_alt_text == "A tower."
    asset.alt_text_state = "rehearsed"
    assert asset.shown_alt_text == ""


def test_a_library_that_is_sent_twice_is_described_once(boss, asset, seeing):
    (openai,) = seeing("openai_images")
    page = boss.get(reverse(LIST), {"library": asset.library_id}).content.decode()
    form = dict(re.findall(r'name="(library|language|count|token)" value="([^"]+)"', page))
    first, second = (boss.post(reverse(LIST), form) for _ in range(2))
    assert (first.status_code, first.url) == (302, second.url)
    jobs.work_off()
    assert len(openai.purchases) == 1
