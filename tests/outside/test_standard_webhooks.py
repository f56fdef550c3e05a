"""What we send, verified by the library that receivers use."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from mediagen.engine import get_media_engine
from mediagen.engine.events import delivery, endpoints
from tests.receiver import receiving

webhooks = pytest.importorskip("standardwebhooks")

pytestmark = [pytest.mark.outside, pytest.mark.django_db]


def test_a_receiver_verifies_and_reads_it(settings):
    with receiving() as receiver:
        settings.MEDIAGEN = {"TRUSTED_HOSTS": [receiver.host], "RUN_IN_SERVER": False}
        made = endpoints.create("shop", receiver.url, events=["asset.ready"])
        asset = get_media_engine().generate_asset_sync("a lighthouse – Ä", 64, 48)
        async_to_sync(delivery.deliver_due)()

    [got] = receiver.got
    payload = webhooks.Webhook(made.secret.reveal()).verify(got.body, got.headers)
    assert payload["type"] == "asset.ready"
    assert payload["data"]["asset"]["id"] == asset.asset_id
    assert payload["data"]["asset"]["prompt"] == "a lighthouse – Ä"
    with pytest.raises(webhooks.WebhookVerificationError):
        webhooks.Webhook(made.secret.reveal()).verify(got.body.replace(b"lighthouse", b"whitehouse"), got.headers)
    with pytest.raises(webhooks.WebhookVerificationError):
        webhooks.Webhook(delivery.new_secret().reveal()).verify(got.body, got.headers)
