"""The form of a provider: settings that the adapter accepts, and mistakes at the field where they are."""

import pytest

from mediagen.models import ProviderConfig
from tests.admin.conftest import page
from tests.factories import ProviderConfigFactory

pytestmark = pytest.mark.django_db


def form_data(config=None, **changes):
    """What a browser sends for this entry's form."""
    row = config or ProviderConfig()
    data = {
        "name": row.name,
        "adapter": row.adapter,
        "enabled": "on",
        "dry_run": "unknown",
        "base_url": row.base_url,
        "model": row.model,
        "options": "{}",
        "prices": "{}",
        "timeout_s": "",
        "after_unknown": row.after_unknown,
        "after_refusal": row.after_refusal,
        "max_concurrency": "",
        "rate_per_minute": "",
        "budget_limit": "",
        "budget_period": row.budget_period,
        "budget_warning": "",
        "new_credential": "",
    }
    return {**data, **changes}


def errors(response):
    assert response.status_code == 200
    return {field: " ".join(found) for field, found in response.context["adminform"].form.errors.items()}


def test_the_form_saves_what_the_adapter_accepts(admin_client):
    config = ProviderConfig.objects.get(name="sdxl")
    changes = {
        "model": "sd3.5-large",
        "options": '{"cfg_scale": 7, "style_preset": "anime"}',
        "prices": '{"sd3.5-large": "0.07"}',
        "timeout_s": "90",
        "dry_run": "false",
        "after_refusal": "next",
    }

    response = admin_client.post(page("providerconfig", "change", config.pk), form_data(config, **changes))

    assert response.status_code == 302, errors(response)
    config.refresh_from_db()
    assert config.options == {"cfg_scale": 7, "style_preset": "anime"}
    assert config.prices == {"sd3.5-large": "0.07"}
    assert (config.model, config.timeout_s, config.dry_run, config.after_refusal) == ("sd3.5-large", 90, False, "next")
    assert config.position == 1


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"options": '{"style": "anime"}'}, "options", "no option style"),
        ({"options": '{"style_preset": "ugly"}'}, "options", "style_preset must be one of"),
        ({"options": '{"cfg_scale": 30}', "model": "sd3.5-large"}, "options", "1 to 10 for sd3.5-large"),
        ({"options": '{"api_key": "x"}'}, "options", "no option api_key"),
        ({"options": '["anime"]'}, "options", "Write an object"),
        ({"options": "{broken"}, "options", "valid JSON"),
        ({"prices": '{"core": "cheap"}'}, "prices", "must be USD"),
        ({"prices": '{"core": "-1"}'}, "prices", "must be USD"),
        ({"prices": '"0.03"'}, "prices", "Write an object"),
        ({"model": "dall-e-3"}, "model", "has no model 'dall-e-3'"),
        ({"base_url": "https://user:pass@example.org"}, "base_url", "must not hold a user name"),
        ({"timeout_s": "0"}, "timeout_s", "greater than or equal to 0.1"),
        ({"adapter": "no_such_adapter"}, "adapter", "valid choice"),
    ],
)
def test_what_the_adapter_refuses_is_said_at_the_field(admin_client, changes, field, words):
    config = ProviderConfig.objects.get(name="sdxl")

    response = admin_client.post(page("providerconfig", "change", config.pk), form_data(config, **changes))

    found = errors(response)
    assert list(found) == [field]
    assert words in found[field].replace("&#x27;", "'")
    config.refresh_from_db()
    assert (config.options, config.prices, config.model) == ({}, {}, "")


def test_several_mistakes_are_all_said(admin_client):
    config = ProviderConfig.objects.get(name="sdxl")
    changes = {"model": "dall-e-3", "options": '{"steps": 1}', "prices": '{"core": "x"}'}

    response = admin_client.post(page("providerconfig", "change", config.pk), form_data(config, **changes))

    assert set(errors(response)) == {"model", "options", "prices"}


def test_empty_options_and_prices_are_none(admin_client):
    config = ProviderConfig.objects.get(name="sdxl")

    response = admin_client.post(page("providerconfig", "change", config.pk), form_data(config, options="", prices=""))

    assert response.status_code == 302, errors(response)
    config.refresh_from_db()
    assert (config.options, config.prices) == ({}, {})


def test_a_foreign_adapter_that_raises_anything_does_not_break_the_pages(admin_client, settings, caplog):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": "tests.admin.acme.BrokenAdapter"}}
    config = ProviderConfigFactory(name="acme", adapter="acme")

    list_text = admin_client.get(page("providerconfig")).content.decode()
    response = admin_client.post(page("providerconfig", "change", config.pk), form_data(config))

    assert "raised RuntimeError when it was set up" in list_text
    assert "raised RuntimeError" in errors(response)["adapter"]
    assert "a text with the secret" not in list_text + response.content.decode() + caplog.text


def test_a_foreign_adapter_gets_no_credential_through_its_open_options(admin_client, settings):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": "tests.admin.acme.AcmeAdapter"}}
    config = ProviderConfigFactory(name="acme", adapter="acme")
    changes = {"options": '{"api_key": "x", "speed": 3}', "new_credential": "y"}

    found = errors(admin_client.post(page("providerconfig", "change", config.pk), form_data(config, **changes)))

    assert "not encrypted: api_key" in found["options"]
    assert "MEDIAGEN" in found["new_credential"]
    good = admin_client.post(page("providerconfig", "change", config.pk), form_data(config, options='{"speed": 3}'))
    assert good.status_code == 302, errors(good)


def test_saving_a_form_keeps_an_order_that_changed_meanwhile(admin_client, monkeypatch):
    """The position is no part of the form, and a save of the whole row would bring the old one back."""
    config = ProviderConfig.objects.get(name="sdxl")
    from mediagen.admin.providers.provider import ProviderConfigAdmin

    save = ProviderConfigAdmin.save_model

    def move_first(self, request, obj, form, change):
        ProviderConfig.objects.filter(pk=obj.pk).update(position=50)
        save(self, request, obj, form, change)

    monkeypatch.setattr(ProviderConfigAdmin, "save_model", move_first)

    admin_client.post(page("providerconfig", "change", config.pk), form_data(config, model="ultra"))

    config.refresh_from_db()
    assert (config.model, config.position) == ("ultra", 50)


def test_who_may_only_look_gets_no_form(signed_in):
    config = ProviderConfig.objects.get(name="sdxl")
    looker = signed_in("view_providerconfig")

    text = looker.get(page("providerconfig", "change", config.pk)).content.decode()

    assert "not set" in text
    assert "new_credential" not in text
    assert looker.post(page("providerconfig", "change", config.pk), form_data(config)).status_code == 403


# ---------------------------------------------------------------------- a field for each option


def test_the_form_has_a_field_for_each_option_of_the_adapter(admin_client):
    config = ProviderConfig.objects.get(name="sdxl")

    form = admin_client.get(page("providerconfig", "change", config.pk)).context["adminform"].form

    assert form.fields["option_steps"].min_value is not None
    assert ("anime", "anime") in form.fields["option_style_preset"].choices
    assert "How closely" in form.fields["option_cfg_scale"].help_text
    assert "Only " in form.fields["option_sampler"].help_text
    assert "option_safety_tolerance" not in form.fields


@pytest.mark.parametrize(
    ("name", "sent", "expected"),
    [
        ("sdxl", {"option_style_preset": "anime", "option_cfg_scale": "7"}, {"style_preset": "anime", "cfg_scale": 7}),
        ("flux", {"option_raw": "true", "option_steps": "20"}, {"raw": True, "steps": 20}),
        ("flux", {"option_raw": "false"}, {"raw": False}),
        ("flux", {"option_raw": "", "option_steps": ""}, {}),
    ],
)
def test_what_is_written_in_a_field_becomes_an_option(admin_client, name, sent, expected):
    config = ProviderConfig.objects.get(name=name)

    changes = {"model": "sd3.5-large"} if name == "sdxl" else {}
    response = admin_client.post(page("providerconfig", "change", config.pk), form_data(config, **changes, **sent))

    assert response.status_code == 302, errors(response)
    config.refresh_from_db()
    assert config.options == expected


def test_a_field_that_is_emptied_takes_the_option_away_and_leaves_the_others(admin_client):
    config = ProviderConfig.objects.get(name="flux")
    ProviderConfig.objects.filter(pk=config.pk).update(options={"steps": 20, "output_format": "webp"})
    sent = {"options": '{"steps": 20, "output_format": "webp"}', "option_steps": "", "option_output_format": "webp"}

    response = admin_client.post(page("providerconfig", "change", config.pk), form_data(config, **sent))

    assert response.status_code == 302, errors(response)
    config.refresh_from_db()
    assert config.options == {"output_format": "webp"}


def test_a_browser_that_sends_no_json_keeps_what_has_no_field(admin_client):
    config = ProviderConfig.objects.get(name="flux")
    ProviderConfig.objects.filter(pk=config.pk).update(options={"output_format": "webp"})
    data = form_data(config, option_steps="20", option_output_format="webp")
    del data["options"]

    response = admin_client.post(page("providerconfig", "change", config.pk), data)

    assert response.status_code == 302, errors(response)
    config.refresh_from_db()
    assert config.options == {"output_format": "webp", "steps": 20}


@pytest.mark.parametrize(
    ("name", "sent", "field", "words"),
    [
        ("flux", {"option_steps": "51"}, "option_steps", "less than or equal to 50"),
        ("flux", {"option_steps": "many"}, "option_steps", "whole number"),
        ("flux", {"option_output_format": "gif"}, "option_output_format", "valid choice"),
        ("sdxl", {"option_cfg_scale": "30", "model": "sd3.5-large"}, "option_cfg_scale", "1 to 10 for sd3.5-large"),
        ("openai_images", {"option_organization": "org with blanks"}, "option_organization", "must match"),
    ],
)
def test_a_wrong_option_is_said_at_its_own_field(admin_client, name, sent, field, words):
    config = ProviderConfig.objects.get(name=name)

    response = admin_client.post(page("providerconfig", "change", config.pk), form_data(config, **sent))

    assert list(errors(response)) == [field]
    assert words in errors(response)[field]


def test_a_new_entry_has_the_fields_of_the_adapter_in_its_address(admin_client):
    plain = admin_client.get(page("providerconfig", "add")).context["adminform"].form
    chosen = admin_client.get(page("providerconfig", "add"), {"adapter": "flux"}).context["adminform"].form

    assert plain.option_names == []
    assert "steps" in chosen.option_names


def test_the_model_is_a_list_of_the_vendors_names_and_another_beside_it(admin_client):
    config = ProviderConfig.objects.get(name="gemini")
    address = page("providerconfig", "change", config.pk)

    text = admin_client.get(address).content.decode()
    assert '<option value="" selected>the default: gemini-nano-banana-2.1</option>' in text
    assert "gemini-2.5-flash-image (ends on " in text

    for sent, stored in (
        ({"model": "gemini-3-pro-image", "model_other": "left over"}, "gemini-3-pro-image"),
        ({"model": "__other__", "model_other": "gemini-of-tomorrow"}, "gemini-of-tomorrow"),
        ({"model": "", "model_other": "left over"}, ""),
    ):
        response = admin_client.post(address, form_data(config, **sent))
        assert response.status_code == 302, errors(response)
        config.refresh_from_db()
        assert config.model == stored

    ProviderConfig.objects.filter(pk=config.pk).update(model="gemini-of-tomorrow")
    text = admin_client.get(address).content.decode()
    assert '<option value="__other__" selected>' in text
    assert 'value="gemini-of-tomorrow"' in text
    closed = ProviderConfig.objects.get(name="sdxl")
    assert "__other__" not in admin_client.get(page("providerconfig", "change", closed.pk)).content.decode()
    own = ProviderConfig.objects.get(name="comfyui")
    assert 'name="model_other"' not in admin_client.get(page("providerconfig", "change", own.pk)).content.decode()
