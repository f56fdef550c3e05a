"""The life of an export: one holder at a time, one end, and nothing placed twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mediagen.engine.exports import rows
from mediagen.engine.library.access import Access
from mediagen.errors import InvalidRequest
from mediagen.models import AssetExport, ExportState
from mediagen.models.clock import db_now
from mediagen.signals import export_placed
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting():
    export = rows.begin(MediaAssetFactory(ready=True), "figma", file_key="abc")
    rows.wait_for_plugin(export)
    return export


def over(export) -> None:
    """Its lease is."""
    AssetExport.objects.filter(pk=export.pk).update(lease_until=db_now() - timedelta(seconds=1))


def state(export) -> str:
    return AssetExport.objects.get(pk=export.pk).state


class TestClaim:
    def test_one_holder_at_a_time(self, waiting):
        first = rows.claim(waiting.pk, worker="ada")
        assert (first.state, first.lease_worker, first.lease_token) == (ExportState.RUNNING, "ada", 1)
        with pytest.raises(rows.ExportConflict, match="Somebody else is placing it"):
            rows.claim(waiting.pk, worker="bob")

    def test_the_holder_may_ask_again(self, waiting):
        """The answer to the first claim may have been lost on the way."""
        assert rows.claim(waiting.pk, worker="ada").lease_token == rows.claim(waiting.pk, worker="ada").lease_token

    def test_a_lease_that_is_over_is_free(self, waiting):
        rows.claim(waiting.pk, worker="ada")
        over(waiting)
        assert rows.claim(waiting.pk, worker="bob").lease_token == 2

    def test_what_is_given_back_is_free(self, waiting):
        token = rows.claim(waiting.pk, worker="ada").lease_token
        assert rows.give_back(waiting.pk, token=token).state == ExportState.WAITING
        assert rows.claim(waiting.pk, worker="bob").lease_token == 2
        assert rows.give_back(waiting.pk, token=token).state == ExportState.RUNNING

    @pytest.mark.parametrize(
        ("state", "says"),
        [
            ("pending", "still being prepared"), ("failed", "It is failed. It broke."), ("expired", "expired"),
            ("cancelled", "cancelled"), ("placed", "placed already"),
        ],
    )  # fmt: skip
    def test_what_is_not_waiting(self, waiting, state, says):
        AssetExport.objects.update(state=state, message="It broke.")
        with pytest.raises(rows.ExportConflict, match=says):
            rows.claim(waiting.pk, worker="ada")

    def test_an_export_that_does_not_exist(self):
        with pytest.raises(InvalidRequest, match="no export"):
            rows.claim("00000000-0000-4000-8000-000000000000", worker="ada")


class TestPlaced:
    def test_is_kept_tagged_and_told_once(self, waiting, django_capture_on_commit_callbacks):
        told = []
        receiver = lambda sender, export, **kwargs: told.append(export.external_id)  # noqa: E731
        export_placed.connect(receiver)
        token = rows.claim(waiting.pk, worker="ada").lease_token
        with django_capture_on_commit_callbacks(execute=True):
            export, first = rows.placed(waiting.pk, token=token, external_id="1:2", url="https://f/1-2", page_id="0:1")
            again, second = rows.placed(waiting.pk, token=token, external_id="1:2")
        assert (first, second, again.pk) == (True, False, export.pk)
        row = AssetExport.objects.get()
        assert (row.state, row.external_id, row.url, row.page_id) == ("placed", "1:2", "https://f/1-2", "0:1")
        assert row.placed_at is not None
        assert row.asset.tag_names == ["figma_exported"]
        assert told == ["1:2"]

    def test_a_late_report_counts_and_the_second_place_is_refused(self, waiting):
        """Ada's plugin was cut off after placing; Bob took over and placed a second one."""
        ada = rows.claim(waiting.pk, worker="ada").lease_token
        over(waiting)
        bob = rows.claim(waiting.pk, worker="bob").lease_token
        rows.placed(waiting.pk, token=ada, external_id="1:2")
        with pytest.raises(rows.ExportConflict, match="at 1:2") as raised:
            rows.placed(waiting.pk, token=bob, external_id="3:4")
        assert raised.value.export.external_id == "1:2"

    @pytest.mark.parametrize("end", ["failed", "expired", "cancelled"])
    def test_what_stands_in_the_file_is_a_fact(self, waiting, end):
        token = rows.claim(waiting.pk, worker="ada").lease_token
        AssetExport.objects.update(state=end)
        assert rows.placed(waiting.pk, token=token, external_id="1:2")[0].state == "placed"

    @pytest.mark.parametrize("token", [0, -1, 2])
    def test_a_token_that_was_never_given_out(self, waiting, token):
        rows.claim(waiting.pk, worker="ada")
        with pytest.raises(rows.ExportConflict, match="never given out"):
            rows.placed(waiting.pk, token=token, external_id="1:2")
        assert state(waiting) == "running"


class TestNotPlaced:
    def test_says_why(self, waiting):
        token = rows.claim(waiting.pk, worker="ada").lease_token
        for _ in range(2):  # the first answer may be lost
            assert rows.not_placed(waiting.pk, token=token, message="No such page.").message == "No such page."
        assert state(waiting) == "failed"

    def test_not_from_one_whose_lease_another_has(self, waiting):
        ada = rows.claim(waiting.pk, worker="ada").lease_token
        over(waiting)
        rows.claim(waiting.pk, worker="bob")
        with pytest.raises(rows.ExportConflict, match="Somebody else"):
            rows.not_placed(waiting.pk, token=ada, message="It broke.")
        assert state(waiting) == "running"


class TestTheEnd:
    def test_what_waited_too_long_expires(self, waiting):
        assert rows.expire() == 0
        AssetExport.objects.update(expires_at=db_now() - timedelta(seconds=1))
        with pytest.raises(rows.ExportConflict, match="waited too long"):
            rows.claim(waiting.pk, worker="ada")
        assert rows.expire() == 1
        assert (state(waiting), AssetExport.objects.get().message) == (
            "expired", "Nobody placed it in 30 days. Export the asset again.",
        )  # fmt: skip

    def test_what_is_being_placed_does_not(self, waiting):
        rows.claim(waiting.pk, worker="ada")
        AssetExport.objects.update(expires_at=db_now() - timedelta(seconds=1))
        assert rows.expire() == 0

    def test_cancel(self, waiting):
        other = rows.begin(waiting.asset, "figma", file_key="abc")
        rows.wait_for_plugin(other)
        rows.claim(other.pk, worker="ada")
        assert rows.cancel([waiting.pk, other.pk]) == 1
        assert (state(waiting), state(other)) == ("cancelled", "running")

    def test_wait_again(self, waiting):
        token = rows.claim(waiting.pk, worker="ada").lease_token
        rows.not_placed(waiting.pk, token=token, message="No such page.")
        assert (rows.wait_again(waiting.pk).state, rows.claim(waiting.pk, worker="bob").lease_token) == ("waiting", 2)
        with pytest.raises(InvalidRequest, match="cannot wait again"):
            rows.wait_again(waiting.pk)

    def test_what_figma_refused_does_not_wait_again(self):
        export = rows.begin(MediaAssetFactory(ready=True), "figma", file_key="abc")
        rows.fail(export, "No such file.")
        with pytest.raises(InvalidRequest, match="Export the asset once more"):
            rows.wait_again(export.pk)


def test_one_sees_the_exports_of_what_one_may_read():
    mine, hers = (UserFactory(may=["view_mediaasset"]) for _ in range(2))
    library = MediaLibraryFactory(owner=mine)
    export = rows.begin(MediaAssetFactory(ready=True, library=library), "figma", file_key="abc")
    assert list(rows.visible(Access(mine))) == [export]
    assert list(rows.visible(Access(hers))) == []
    assert list(rows.visible(Access(UserFactory()))) == []
