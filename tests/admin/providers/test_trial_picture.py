"""A test picture: its price is said first, and only a second yes asks the provider."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry

from mediagen.models import MediaAsset, MediaLibrary, ProviderConfig
from tests.admin.conftest import act, page, said
from tests.factories import MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

MAY = ("view_providerconfig", "change_providerconfig", "view_mediaasset", "add_mediaasset")


@pytest.fixture
def library():
    return MediaLibraryFactory(name="Fog")


def ask(client, *names, **extra):
    configs = ProviderConfig.objects.filter(name__in=names)
    return act(client, "providerconfig", "generate_test", *[config.pk for config in configs], **extra)


def yes(library, **extra):
    return {"confirmed": "yes", "prompt": "A lighthouse", "library": str(library.pk), **extra}


@pytest.mark.parametrize(
    ("live", "name", "words"),
    [
        (True, "sdxl", "up to $0.03"),
        (False, "sdxl", "nothing: it runs dry"),
        (True, "replicate_sdxl", "its price is not known"),
        (True, "figma_api", "makes no pictures"),
    ],
)
def test_it_says_first_what_it_may_cost(signed_in, library, monkeypatch, live, name, words):
    monkeypatch.setenv("SDXL_API_KEY", "x")
    monkeypatch.setenv("REPLICATE_API_KEY", "x")
    ProviderConfig.objects.update(dry_run=not live)
    ProviderConfig.objects.filter(name="replicate_sdxl").update(model="some/model")

    text = ask(signed_in(*MAY), name).content.decode()

    assert words in text
    assert MediaAsset.objects.count() == 0


def test_the_second_yes_asks_for_it_from_this_provider_alone(signed_in, library):
    client = signed_in(*MAY)

    response = ask(client, "flux", "figma_api", **yes(library))

    asset = MediaAsset.objects.get()
    assert (asset.library, asset.created_by, asset.generation_state) == (library, client.user, "pending")
    assert asset.parameters["providers"] == ["flux"]
    assert asset.tag_names == ["test"]
    (message,) = said(response)
    assert "A test picture of flux is on its way" in message
    assert page("mediaasset", "change", asset.pk) in message
    assert LogEntry.objects.get().change_message == "Asked for a test picture."


def test_a_disabled_provider_is_left_out_with_the_reason(signed_in, library):
    ProviderConfig.objects.filter(name="flux").update(enabled=False)
    client = signed_in(*MAY)

    assert "is disabled" in ask(client, "flux").content.decode()
    ask(client, "flux", **yes(library))

    assert MediaAsset.objects.count() == 0


def test_without_a_prompt_or_a_library_of_ones_own_nothing_is_asked(signed_in, library):
    MediaLibrary.objects.filter(pk=library.pk).update(owner=UserFactory())
    client = signed_in(*MAY)

    response = ask(client, "flux", **yes(library))
    ask(client, "flux", **yes(library, prompt=""))

    assert list(response.context["form"].errors) == ["library"]
    assert MediaAsset.objects.count() == 0


def test_on_a_new_site_the_first_library_is_made(signed_in):
    client = signed_in(*MAY)
    assert not ask(client, "flux").context["form"].fields["library"].required

    ask(client, "flux", confirmed="yes", prompt="A lighthouse")

    assert MediaAsset.objects.get().library.name == "Default"


@pytest.mark.parametrize("lacking", ["change_providerconfig", "add_mediaasset"])
def test_it_needs_the_right_to_change_and_the_right_to_generate(signed_in, library, lacking):
    client = signed_in(*(name for name in MAY if name != lacking))

    ask(client, "flux", **yes(library))

    assert MediaAsset.objects.count() == 0
    assert "generate_test" not in client.get(page("providerconfig")).content.decode()
