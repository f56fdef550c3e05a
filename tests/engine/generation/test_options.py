"""A misspelt value of an option is told before anybody is asked, not passed over to who knows nothing of it."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from mediagen.chain import MediaGeneratorChain
from mediagen.engine import get_media_engine
from mediagen.engine.generation.options import check_options, check_values
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset
from mediagen.providers import FluxAdapter, OpenAIImagesAdapter, SDXLAdapter
from tests.fakes import picture
from tests.live_providers import live  # noqa: F401
from tests.management.test_commands import run

SDXL_1 = "stable-diffusion-xl-1024-v1-0"
MISSPELT = "Option style_preset must be one of enhance, anime, "


class SaysNothing:
    def get_name(self):
        return "says_nothing"

    async def generate_image(self, prompt, width, height, **options):
        return picture(width, height)


def chain(*providers):
    return MediaGeneratorChain(providers)


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["generate_asset", "enqueue"])
def test_nothing_is_made_for_a_misspelt_value(live, method):  # noqa: F811
    sdxl, openai = live("sdxl", "openai_images")
    with pytest.raises(InvalidRequest) as caught:
        async_to_sync(getattr(get_media_engine(), method))("a cat", 64, 64, style_preset="animee")
    assert str(caught.value).startswith(MISSPELT)
    assert str(caught.value).endswith("not 'animee' (did you mean anime?).")
    assert caught.value.field == "options.style_preset"
    assert (sdxl.requests, openai.requests, MediaAsset.objects.count()) == ([], [], 0)


@pytest.mark.django_db
def test_the_command_says_it_with_code_2(live, tmp_path):  # noqa: F811
    servers = live("sdxl", "openai_images")
    file = tmp_path / "prompts.txt"
    file.write_text("a cat\n")
    for what in (["a cat"], ["--from", str(file)]):
        code, _, said = run("generate_assets", *what, "--live", "--option", "style_preset=animee")
        assert (code, "did you mean anime?" in said) == (2, True), said
    assert [server.requests for server in servers] == [[], []]


def test_the_first_that_has_the_option_decides():
    flux, old, new = FluxAdapter(model="flux-2-flex"), *(SDXLAdapter(model=model) for model in (SDXL_1, "sd3.5-large"))
    with pytest.raises(InvalidRequest, match="Option steps must be a whole number from 10 to 50"):
        check_values(chain(OpenAIImagesAdapter(), old, flux), {"steps": 5})
    check_values(chain(flux, old), {"steps": "5", "style_preset": None})
    check_values(chain(new, flux), {"steps": 5})  # another model of SDXL's adapter has it
    with pytest.raises(InvalidRequest, match=r"Option cfg_scale must be a number from 1 to 10 for sd3\.5-large"):
        check_values(chain(new, flux), {"cfg_scale": 20})


def test_who_says_nothing_of_its_options_may_take_any_and_who_has_no_key_is_not_asked():
    sdxl = SDXLAdapter()
    check_values(chain(SaysNothing(), sdxl), {"style_preset": "animee"})
    with pytest.raises(InvalidRequest):
        check_values(chain(sdxl, SaysNothing()), {"style_preset": "animee"})
    check_values(chain(SDXLAdapter(dry_run=False), FluxAdapter()), {"style_preset": "animee"})


@pytest.mark.parametrize("name", ["sources", "parent", "created_by", "operation", "recorder"])
def test_no_option_passes_by_who_may_do_what(name):
    with pytest.raises(InvalidRequest, match="no option"):
        check_options(chain(SaysNothing()), {name: "x"})
