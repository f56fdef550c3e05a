"""What needs somebody is seen in the rows, told once, and told to be over."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.core.mail import EmailMessage

from mediagen import signals
from mediagen.engine.batches import lifecycle
from mediagen.engine.files import refusals
from mediagen.engine.insight import alerts, conditions
from mediagen.engine.work import presence
from mediagen.models import Alert, MediaAsset, ProviderConfig, ProviderHealth, WorkerPresence
from mediagen.models.clock import db_now
from mediagen.models.outgoing import WebhookMessage
from tests.factories import (
    GenerationAttemptFactory,
    GenerationBatchFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    WebhookEndpointFactory,
)

pytestmark = pytest.mark.django_db


def refuse(name="sdxl", reason="sdxl refused the key (401)."):
    """A breaker that is open until the configuration changes."""
    from mediagen.factory import build_adapter

    adapter = build_adapter(ProviderConfig.objects.get(name=name))
    return ProviderHealth.objects.create(
        provider_name=name,
        model_name=adapter.model,
        operation="generate_image",
        state="open",
        reason=reason,
        config_digest=adapter.config_digest,
    )


def pause_batch():
    return GenerationBatchFactory(name="Spring", state="paused", state_reason="library 'Press' has $0 left.")


def use_up_budget():
    library = MediaLibraryFactory(name="Press", budget_limit=Decimal(5), budget_warning=Decimal(4))
    asset = MediaAssetFactory(library=library, ready=True)
    GenerationAttemptFactory(asset=asset, library=library, cost=Decimal(5))


def reach_warning():
    library = MediaLibraryFactory(name="Press", budget_limit=Decimal(5), budget_warning=Decimal(4))
    GenerationAttemptFactory(asset=MediaAssetFactory(library=library), library=library, cost=Decimal(4))


def lose_an_answer():
    GenerationAttemptFactory(state="unknown", outcome="unknown", cost=None, cost_held=Decimal("0.03"))


def lose_a_worker():
    silent = db_now() - presence.missing_after() - timedelta(seconds=1)
    WorkerPresence.objects.create(name="far:x:7:1", host="far", started_at=silent, seen_at=silent)


def leave_work():
    asset = MediaAssetFactory()
    MediaAsset.objects.filter(pk=asset.pk).update(created_at=db_now() - timedelta(hours=1))


def be_billed_more():
    GenerationAttemptFactory(provider_name="flux", listed_price=Decimal("0.03"), cost=Decimal("0.05"))


def put_off_endpoint():
    WebhookEndpointFactory(name="shop", enabled=False, disabled_reason="It answered 410 Gone.")


def go_live_with_flux():
    row = ProviderConfig.objects.get(name="flux")
    row.dry_run, row.credentials = False, "made-up-key-1234"
    row.save()


@pytest.mark.parametrize(
    ("happen", "code", "says"),
    [
        (refuse, "provider_refused", "'sdxl' is not asked any more until somebody acts: sdxl refused the key"),
        (pause_batch, "batch_paused", "The batch 'Spring' has paused itself: library 'Press' has $0 left."),
        (use_up_budget, "budget_used_up", "library 'Press' is used up: $5 of $5 a month"),
        (reach_warning, "budget_warning", "library 'Press' has reached its warning of $4"),
        (lose_an_answer, "unknown_outcomes", "1 attempt has an outcome that nobody saw, and may have cost $0.03"),
        (lose_a_worker, "worker_gone", "The worker on far (far:x:7:1)"),
        (leave_work, "work_waits", "1 picture waits"),
        (be_billed_more, "price_too_low", "'flux' charged $0.05 for a picture that its price table has at $0.03"),
        (put_off_endpoint, "webhook_off", "'shop' was put off: It answered 410 Gone."),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_each_condition_is_seen_and_says_what_to_do(happen, code, says):
    assert conditions.present() == ([], set())

    happen()
    [finding] = conditions.present()[0]

    assert finding.code == code
    assert says in finding.what
    assert finding.next_step


def test_the_end_of_a_model_is_told_thirty_days_before(monkeypatch):
    from mediagen.providers.flux import FluxAdapter

    go_live_with_flux()
    model = FluxAdapter().model
    for days, seen in [(31, []), (30, ["model_ends"])]:
        ends = {model: f"{db_now() + timedelta(days=days):%Y-%m-%d}"}
        monkeypatch.setattr(FluxAdapter, "announced_ends", ends)
        assert [finding.code for finding in conditions.present()[0]] == seen


@pytest.mark.parametrize("reason", [lifecycle.BY_HAND, lifecycle.NOT_STARTED, "interrupted (SIGINT)."])
def test_what_a_person_has_paused_is_no_alert(reason):
    GenerationBatchFactory(state="paused", state_reason=reason)

    assert conditions.present()[0] == []


@pytest.fixture
def heard():
    told = []

    def raised(alert, **_):
        told.append(("raised", alert.code))

    def over(alert, **_):
        told.append(("over", alert.code))

    signals.alert_raised.connect(raised)
    signals.alert_over.connect(over)
    yield told
    signals.alert_raised.disconnect(raised)
    signals.alert_over.disconnect(over)


def look(capture):
    with capture(execute=True):
        return alerts.look()


def test_an_alert_is_told_once_and_its_end_once(heard, django_capture_on_commit_callbacks, settings):
    settings.MEDIAGEN = {"ALERT_MAIL_TO": ["ops@site.example"]}
    endpoint = WebhookEndpointFactory()
    circuit = refuse()
    summary = look(django_capture_on_commit_callbacks)
    assert summary.send() == ""
    assert look(django_capture_on_commit_callbacks) is None  # the second worker, or the next look
    circuit.delete()
    assert look(django_capture_on_commit_callbacks) is None
    look(django_capture_on_commit_callbacks)

    assert heard == [("raised", "provider_refused"), ("over", "provider_refused")]
    messages = WebhookMessage.objects.filter(endpoint=endpoint).order_by("pk")
    assert [message.event for message in messages] == ["alert.raised", "alert.over"]
    assert messages[0].payload["data"]["alert"]["about"] == "provider:sdxl"
    assert messages[1].payload["data"]["alert"]["over_at"]
    [sent] = mail.outbox
    assert sent.to == ["ops@site.example"]
    assert "sdxl refused the key (401)" in sent.body
    assert "manage.py check_providers sdxl --live --close" in sent.body


def test_what_comes_within_the_quiet_time_goes_into_the_next_mail_together(
    heard, django_capture_on_commit_callbacks, settings
):
    settings.ADMINS = [("Ops", "ops@site.example")]
    circuit = refuse()
    look(django_capture_on_commit_callbacks).send()
    lose_an_answer()
    be_billed_more()
    assert look(django_capture_on_commit_callbacks) is None
    # It flaps: nobody is told anew within the hour.
    ProviderHealth.objects.all().delete()
    look(django_capture_on_commit_callbacks)
    circuit.save(force_insert=True)
    look(django_capture_on_commit_callbacks)
    assert heard.count(("raised", "provider_refused")) == 1

    earlier = db_now() - timedelta(hours=2)
    Alert.objects.filter(mailed_at__isnull=False).update(mailed_at=earlier, told_at=earlier)
    summary = look(django_capture_on_commit_callbacks)

    assert heard.count(("raised", "provider_refused")) == 2
    assert sorted(alert.code for alert in summary.new) == ["price_too_low", "provider_refused", "unknown_outcomes"]


def test_a_mail_that_cannot_be_sent_is_sent_by_the_next_look(
    django_capture_on_commit_callbacks, settings, caplog, monkeypatch
):
    def fails(self):
        raise ConnectionRefusedError("of postmaster:secret@mail.example")

    settings.MEDIAGEN = {"ALERT_MAIL_TO": ["ops@site.example"]}
    monkeypatch.setattr(EmailMessage, "send", fails)
    refuse()
    with django_capture_on_commit_callbacks(execute=True):
        alerts.look_and_tell_sync()

    assert "could not be sent (ConnectionRefusedError)" in caplog.text
    assert "secret" not in caplog.text
    monkeypatch.undo()
    assert look(django_capture_on_commit_callbacks).send() == ""


def test_what_cannot_be_looked_at_is_not_taken_for_over(monkeypatch, django_capture_on_commit_callbacks):
    refuse()
    look(django_capture_on_commit_callbacks)

    def broken():
        raise OSError("no")

    codes = conditions.CONDITIONS[0][1]
    monkeypatch.setattr(conditions, "CONDITIONS", ((broken, codes), *conditions.CONDITIONS[1:]))
    look(django_capture_on_commit_callbacks)

    assert Alert.objects.open().count() == 1


def test_another_processs_storage_alert_is_over_when_a_file_is_taken(django_capture_on_commit_callbacks, monkeypatch):
    refusals.refused(OSError(28, "No space left on device"), 10)
    look(django_capture_on_commit_callbacks)
    refusals.taken()  # as another process, which has seen no refusal
    monkeypatch.setattr(alerts.probe, "why_not", lambda: "It does not write: OSError: No space left on device.")
    look(django_capture_on_commit_callbacks)
    assert [alert.code for alert in Alert.objects.open()] == ["storage_refuses"]

    monkeypatch.setattr(alerts.probe, "why_not", lambda: "")
    look(django_capture_on_commit_callbacks)
    assert not Alert.objects.open().exists()


def test_a_worker_that_leaves_in_order_is_not_missed_and_one_that_starts_takes_the_place_of_the_gone():
    presence.say("here:x:7:1")
    presence.leave("here:x:7:1")
    assert presence.workers() == ([], [])

    lose_a_worker()
    WorkerPresence.objects.update(host=presence.socket.gethostname()[:64])
    presence.say("here:x:8:1")
    [here], gone = presence.workers()
    assert (here.name, gone) == ("here:x:8:1", [])


def test_a_mail_server_that_says_nothing_holds_nobody_for_ever(
    settings, django_capture_on_commit_callbacks, monkeypatch
):
    settings.MEDIAGEN = {"ALERT_MAIL_TO": ["ops@site.example"]}
    answers = threading.Event()
    monkeypatch.setattr(EmailMessage, "send", lambda self: answers.wait(10))
    monkeypatch.setattr(alerts, "MAIL_TIMEOUT_S", 0.05)
    refuse()
    assert look(django_capture_on_commit_callbacks).send() == "TimeoutError"
    answers.set()
