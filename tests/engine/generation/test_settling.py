"""What nobody saw is settled by a person: the money moves, and nobody is stopped by it any more."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from mediagen.engine import get_media_engine
from mediagen.engine.files import refusals
from mediagen.engine.generation import recorder, recovery, settling
from mediagen.errors import Conflict, GenerationFailed, InvalidRequest
from mediagen.models import GenerationAttempt, MediaAsset, MediaLibrary, ProviderConfig, SpendAccount, asset_storage
from mediagen.models.clock import db_now
from tests.api.callers import EVERYTHING, Caller, problem
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()
CENT = Decimal("0.01")
HOUR = timedelta(hours=1)


def money() -> tuple[Decimal, Decimal]:
    account = SpendAccount.objects.get()
    return account.held, account.spent


def patient(server) -> None:
    """The service answers again, and is waited for."""
    server.clear_faults()
    ProviderConfig.objects.update(timeout_s=30)


@pytest.fixture
def lost(live):
    """A picture of sdxl's whose answer got lost; the provider stops what it may have billed."""
    (server,) = live("sdxl", after_unknown="stop")
    server.fault("submit", Fault.reset_after_body_read())
    library = MediaLibrary.objects.create(name="Small", budget_limit="9")
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("x", 512, 512, library.pk)
    return server


@pytest.fixture
def job(live):
    """A job of Replicate's that was bought and given up, at one cent in the table and more in truth."""
    (server,) = live(
        "replicate_sdxl", prices={"stability-ai/sdxl": "0.01"}, options={"price_per_second": 1}, timeout_s=0.4
    )
    for step in ("poll", "cancel"):
        server.fault(step, Fault.http(503), times=None)
    library = MediaLibrary.objects.create(name="Small", budget_limit="9")
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("x", 512, 512, library.pk)
    assert money() == (0, CENT)
    return server


class TestAWord:
    def test_frees_what_it_stopped(self, lost):
        asset, attempt = MediaAsset.objects.get(), GenerationAttempt.objects.get()
        with pytest.raises(GenerationFailed, match="settle the unknown attempt"):
            engine.regenerate_asset_sync(asset.pk)
        assert len(lost.purchases) == 1
        settling.settle(attempt.pk, cost=Decimal(0), by="anna")
        assert money() == (0, 0)
        asset.refresh_from_db()
        left = recovery.left_behind(asset, asset.lease_token)
        assert (left.may_be_paid, left.stop_for) == (frozenset(), frozenset())
        assert engine.regenerate_asset_sync(asset.pk).is_ready
        assert len(lost.purchases) == 2
        attempt.refresh_from_db()
        assert (attempt.state, attempt.outcome, attempt.cost, attempt.settled_by) == ("settled", "unknown", 0, "anna")
        assert attempt.settled_at is not None

    @pytest.mark.parametrize(("said", "booked"), [(None, "0.03"), ("0.07", "0.07"), ("$0.07", "0.07")])
    def test_is_booked(self, lost, said, booked):
        settling.settle(GenerationAttempt.objects.get().pk, cost=said, by="anna")
        assert money() == (0, Decimal(booked))
        assert not GenerationAttempt.objects.to_settle().exists()

    def test_can_be_corrected(self, lost):
        attempt = GenerationAttempt.objects.get()
        settling.settle(attempt.pk, cost=Decimal(5), by="anna")
        settling.settle(attempt.pk, cost=CENT, by="bert")
        attempt.refresh_from_db()
        assert (money(), attempt.settled_by) == ((0, CENT), "bert")

    @pytest.mark.parametrize("amount", ["-1", "NaN", "a dollar", "0.0000001", "1e9", "Infinity"])
    def test_is_an_amount(self, amount):
        attempt = GenerationAttemptFactory(unknown=True)
        with pytest.raises(InvalidRequest, match="no amount that one picture costs"):
            settling.settle(attempt.pk, cost=amount, by="anna")

    def test_is_needed_where_no_price_was_known(self):
        attempt = GenerationAttemptFactory(unknown=True, cost_held=None)
        with pytest.raises(InvalidRequest, match="Say what it cost"):
            settling.settle(attempt.pk, cost=None, by="anna")

    @pytest.mark.parametrize("trait", ["in_flight", "refused", "skipped"])
    def test_is_not_asked_for_what_is_known(self, trait):
        attempt = GenerationAttemptFactory(**{trait: True})
        with pytest.raises(Conflict):
            settling.settle(attempt.pk, cost=CENT, by="anna")

    def test_prices_a_picture_that_came_without_a_price(self):
        asset = MediaAssetFactory(ready=True, cost=None)
        attempt = GenerationAttemptFactory(asset=asset, cost=None)
        settling.settle(attempt.pk, cost=CENT, by="anna")
        attempt.refresh_from_db()
        asset.refresh_from_db()
        assert (attempt.state, attempt.cost, asset.cost) == ("succeeded", CENT, CENT)

    def test_is_not_unsaid_by_who_knows_nothing(self):
        """A worker looked for its job in vain, while a person said what it cost."""
        attempt = GenerationAttemptFactory(unknown=True)
        in_hand = GenerationAttempt.objects.get()
        settling.settle(attempt.pk, cost=CENT, by="anna")
        recorder._end([in_hand])
        attempt.refresh_from_db()
        assert (attempt.state, attempt.cost) == ("settled", CENT)


class TestALook:
    def test_keeps_the_picture_that_was_bought(self, job):
        patient(job)
        row = settling.look_again(GenerationAttempt.objects.get().pk, by="anna")
        asset = MediaAsset.objects.get()
        assert (row.state, asset.generation_state, len(job.purchases)) == ("adopted", "ready", 1)
        assert money() == (0, row.cost)
        assert row.cost > CENT

    @pytest.mark.parametrize("state", ["failed", "pending", "cancelled"])
    def test_buys_nothing_and_leaves_all_as_it_was(self, job, state):
        MediaAsset.objects.update(generation_state=state, failure="why", lease_until=None)
        row = settling.look_again(GenerationAttempt.objects.get().pk, by="anna")
        asset = MediaAsset.objects.get()
        assert (row.state, row.asset_id, money()) == ("unknown", asset.pk, (0, CENT))
        assert (asset.generation_state, asset.failure, asset.lease_worker) == (state, "why", "")
        assert (len(job.purchases), GenerationAttempt.objects.count()) == (1, 1)

    def test_leaves_one_whose_worker_is_gone_to_the_others(self, job):
        MediaAsset.objects.update(generation_state="running", lease_worker="gone", lease_until=db_now() - HOUR)
        settling.look_again(GenerationAttempt.objects.get().pk, by="anna")
        assert MediaAsset.objects.claimable().count() == 1

    def test_settles_nothing_while_the_storage_refuses_the_picture(self, job, monkeypatch, settings, tmp_path):
        def full(self, name, content):
            raise OSError(28, "No space left on device")

        settings.MEDIAGEN = {**settings.MEDIAGEN, "RESCUE_DIR": str(tmp_path / "rescued"), "STORAGE_PATIENCE_S": 0.2}
        patient(job)
        pk = GenerationAttempt.objects.get().pk
        with monkeypatch.context() as disk:
            disk.setattr(asset_storage().__class__, "_save", full)
            with pytest.raises(CommandError, match="1 of 1 were not settled"):
                call_command("mediagen_settle", str(pk), "--look", stdout=StringIO())
        refusals.taken()
        assert "is kept in" in GenerationAttempt.objects.get().message
        assert engine.regenerate_asset_sync(MediaAsset.objects.get().pk).is_ready
        assert len(job.purchases) == 1

    def test_finds_that_it_failed(self, job):
        patient(job)
        job.fault("poll", Fault.job_failed(), times=None)
        row = settling.look_again(GenerationAttempt.objects.get().pk, by="anna")
        assert (row.state, len(job.purchases)) == ("failed", 1)
        assert money() == (0, row.cost or 0)
        assert MediaAsset.objects.get().generation_state == "failed"

    def test_is_for_jobs_whose_picture_can_still_be_kept(self):
        for attempt, why in (
            (GenerationAttemptFactory(unknown=True), "named no job"),
            (GenerationAttemptFactory(unknown=True, provider_name="openai_images", provider_job_id="j"), "no job"),
            (
                GenerationAttemptFactory(
                    unknown=True, provider_name="flux", asset=None, library=None, provider_job_id="j"
                ),
                "is gone",
            ),
            (
                GenerationAttemptFactory(
                    unknown=True, provider_name="flux", provider_job_id="j", asset=MediaAssetFactory(ready=True)
                ),
                "a picture already",
            ),
            (GenerationAttemptFactory(provider_job_id="j"), "is succeeded"),
        ):
            with pytest.raises(Conflict, match=why):
                settling.look_again(attempt.pk, by="anna")


@pytest.mark.parametrize(
    ("provider", "job_id", "place"),
    [
        ("openai_images", "", "https://platform.openai.com/usage"),
        ("sdxl", "", "https://platform.stability.ai/account/credits"),
        ("flux", "abc", "https://dashboard.bfl.ai"),
        ("replicate_sdxl", "abc", "https://replicate.com/p/abc"),
        ("replicate_sdxl", "", "https://replicate.com/predictions"),
    ],
)
def test_the_list_says_where_to_look(provider, job_id, place):
    attempt = GenerationAttemptFactory(unknown=True, provider_name=provider, provider_job_id=job_id)
    [one] = settling.described(settling.waiting())
    assert one.look_at == place
    assert one.where.endswith(f" at {place}")
    assert (job_id or f"{attempt.started_at:%Y-%m-%d %H:%M:%S}") in one.where
    ProviderConfig.objects.update(base_url="http://127.0.0.1:1/v1")
    [one] = settling.described(settling.waiting())
    assert (one.look_at, "whoever runs" in one.where) == ("", True)


class TestTheCommand:
    def run(self, *args):
        out, err = StringIO(), StringIO()
        try:
            call_command("mediagen_settle", *args, stdout=out, stderr=err)
        except CommandError as exc:
            return exc.returncode, out.getvalue(), err.getvalue() + str(exc)
        return 0, out.getvalue(), err.getvalue()

    def test_lists_and_settles(self, lost):
        code, said, _ = self.run("--json")
        facts = json.loads(said)
        assert (code, facts["provider"], facts["possible_cost"], facts["can_look"]) == (0, "sdxl", "0.030000", False)
        assert "up to $0.03" in self.run()[1]
        code, said, _ = self.run(facts["attempt"], "--billed", "0.05", "--by", "anna")
        assert (code, money()) == (0, (0, Decimal("0.05")))
        assert GenerationAttempt.objects.get().settled_by == "anna"
        assert self.run(facts["attempt"], "--not-billed")[0] == 0
        assert money() == (0, 0)
        assert GenerationAttempt.objects.get().settled_by.endswith("(command line)")
        assert "known what it cost" in self.run()[1]

    def test_what_cannot_be_done_is_said(self):
        known = GenerationAttemptFactory()
        assert self.run(str(known.pk), "--billed")[0] == 1
        assert self.run("nonsense", "--billed")[0] == 1
        assert self.run(str(known.pk))[0] == 2
        assert self.run("--billed", "1")[0] == 2
        assert self.run(str(known.pk), "--billed", "much")[0] == 2
        assert GenerationAttempt.objects.get().settled_at is None

    def test_looks(self, job):
        pk = str(GenerationAttempt.objects.get().pk)
        assert self.run(pk, "--look")[0] == 1
        patient(job)
        assert self.run(pk, "--look")[0] == 0
        assert len(job.purchases) == 1


class TestTheAPI:
    MAY = [*EVERYTHING, "settle_generationattempt"]

    @pytest.fixture
    def caller(self):
        return Caller(UserFactory(may=self.MAY, is_staff=False, username="anna"))

    def test_lists_and_settles(self, lost, caller):
        [one] = caller.get("/api/v1/attempts/unsettled/").json()["results"]
        assert (one["possible_cost"], one["attempt"]["state"], one["can_look"]) == ("0.030000", "unknown", False)
        address = f"/api/v1/attempts/{one['attempt']['id']}"
        assert problem(caller.send(f"{address}/settle/", {"billed": False, "cost": "1"})) == "invalid"
        assert problem(caller.send(f"{address}/settle/", {})) == "invalid"
        assert problem(caller.send(f"{address}/look/", {})) == "conflict"
        settled = caller.send(f"{address}/settle/", {"billed": True, "cost": "0.05"}).json()["attempt"]
        assert (settled["state"], settled["cost"], settled["settled_by"]) == ("settled", "0.050000", "anna")
        assert money() == (0, Decimal("0.05"))
        assert caller.get("/api/v1/attempts/unsettled/").json()["results"] == []

    def test_looks(self, job, caller):
        patient(job)
        pk = GenerationAttempt.objects.get().pk
        assert caller.send(f"/api/v1/attempts/{pk}/look/", {}).json()["attempt"]["state"] == "adopted"
        assert len(job.purchases) == 1

    def test_needs_a_permission_and_hides_others_attempts(self, caller):
        hidden = GenerationAttemptFactory(
            unknown=True, asset=MediaAssetFactory(library=MediaLibraryFactory(owner=UserFactory()))
        )
        for path in ("settle", "look"):
            assert problem(caller.send(f"/api/v1/attempts/{hidden.pk}/{path}/", {"billed": False})) == "not-found"
        assert caller.get("/api/v1/attempts/unsettled/").json()["results"] == []
        seen = GenerationAttemptFactory(unknown=True)
        without = Caller()
        bound = Caller(caller.user, scopes=("read", "generate"))
        for one in (without, bound):
            assert problem(one.get("/api/v1/attempts/unsettled/")) == "forbidden"
            for path in ("settle", "look"):
                assert problem(one.send(f"/api/v1/attempts/{seen.pk}/{path}/", {"billed": False})) == "forbidden"


class TestTheAdmin:
    LIST = "admin:mediagen_generationattempt_changelist"

    def test_asks_and_settles_with_who_and_when(self, lost, admin_client, admin_user):
        attempt = GenerationAttempt.objects.get()
        chosen = {"action": "settle", "_selected_action": [str(attempt.pk)]}
        page = admin_client.post(reverse(self.LIST), chosen).content.decode()
        assert "Where to look" in page
        assert "up to $0.03" in page
        assert "Only what was billed" in admin_client.post(
            reverse(self.LIST), {**chosen, "_go": "1", "came": "not_billed", "cost": "1"}
        ).content.decode()  # fmt: skip
        admin_client.post(reverse(self.LIST), {**chosen, "_go": "1", "came": "billed", "cost": "0.05"})
        attempt.refresh_from_db()
        assert (attempt.state, attempt.cost, attempt.settled_by) == ("settled", Decimal("0.05"), admin_user.username)
        assert money() == (0, Decimal("0.05"))
        page = admin_client.get(reverse(self.LIST)).content.decode()
        assert f"settled by {admin_user.username}" in page
        shown = admin_client.get(reverse(self.LIST), {"outcome": "to_settle"}).context["cl"]
        assert list(shown.result_list) == []

    def test_looks(self, job, admin_client):
        patient(job)
        pk = GenerationAttempt.objects.get().pk
        admin_client.post(
            reverse(self.LIST), {"action": "settle", "_selected_action": [str(pk)], "_go": "1", "came": "look"}
        )
        assert (GenerationAttempt.objects.get().state, len(job.purchases)) == ("adopted", 1)

    def test_without_the_permission_there_is_no_such_action(self, lost, client):
        user = UserFactory(may=["view_generationattempt", "view_mediaasset"])
        client.force_login(user)
        pk = GenerationAttempt.objects.get().pk
        client.post(
            reverse(self.LIST), {"action": "settle", "_selected_action": [str(pk)], "_go": "1", "came": "not_billed"}
        )
        assert GenerationAttempt.objects.get().state == "unknown"
