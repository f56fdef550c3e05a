"""The first-run page: keys, prices and ends of models, and an order that is written on a yes."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings

from mediagen.models import ProviderConfig
from tests.admin.conftest import page

pytestmark = pytest.mark.django_db

SETUP = "Set up the providers"
KEY = "planted-key-5d0c"


@pytest.fixture
def operator(signed_in):
    return signed_in("view_providerconfig", "change_providerconfig")


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("BFL_API_KEY", KEY)


def names():
    return list(ProviderConfig.objects.in_chain_order().values_list("name", flat=True))


def shown_order(client, **query):
    text = client.get(page("providerconfig", "setup"), query).content.decode()
    return text, re.findall(r'name="order" value="([^"]*)"', text)[0]


def test_it_shows_what_the_command_says_and_writes_it_on_a_yes(operator, key):
    ProviderConfig.objects.filter(name="openai_images").update(model="gpt-image-1-mini")
    before = names()

    text, order = shown_order(operator)

    assert "from the environment" in text
    assert "not set" in text
    assert re.search(r"the vendor calls it deprecated|ends on|ended on", text)
    assert KEY not in text
    assert names() == before

    operator.post(page("providerconfig", "setup"), {"order": order})

    assert names()[0] == "flux"
    assert names()[-1] == "noop_media"
    assert "flux" in LogEntry.objects.values_list("object_repr", flat=True)
    assert "This is the order already." in shown_order(operator)[0]


def test_the_price_is_that_of_the_size(operator, key):
    def costs(text):
        row = next(part for part in text.split("<tr>") if ">flux<" in part)
        return re.findall(r"\$[\d.]+", row)[0]

    assert costs(shown_order(operator, width=512, height=512)[0]) != costs(
        shown_order(operator, width=2048, height=2048)[0]
    )
    assert "errorlist" in shown_order(operator, width="0", height="x")[0]


def test_another_order_than_the_one_that_was_shown_is_not_written(operator, key, monkeypatch):
    _, order = shown_order(operator)
    monkeypatch.delenv("BFL_API_KEY")
    before = names()

    text = operator.post(page("providerconfig", "setup"), {"order": order}).content.decode()

    assert "Something has changed meanwhile" in text
    assert names() == before


def test_the_way_there_is_shown_while_nothing_is_live_to_those_who_may_change_providers(signed_in, operator, key):
    looker = signed_in("view_providerconfig")
    for address in (page("providerconfig"), "/admin/mediagen/"):
        assert SETUP in operator.get(address).content.decode()
        assert SETUP not in looker.get(address).content.decode()
    with override_settings(MEDIAGEN={"DRY_RUN": False}):
        for address in (page("providerconfig"), "/admin/mediagen/"):
            assert SETUP not in operator.get(address).content.decode()
