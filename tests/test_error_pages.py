"""Pages for developers, with DEBUG on: all about an exception, but no key that was typed and no token that was sent."""

import pytest
from django.core.signals import got_request_exception
from django.db import connection
from django.db.models.signals import pre_save
from django.test import Client

from mediagen.models import ProviderConfig
from tests.admin.conftest import page
from tests.admin.providers.test_provider_form import form_data
from tests.api.callers import Caller

pytestmark = pytest.mark.django_db

TYPED = "typed-<secret>&-7f3a-value-4321"


class Broken(Exception):
    """Something that nobody foresaw."""


@pytest.fixture(autouse=True, params=["the site's reporter", "Django's own"])
def debug(settings, request):
    """Our views report so in every site, whatever its settings say."""
    settings.DEBUG = True
    if request.param == "Django's own":
        settings.DEFAULT_EXCEPTION_REPORTER = "django.views.debug.ExceptionReporter"
        settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "django.views.debug.SafeExceptionReporterFilter"


@pytest.fixture
def breaks():
    """Whatever is saved of the model breaks, by somebody else's code; it quotes what it was given."""
    connected = []

    def connect(model, quote):
        def receiver(sender, instance, **kwargs):
            raise Broken(f"cannot save {quote(instance)}")

        pre_save.connect(receiver, sender=model, weak=False)
        connected.append((receiver, model))

    yield connect
    for receiver, model in connected:
        pre_save.disconnect(receiver, sender=model)


def seen(client: Client, post, accept: str) -> str:
    client.raise_request_exception = False
    client.defaults["HTTP_ACCEPT"] = accept
    response = post()
    assert response.status_code == 500
    text = response.content.decode()
    assert "Broken" in text
    return text


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_a_typed_key(admin_client, breaks, accept):
    config = ProviderConfig.objects.get(name="sdxl")
    breaks(ProviderConfig, lambda row: row.credentials.reveal().reveal())
    address = page("providerconfig", "change", config.pk)

    text = seen(admin_client, lambda: admin_client.post(address, form_data(config, new_credential=TYPED)), accept)

    assert "cannot save [secret]" in text
    for piece in ("7f3a-value", "typed-&lt;secret", "typed-<secret"):
        assert piece not in text


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_a_tokens_text(accept):
    bearer = Caller().defaults["HTTP_AUTHORIZATION"]
    client = Client(headers={"Authorization": bearer})

    def broken(execute, sql, params, many, context):
        if "apitoken" in sql:
            raise Broken(f"{bearer} does not work")  # REST framework shows no variables, but what an error says
        return execute(sql, params, many, context)

    with connection.execute_wrapper(broken):
        text = seen(client, lambda: client.get("/api/v1/assets/"), accept)

    assert bearer.removeprefix("Bearer ") not in text


def test_what_breaks_is_still_shown(admin_client, breaks):
    """The page is for developers: names, lines and other values stay."""
    config = ProviderConfig.objects.get(name="sdxl")
    breaks(ProviderConfig, lambda row: "the row")
    told = []
    got_request_exception.connect(lambda **kwargs: told.append(kwargs), weak=False, dispatch_uid="test")
    try:
        address = page("providerconfig", "change", config.pk)
        data = form_data(config, model="sd3.5-large")
        text = seen(admin_client, lambda: admin_client.post(address, data), "text/html")
    finally:
        got_request_exception.disconnect(dispatch_uid="test")

    assert told
    assert "cannot save the row" in text
    assert "sd3.5-large" in text
    assert "def receiver" in text
