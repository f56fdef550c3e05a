"""Templates with variables, styles, and the prompts that were used."""

from __future__ import annotations

import pytest
from django.urls import reverse

from mediagen.engine.generation import claims
from mediagen.engine.library import Access, presets
from mediagen.errors import NotAllowed
from mediagen.models import MediaAsset, PromptPreset
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.studio.conftest import JSON

pytestmark = pytest.mark.django_db

STUDIO = reverse("mediagen:studio")
WORDS = reverse("mediagen:studio-prompts")


@pytest.fixture
def library():
    return MediaLibraryFactory(name="Default")


def style(boss, library, **values):
    values = {"text": "{prompt}, watercolour", "negative_prompt": "photo", **values}
    return presets.keep(Access(boss.user), library, "style", "Wet", **values)


def test_the_words_in_braces_are_asked_for_and_filled_in(maker, library):
    said = {"prompt": "A {colour} {product}, {colour}", "var-colour": " red ", "variables": "1"}

    missing = maker.post(STUDIO, said, headers=JSON)
    shown = maker.post(STUDIO, said)

    assert "product" in missing.json()["fields"]["prompt"][0]
    assert 'name="var-product"' in shown.content.decode()
    assert 'value=" red "' in shown.content.decode()
    assert maker.post(STUDIO, {**said, "estimate": "1"}, headers=JSON).status_code == 200
    assert maker.post(STUDIO, {**said, "var-product": "{colour} cup"}).status_code == 302
    assert MediaAsset.objects.get().prompt == "A red {colour} cup, red"
    maker.post(STUDIO, {"prompt": "As {it} stands"})  # of a page without such fields, as the chooser is
    assert MediaAsset.objects.latest("pk").prompt == "As {it} stands"


def test_a_style_is_in_the_prompt_that_is_sent_and_named_on_the_asset(boss, library):
    wet = style(boss, library, options={"style_preset": "anime", "gone": 1, "cfg_scale": "nonsense"})

    boss.post(STUDIO, {"prompt": "A boat", "negative_prompt": "people", "style": wet.pk})

    asset = MediaAsset.objects.get()
    assert (asset.prompt, asset.negative_prompt) == ("A boat, watercolour", "people, photo")
    assert asset.parameters["style"] == "Wet"
    assert asset.parameters["options"] == {"style_preset": "anime"}
    # Again, and another one: the name goes along, and the words come once.
    again = claims.order_of(asset)
    assert (again.style, again.request.prompt) == ("Wet", "A boat, watercolour")
    assert "style" not in again.request.options
    assert "Wet" in boss.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()


def test_what_somebody_has_put_in_goes_before_the_style(boss, library):
    wet = style(boss, library, text="ink", options={"style_preset": "anime"})

    boss.post(STUDIO, {"prompt": "A boat.", "style": wet.pk, "option-style_preset": "cinematic"})

    asset = MediaAsset.objects.get()
    assert (asset.prompt, asset.parameters["options"]) == ("A boat, ink", {"style_preset": "cinematic"})


def test_styles_of_others_libraries_are_nobodys_and_their_samples_seen_by_those_who_may(boss, person):
    secret = MediaLibraryFactory(owner=boss.user)
    sample = MediaAssetFactory(ready=True, prompt="Hush", library=secret)
    theirs = style(boss, secret)
    shared = style(boss, MediaLibraryFactory(name="Default"), sample=sample)
    other = person("add_mediaasset", "change_mediaasset")

    assert other.post(STUDIO, {"prompt": "A boat", "style": theirs.pk}, headers=JSON).status_code == 400
    assert other.get(STUDIO, {"template": theirs.pk}).status_code == 404
    [choice] = other.get(STUDIO).context["asked"].styles
    assert (choice.style, choice.picture) == (shared, None)
    assert {one.picture for one in boss.get(STUDIO).context["asked"].styles} == {sample, None}
    assert str(secret) not in other.get(WORDS).content.decode()
    with pytest.raises(NotAllowed):
        presets.keep(Access(other.user), secret, "style", "Wet", "mine")
    assert other.post(WORDS, {"do": "delete", "id": theirs.pk}).status_code == 404
    assert other.get(WORDS, {"library": secret.pk}).status_code == 404


def test_the_words_of_the_box_and_of_a_picture_are_kept_once_by_their_name(boss, library):
    box = {"prompt": "A {colour} cup", "library": library.pk, "preset_kind": "template", "preset_name": "Cup"}
    asset = MediaAssetFactory(
        ready=True, library=library, prompt="Fog", parameters={"options": {"style_preset": "anime"}}
    )
    address = reverse("mediagen:studio-action", args=[asset.pk, "style"])

    assert [boss.post(WORDS, {**box, "option-style_preset": "anime"}).status_code for _ in range(2)] == [302, 302]
    assert boss.post(address, {"preset_name": "Foggy", "text": "fog"}, headers=JSON).status_code == 200

    template, kept = PromptPreset.objects.order_by("name")
    assert (template.text, template.options) == ("A {colour} cup", {"style_preset": "anime"})
    assert (kept.kind, kept.text, kept.sample, kept.options) == ("style", "fog", asset, {"style_preset": "anime"})
    template.library = MediaLibraryFactory(name="Crockery")
    template.negative_prompt = "saucer"
    template.save()
    asked = boss.get(STUDIO, {"template": template.pk}).context["asked"]
    assert [asked[field].value() for field in ("prompt", "negative_prompt", "library")] == [
        "A {colour} cup",
        "saucer",
        template.library_id,
    ]
    assert [option["text"] for option in asked.options if option["choice"].name == "style_preset"] == ["anime"]
    assert boss.post(address, {"preset_name": "", "text": "fog"}, headers=JSON).status_code == 409
    assert boss.post(WORDS, {**box, "preset_name": ""}).status_code == 400
    assert boss.post(WORDS, {**box, "library": "x"}).status_code == 400
    boss.post(WORDS, {"do": "delete", "id": template.pk})
    assert PromptPreset.objects.get() == kept


def test_the_prompts_that_were_used_are_ones_own_or_those_of_a_library(boss, library):
    other = UserFactory()
    for prompt, who in (("mine", boss.user), ("mine", boss.user), ("theirs", other)):
        MediaAssetFactory(prompt=prompt, created_by=who, library=library)
    MediaAssetFactory(prompt="hidden", library=MediaLibraryFactory(owner=other))

    assert [one.prompt for one in boss.get(WORDS).context["used"]] == ["mine"]
    of_library = boss.get(WORDS, {"library": library.pk}).context["used"]
    assert [one.prompt for one in of_library] == ["theirs", "mine"]


@pytest.mark.parametrize(
    ("text", "names"),
    [("{a} {a} {größe}", ["a", "größe"]), ('{"json": 1} {} {1x} {a b} {a|b}', []), ("{x}" * 9, ["x"])],
)
def test_what_is_a_variable(text, names):
    assert presets.variables(text) == names
