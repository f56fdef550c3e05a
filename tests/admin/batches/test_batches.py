"""Batches in the admin: how far they are, and their buttons."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.admin.conftest import act, page, said
from tests.factories import GenerationBatchFactory, MediaAssetFactory

pytestmark = pytest.mark.django_db

OPERATOR = ("view_generationbatch", "change_generationbatch", "view_mediaasset", "add_mediaasset")


def lines(batch, **traits_by_number):
    for number, traits in enumerate(traits_by_number.pop("rows")):
        MediaAssetFactory(batch=batch, row_key=f"row {number}", **traits)
    batch.total = batch.assets.count()
    batch.save()
    return batch


@pytest.fixture
def batch(admin_user):
    rows = [{"ready": True}, {"failed": True}, {"generation_state": "cancelled"}, {}]
    return lines(GenerationBatchFactory(name="autumn", created_by=admin_user), rows=rows)


def test_the_list_shows_how_far_each_is_in_one_query(admin_client, batch, admin_user):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            text = admin_client.get(page("generationbatch")).content.decode()
        return len(captured), text

    few, text = queries()
    for _ in range(8):
        lines(GenerationBatchFactory(created_by=admin_user), rows=[{}, {}])
    many, _ = queries()

    assert '<progress value="3" max="4" aria-label="Progress of autumn">' in text
    assert "3 of 4, 1 failed" in text
    assert few == many <= 12


def test_the_page_leads_to_the_lines(admin_client, batch):
    text = admin_client.get(page("generationbatch", "change", batch.pk)).content.decode()

    (address,) = re.findall(r'href="([^"]+generation_state__exact=failed)"', text)
    found = admin_client.get(address.replace("&amp;", "&")).context["cl"].result_list
    assert [asset.generation_state for asset in found] == ["failed"]


def offered(client, batch):
    text = client.get(page("generationbatch", "change", batch.pk)).content.decode()
    return re.findall(r'name="action" value="(\w+)"', text)


def test_the_buttons_do_what_can_be_done_now_and_come_back(admin_client, batch):
    own = page("generationbatch", "change", batch.pk)
    assert offered(admin_client, batch) == ["pause", "retry", "cancel"]

    response = act(admin_client, "generationbatch", "pause", batch.pk, index="0", _own_page="1")

    assert response.url == own
    batch.refresh_from_db()
    assert batch.state == "paused"
    assert offered(admin_client, batch) == ["resume", "retry", "cancel"]
    act(admin_client, "generationbatch", "resume", batch.pk)
    act(admin_client, "generationbatch", "retry", batch.pk)
    assert batch.assets.filter(generation_state="pending").count() == 3
    response = act(admin_client, "generationbatch", "cancel", batch.pk)
    assert said(response)[-1] == "autumn: cancelled; 3 lines were not begun."
    batch.refresh_from_db()
    assert batch.state == "cancelled"
    assert offered(admin_client, batch) == ["retry"]
    assert LogEntry.objects.filter(object_id=str(batch.pk)).count() == 4


@pytest.mark.parametrize(("action", "state"), [("pause", "finished"), ("resume", "running"), ("cancel", "finished")])
def test_what_cannot_be_done_now_is_said(admin_client, admin_user, action, state):
    batch = GenerationBatchFactory(name="done", state=state, created_by=admin_user)

    response = act(admin_client, "generationbatch", action, batch.pk)

    (message,) = said(response)
    assert message == f"done: it is {state}, so there is nothing to {action}."
    assert not LogEntry.objects.exists()


def test_each_sees_only_their_own(signed_in, batch):
    other = signed_in(*OPERATOR)
    own = GenerationBatchFactory(created_by=other.user)

    assert list(other.get(page("generationbatch")).context["cl"].result_list) == [own]
    assert other.get(page("generationbatch", "change", batch.pk)).status_code == 302
    act(other, "generationbatch", "cancel", batch.pk)
    batch.refresh_from_db()
    assert batch.state == "running"
    everyone = signed_in(*OPERATOR, "view_all_libraries")
    assert len(everyone.get(page("generationbatch")).context["cl"].result_list) == 2


@pytest.mark.parametrize("missing", ["change_generationbatch", "add_mediaasset"])
def test_who_may_not_buy_pictures_lets_no_batch_go_on(signed_in, missing):
    client = signed_in(*(set(OPERATOR) - {missing}))
    batch = GenerationBatchFactory(created_by=client.user)

    assert offered(client, batch) == []
    act(client, "generationbatch", "pause", batch.pk)
    batch.refresh_from_db()
    assert batch.state == "running"
