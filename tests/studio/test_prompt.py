"""The prompt box: who gets one, what it takes, what it says, and that nothing is paid for twice."""

import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test import override_settings
from django.urls import reverse

from mediagen.models import MediaAsset, MediaLibrary, ProviderConfig
from mediagen.types import uuid7
from tests.engine.work.working import Local, use_local
from tests.factories import MediaAssetFactory, MediaLibraryFactory, ProviderConfigFactory, UserFactory
from tests.studio.conftest import JSON

pytestmark = pytest.mark.django_db

STUDIO = "/mediagen/studio/"


class Known(Local):
    price = Decimal("0.10")

    def get_name(self):
        return "known"


def page(client, **query):
    return client.get(STUDIO, query).content.decode()


def ask(client, *, headers=None, **fields):
    asked = {"prompt": "A lighthouse", "size": "1216x832", "count": "1", **fields}
    return client.post(STUDIO, asked, headers=headers or {})


# ---------------------------------------------------------------------- who


def test_the_studio_has_its_own_address_in_this_project(maker):
    assert 'id="mediagen-composer"' in maker.get("/studio/").content.decode()
    assert reverse("mediagen:studio") == STUDIO
    assert maker.get("/").url == STUDIO


def test_somebody_who_may_not_add_gets_no_prompt_box_and_no_picture(person):
    reader = person()

    assert "mediagen-composer" not in page(reader)
    assert "mediagen-upload" not in page(reader)
    assert ask(reader).status_code == 403
    assert ask(reader, headers=JSON).json() == {"problem": "You may not do that here."}
    assert not MediaAsset.objects.exists()


def test_somebody_without_a_library_to_write_in_gets_no_prompt_box(person):
    MediaLibraryFactory(name="Default", owner=UserFactory())

    assert "mediagen-composer" not in page(person("add_mediaasset"))


def test_another_persons_library_is_refused_like_one_that_is_not_there(maker):
    MediaLibraryFactory(name="Default")
    foreign = MediaLibraryFactory(owner=UserFactory(), name="Hidden")

    answers = [ask(maker, library=pk, headers=JSON) for pk in (foreign.pk, uuid7())]

    assert {answer.status_code for answer in answers} == {400}
    assert answers[0].json()["fields"] == answers[1].json()["fields"]
    assert "Hidden" not in page(maker)
    assert not MediaAsset.objects.exists()


def test_a_script_of_somebody_signed_out_is_told_so(client):
    answer = client.post(STUDIO, {"prompt": "x"}, headers=JSON)

    assert answer.status_code == 401
    assert "signed out" in answer.json()["problem"]


def test_forms_from_elsewhere_are_refused(maker):
    maker.handler.enforce_csrf_checks = True

    assert ask(maker).status_code == 403
    assert not MediaAsset.objects.exists()


# ---------------------------------------------------------------------- asking


def test_without_javascript_a_form_leads_to_its_pictures(maker):
    library = MediaLibraryFactory(name="Shelf")

    answer = ask(
        maker,
        count="3",
        library=library.pk,
        provider="sdxl",
        negative_prompt="people",
        seed="7",
        name="Light",
        tags="coast, Fog",
        alt_text="A tower",
        placeholder_only="on",
        **{"option-style_preset": "anime", "option-quality": "high"},
    )

    assets = list(MediaAsset.objects.order_by("pk"))
    assert answer.status_code == 302
    assert answer.url == f"{STUDIO}?generation_id={assets[0].generation_id}"
    assert [asset.seed for asset in assets] == [7, 8, 9]
    one = assets[0]
    assert (one.prompt, one.negative_prompt, one.name, one.alt_text) == ("A lighthouse", "people", "Light", "A tower")
    assert (one.library, one.created_by, one.generation_state) == (library, maker.user, "pending")
    assert one.tag_names == ["Fog", "coast"]
    # The option of a provider that is not asked is left out.
    assert one.parameters == {
        "width": 1216,
        "height": 832,
        "options": {"style_preset": "anime"},
        "providers": ["sdxl"],
        "dry_run": True,
    }
    shown = maker.get(answer.url).content.decode()
    assert shown.count("data-unsettled") == 3
    assert "Waiting to begin" in shown
    assert "Load this page again" in shown


def test_a_script_gets_the_tiles_at_once(maker):
    answer = ask(maker, count="2", headers=JSON)

    said = answer.json()
    assets = MediaAsset.objects.filter(generation_id=said["generation_id"])
    assert answer.status_code == 202
    assert assets.count() == 2
    assert all(f'id="asset-{asset.pk}"' in said["html"] for asset in assets)
    assert said["token"]


def test_the_same_form_sent_twice_is_one_order(maker):
    token = re.search(r'name="token" value="([^"]*)"', page(maker)).group(1)

    first, second = (ask(maker, token=token, count="2") for _ in range(2))

    assert first.url == second.url
    assert MediaAsset.objects.count() == 2
    ask(maker, token=token, count="2", prompt="Something else")
    assert MediaAsset.objects.count() == 4


def test_two_people_with_one_token_do_not_get_each_others_pictures(person):
    token = uuid7()
    MediaLibraryFactory(name="Default")

    for _ in range(2):
        ask(person("add_mediaasset"), token=token)

    assert MediaAsset.objects.values("generation_id").distinct().count() == 2


def test_the_default_library_is_made_with_its_first_picture(maker):
    assert not MediaLibrary.objects.filter(name="Default").exists()
    assert "<option" in page(maker)

    ask(maker)

    assert MediaAsset.objects.get().library.name == "Default"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("prompt", "", "Say what the picture should show"),
        ("prompt", "x" * 32_001, "at most 32000 characters"),
        ("prompt", "a\x00b", "Null characters"),
        ("count", "11", "less than or equal to 10"),
        ("count", "many", "whole number"),
        ("size", "1x1", "not one of the available choices"),
        ("provider", "nobody", "not one of the available choices"),
        ("seed", "-1", "greater than or equal to 0"),
        ("tags", "x" * 200, "tag"),
        ("option-cfg_scale", "999", "must be a number"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(maker, field, value, words):
    asked = ask(maker, **{field: value}, headers=JSON)
    shown = ask(maker, **{field: value})

    assert asked.status_code == shown.status_code == 400
    assert any(words in str(text) for text in asked.json()["fields"].values()), asked.json()
    assert words in shown.content.decode()
    assert not MediaAsset.objects.exists()


def test_an_own_size_needs_both_sides(maker):
    answer = ask(maker, size="custom", width="640", height="", headers=JSON)
    assert answer.json()["fields"] == {"height": ["Say how many pixels."]}
    assert ask(maker, size="custom", width="640", height="99999", headers=JSON).status_code == 400

    ask(maker, size="custom", width="640", height="400")

    assert MediaAsset.objects.get().parameters == {"width": 640, "height": 400}


def test_what_was_put_in_is_still_there_after_a_mistake(maker):
    text = ask(maker, prompt='A "red" boat', count="99", seed="5", size="768x1344").content.decode()

    assert "A &quot;red&quot; boat</textarea>" in text
    assert 'value="768x1344" checked' in text
    assert 'action="/mediagen/studio/upload/"' in text
    assert re.search(r'name="seed" value="5"', text)


def test_the_box_begins_with_what_another_picture_was_asked_with(maker):
    asset = MediaAssetFactory(
        ready=True,
        prompt="A red boat",
        negative_prompt="people",
        seed=77,
        parameters={"width": 300, "height": 200, "options": {"style_preset": "anime"}, "providers": ["sdxl"]},
    )

    text = page(maker, **{"from": asset.pk})

    assert "A red boat</textarea>" in text
    assert 'value="custom" data-custom checked' in text
    assert '<option value="sdxl" selected>' in text
    assert "<option selected>anime</option>" in text
    # The seed only when it is asked for: with it the same picture would come again.
    assert re.search(r'name="seed"(?! value)', text)
    assert "Keep the seed 77" in text
    ask(maker, keep_seed="77")
    assert MediaAsset.objects.latest("pk").seed == 77
    foreign = MediaAssetFactory(library=MediaLibraryFactory(owner=UserFactory()))
    assert maker.get(STUDIO, {"from": foreign.pk}).status_code == 404
    assert maker.get(STUDIO, {"from": "x"}).status_code == 404


def test_a_chain_that_cannot_work_is_a_word_and_no_crash(maker):
    # No migrations' rows and a key in an option, where it would be stored as plain text.
    ProviderConfigFactory(name="wrong", adapter="sdxl", position=0, options={"api_key": "sk-visible"})

    answer = ask(maker, headers=JSON)

    assert answer.status_code == 400
    assert "Provider 'wrong'" in answer.json()["problem"]
    assert "sk-visible" not in answer.content.decode()


@pytest.mark.parametrize("atomic", [True, False])
def test_it_works_where_every_request_is_a_transaction(maker, settings, atomic):
    connection.settings_dict["ATOMIC_REQUESTS"] = atomic
    try:
        assert ask(maker).status_code == 302
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert MediaAsset.objects.count() == 1


# ---------------------------------------------------------------------- the price


def test_the_price_is_said_before_anything_is_sent(maker):
    answer = ask(maker, count="4", estimate="1", headers=JSON)

    assert answer.json() == {
        "text": "4 pictures, at no cost: placeholders",
        "is_free": True,
        "is_too_much": False,
    }
    assert "4 pictures, at no cost" in ask(maker, count="4", estimate="1").content.decode()
    assert not MediaAsset.objects.exists()


def test_a_budget_that_does_not_suffice_is_said(maker, monkeypatch):
    monkeypatch.setenv("SDXL_API_KEY", "sk-test")
    library = MediaLibraryFactory(budget_limit=Decimal("0.05"))

    with override_settings(MEDIAGEN={"DRY_RUN": False, "RUN_IN_SERVER": False}):
        said = ask(maker, count="4", provider="sdxl", library=library.pk, estimate="1", headers=JSON).json()

        bought = ask(maker, count="4", provider="sdxl", library=library.pk, headers=JSON)

    assert said["text"].startswith("4 pictures, $0.12 · $0.05 left in this library · ask for fewer")
    assert said["is_too_much"]
    assert bought.status_code == 400
    assert not MediaAsset.objects.exists()


def test_a_price_that_is_not_known_is_not_passed_over(maker, settings):
    use_local(settings, price=None)
    both = {"known": "tests.studio.test_prompt.Known", "local": "tests.engine.work.working.Local"}
    settings.MEDIAGEN["PROVIDERS"] = both
    ProviderConfig.objects.create(name="known", adapter="known", position=2)
    library = MediaLibraryFactory(budget_limit=Decimal("0.50"))

    said = ask(maker, count="2", estimate="1", headers=JSON).json()
    limited = ask(maker, count="2", library=library.pk, estimate="1", headers=JSON).json()
    only_unknown = ask(maker, provider="local", library=library.pk, estimate="1", headers=JSON).json()

    assert said["text"] == "2 pictures, from $0.20 · price of local not known"
    assert limited["text"].startswith("2 pictures, $0.20 · not asked, because the library has a budget")
    assert not limited["is_too_much"]
    assert only_unknown["is_too_much"]


def test_a_size_that_hardly_anybody_makes_is_asked_about_first(maker):
    odd = {"size": "custom", "width": "5000", "height": "20"}

    assert "another shape" in ask(maker, **odd, estimate="1", headers=JSON).json()["text"]
    assert "another shape" in ask(maker, **odd, headers=JSON).json()["fields"]["sure"][0]
    assert not MediaAsset.objects.exists()
    assert ask(maker, **odd, sure="1").status_code == 302


def test_the_studio_is_no_door_to_a_budget(maker):
    library = MediaLibraryFactory(budget_limit=Decimal("0.05"))

    ask(maker, library=library.pk, budget_limit="999", budget_period="day", budget_warning="1")

    library.refresh_from_db()
    assert (library.budget_limit, library.budget_period, library.budget_warning) == (Decimal("0.05"), "month", None)


def test_a_price_of_nonsense_is_no_price(maker):
    answer = ask(maker, prompt="", estimate="1", headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["problem"] == "Say what the picture should show."


# ---------------------------------------------------------------------- signing in


def test_an_editor_who_is_no_staff_signs_in_and_out_in_this_project(client):
    user = UserFactory(may=["view_mediaasset", "add_mediaasset"], is_staff=False)
    user.set_password("correct horse")
    user.save()

    sent = client.get("/studio/", follow=True)
    wrong = client.post(sent.request["PATH_INFO"], {"username": user.username, "password": "no", "next": "/studio/"})
    right = client.post(
        sent.request["PATH_INFO"], {"username": user.username, "password": "correct horse", "next": "/studio/"}
    )

    assert "Please enter a correct username" in wrong.content.decode()
    assert right.url == "/studio/"
    assert 'action="/logout/"' in page(client)
    client.post("/logout/")
    assert client.get("/studio/").status_code == 302
