"""Manifests sent to the admin: checked with their lines, priced, and started by a second yes; and a batch's pace."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mediagen.engine.batches.pace import pace_of
from mediagen.models import GenerationBatch, MediaAsset, ProviderConfig
from tests.admin.conftest import act, page, said
from tests.factories import GenerationBatchFactory, MediaAssetFactory

pytestmark = pytest.mark.django_db

OPERATOR = ("view_generationbatch", "change_generationbatch", "view_mediaasset", "add_mediaasset")
GOOD = "key,prompt\nfox,A red fox\nowl,An owl at night\n"
BAD = "key,prompt,width\nfox,A red fox,640\nowl,An owl,-5\nfox,Another fox,640\n"


@pytest.fixture
def operator(signed_in):
    return signed_in(*OPERATOR)


@pytest.fixture
def live(monkeypatch):
    """One provider that is live, with a key; so there is a price. Nobody works here."""
    monkeypatch.setenv("BFL_API_KEY", "made-up")
    ProviderConfig.objects.exclude(name="flux").update(enabled=False)
    ProviderConfig.objects.filter(name="flux").update(dry_run=False)


def send(client, text, name="animals.csv", **fields):
    file = SimpleUploadedFile(name, text.encode(), "text/csv")
    return client.post(page("generationbatch", "upload"), {"manifest": file, **fields})


def test_a_good_one_waits_with_its_price_until_it_is_started(operator, live):
    response = send(operator, GOOD, max_cost="2")

    batch = GenerationBatch.objects.get()
    assert response.url == page("generationbatch", "change", batch.pk)
    assert (batch.state, batch.total, batch.options["max_cost"]) == ("paused", 2, "2")
    assert set(batch.assets.values_list("generation_state", flat=True)) == {"pending"}
    text = operator.get(response.url).content.decode()
    assert "2 pictures, $0.12" in text
    assert "Nothing is bought until it is started." in text
    assert ">Start</button>" in text

    act(operator, "generationbatch", "resume", batch.pk)

    batch.refresh_from_db()
    assert batch.state == "running"


def test_a_worker_never_finds_it_running_before_it_is_started(operator, live):
    with CaptureQueriesContext(connection) as asked:
        send(operator, GOOD)

    updates = [query["sql"] for query in asked if query["sql"].startswith('UPDATE "mediagen_generationbatch"')]
    assert any("paused" in sql for sql in updates)
    assert not any("'running'" in sql for sql in updates)


def test_wrong_rows_are_named_with_their_lines_and_nothing_is_made(operator, live):
    response = send(operator, BAD)

    text = response.content.decode()
    assert response.status_code == 200
    assert [problem.line for problem in response.context["problems"]] == [3, 4]
    assert "must be a whole number of pixels" in text
    assert "1 of 3 rows are right. They would be: 1 picture, $" in text
    assert not GenerationBatch.objects.exists()
    assert not MediaAsset.objects.exists()

    response = send(operator, BAD, skip_invalid="on")

    assert any("2 wrong rows are left out: line 3" in text for text in said(response))
    assert GenerationBatch.objects.get().total == 1


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("", "a.csv", "The submitted file is empty."),
        ("key,prompt\n", "a.csv", "1 problem: nothing was made"),
        ("key,prompt\n\x00\x01", "a.csv", "NUL"),
        ('{"p', "a.jsonl", "1 problem: nothing was made"),
    ],
)
def test_what_is_no_manifest_is_said(operator, text, name, words):
    response = send(operator, text, name)

    assert response.status_code == 200
    assert words in response.content.decode()
    assert not GenerationBatch.objects.exists()


def test_the_same_file_is_the_same_batch(operator, live):
    send(operator, GOOD)
    response = send(operator, GOOD)

    assert GenerationBatch.objects.count() == 1
    assert any("is a batch already" in text for text in said(response))


def test_only_those_who_may_run_batches_send_them(signed_in, client):
    assert client.get(page("generationbatch", "upload")).status_code == 302
    for missing in OPERATOR[1:]:
        if missing == "view_mediaasset":
            continue
        person = signed_in(*(name for name in OPERATOR if name != missing))
        assert person.get(page("generationbatch", "upload")).status_code == 403
        assert send(person, GOOD).status_code == 403
        assert "Upload a manifest" not in person.get(page("generationbatch")).content.decode()


def test_the_page_says_how_quickly_it_gets_on_and_follows(operator):
    now = timezone.now()
    batch = GenerationBatchFactory(created_by=operator.user, total=7)
    for minutes in (4, 3, 2, 30):
        MediaAssetFactory(ready=True, batch=batch, generated_at=now - timedelta(minutes=minutes), row_key=str(minutes))
    for number in range(3):
        MediaAssetFactory(batch=batch, row_key=f"waits {number}")

    pace = pace_of(batch, 3)
    assert pace.per_minute == pytest.approx(0.5, rel=0.05)
    assert pace.left_s == pytest.approx(360, rel=0.05)
    news = operator.get(page("generationbatch", "progress", batch.pk)).json()
    assert not news["is_over"]
    assert "0.5 pictures a minute" in news["html"]
    assert "about 6 min left" in news["html"]
    assert "4 of 7" in news["html"]

    GenerationBatch.objects.filter(pk=batch.pk).update(state="paused")
    news = operator.get(page("generationbatch", "progress", batch.pk)).json()
    assert news["is_over"]
    assert "left" not in news["html"]


def test_a_foreign_batch_is_not_there(operator):
    batch = GenerationBatchFactory()
    assert operator.get(page("generationbatch", "progress", batch.pk)).status_code == 404
