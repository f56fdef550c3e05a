"""A manifest becomes rows once, whoever says it how often; and the rows follow what is said to the batch."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import connection

from mediagen.engine import get_media_engine
from mediagen.engine.batches import lifecycle
from mediagen.engine.batches.manifests import ManifestRow, open_manifest
from mediagen.errors import InvalidRequest
from mediagen.models import (
    GenerationAttempt,
    GenerationBatch,
    MediaAsset,
    MediaLibrary,
    MediaTag,
    SpendAccount,
)
from mediagen.models.costs import Cost
from tests.engine.work.working import PRICE, account_of, batch_of, states, use_local, work
from tests.factories import GenerationAttemptFactory, UserFactory

pytestmark = pytest.mark.django_db


def manifest_of(folder, text="a\nb\n", name="prompts.txt"):
    (folder / name).write_text(text)
    return open_manifest(folder / name)


def opened(folder, *, text="a\nb\n", name="prompts.txt", defaults=None, **how):
    with manifest_of(folder, text, name) as manifest:
        return lifecycle.open_batch(manifest, defaults or {}, **how)


class TestWhatIsTheSameBatch:
    def test_the_same_file_with_the_same_defaults(self, tmp_path):
        one, is_new = opened(tmp_path, defaults={"width": 64, "tags": ["x"]}, name="prompts.txt")
        again, is_new_again = opened(tmp_path, defaults={"tags": ["x"], "width": 64}, name="renamed.txt")
        assert (one.pk, is_new, is_new_again) == (again.pk, True, False)

    @pytest.mark.parametrize(
        "other",
        [
            {"text": "a\nc\n"},
            {"defaults": {"width": 128}},
            {"defaults": {"providers": ["flux"]}},
            {"defaults": {"dry_run": False}},
            {"template": "a {prompt}"},
            {"anew": True},
        ],
    )
    def test_another_one(self, tmp_path, other):
        one, _ = opened(tmp_path)
        another, is_new = opened(tmp_path, **other)
        assert is_new
        assert another.pk != one.pk

    def test_empty_defaults_are_none(self, tmp_path):
        one, _ = opened(tmp_path)
        same, _ = opened(tmp_path, defaults={"library": None, "tags": [], "negative_prompt": ""})
        assert one.pk == same.pk

    def test_a_dry_run_by_the_environment_is_not_the_live_run(self, tmp_path, monkeypatch):
        dry, _ = opened(tmp_path)
        monkeypatch.setenv("DRY_RUN_MODE", "false")
        live, _ = opened(tmp_path)
        said, _ = opened(tmp_path, defaults={"dry_run": True})
        assert len({dry.pk, live.pk, said.pk}) == 3

    def test_what_it_is_may_be_spent_is_no_part_of_it(self, tmp_path):
        one, _ = opened(tmp_path, max_cost=Decimal("1.50"))
        same, _ = opened(tmp_path, max_cost=Decimal(3))
        unsaid, _ = opened(tmp_path)
        assert one.pk == same.pk == unsaid.pk
        assert unsaid.options["max_cost"] == "3", "what is not said leaves what was said before"

    def test_what_it_keeps(self, tmp_path):
        user = UserFactory()
        batch, _ = opened(tmp_path, name="autumn.txt", created_by=user, template="a {prompt}", defaults={"width": 64})
        assert (batch.name, batch.file_name, batch.created_by, batch.state) == (
            "autumn.txt", "autumn.txt", user, "loading",
        )  # fmt: skip
        assert len(batch.file_digest) == 64
        assert batch.options == {"defaults": {"width": 64}, "template": "a {prompt}"}


class TestFinding:
    def test_by_id_or_name_the_newest_of_a_name(self, tmp_path):
        old, _ = opened(tmp_path, name="one.txt")
        new, _ = opened(tmp_path, name="one.txt", anew=True)
        assert lifecycle.get_batch(str(old.pk)).pk == old.pk
        assert lifecycle.get_batch(old.pk.hex.upper()).pk == old.pk
        assert lifecycle.get_batch("one.txt").pk == new.pk

    @pytest.mark.parametrize("word", ["nothing", "", "01a20428-83b8-7a59-b9ba-507ba556bfa4", "%", "a" * 300])
    def test_none(self, word):
        with pytest.raises(InvalidRequest, match=r"There is no batch.*manage\.py mediagen_batches"):
            lifecycle.get_batch(word)


class TestLoading:
    def test_a_row_is_an_asset_with_all_that_it_says(self, tmp_path):
        MediaLibrary.objects.create(name="Autumn").default_tags.add(*MediaTag.objects.ensure(["season"]))
        text = (
            "key,prompt,negative_prompt,width,height,seed,library,tags,name,alt_text,provider,count,style_preset\n"
            'r1,"a\nlighthouse",fog,64,48,7,Autumn,"sea;fog",Light,A tower,sdxl,1,anime\n'
            "r2,a pier,,,,,,,,,,2,\n"
        )
        with manifest_of(tmp_path, text, "rows.csv") as manifest:
            batch, _ = lifecycle.open_batch(manifest, {}, created_by=UserFactory())
            assert lifecycle.load(batch, manifest.rows()) == 3
        first, *copies = batch.assets.order_by("id")
        assert (first.row_key, first.prompt, first.negative_prompt, first.seed) == ("r1", "a\nlighthouse", "fog", 7)
        assert first.parameters == {
            "width": 64, "height": 48, "options": {"style_preset": "anime"}, "providers": ["sdxl"],
        }  # fmt: skip
        assert (first.name, first.alt_text, first.library.name) == ("Light", "A tower", "Autumn")
        assert first.tag_names == ["fog", "sea", "season"]
        assert first.created_by == batch.created_by
        assert [(copy.prompt, copy.library.name, copy.tag_names) for copy in copies] == [("a pier", "Default", [])] * 2
        assert len({copy.row_key for copy in copies}) == 2
        assert (batch.state, batch.total) == ("running", 3)

    def test_twice_makes_nothing_twice(self, tmp_path):
        batch = batch_of(tmp_path, 5, defaults={"tags": ["x"]})
        before = list(batch.assets.values_list("pk", flat=True))
        MediaAsset.objects.filter(pk=before[0]).update(generation_state="failed", failure="no")
        again = batch_of(tmp_path, 5, defaults={"tags": ["x"]})
        assert again.pk == batch.pk
        assert list(again.assets.values_list("pk", flat=True)) == before
        assert states(again) == {"failed": 1, "pending": 4}, "what became of a row is left alone"
        assert {asset.tag_names[0] for asset in again.assets.all()} == {"x"}

    def test_one_that_broke_off_is_completed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(lifecycle, "CHUNK", 2)
        with manifest_of(tmp_path, "a\nb\nc\nd\ne\n") as manifest:
            batch, _ = lifecycle.open_batch(manifest, {})

            def broken():
                yield from list(manifest.rows())[:3]
                raise OSError("gone")

            with pytest.raises(OSError, match="gone"):
                lifecycle.load(batch, broken())
            batch.refresh_from_db()
            assert (batch.state, batch.assets.count()) == ("loading", 2)
            assert work(batch) == [], "rows of a batch that is not whole are not begun"
            assert lifecycle.load(batch, manifest.rows()) == 5
        assert [asset.prompt for asset in batch.assets.order_by("id")] == list("abcde")

    def test_statements_do_not_grow_with_the_rows(self, tmp_path, django_assert_max_num_queries):
        with django_assert_max_num_queries(60):
            batch_of(tmp_path, 300, defaults={"tags": ["x"]})

    def test_a_library_that_is_gone_meanwhile_names_the_line(self, tmp_path):
        with manifest_of(tmp_path, "prompt,library\na,\nb,Gone\n", "rows.csv") as manifest:
            batch, _ = lifecycle.open_batch(manifest, {})
            with pytest.raises(InvalidRequest, match=r"line 3: there is no media library 'Gone'"):
                lifecycle.load(batch, manifest.rows())

    def test_rows_are_worked_off_in_the_order_of_the_file(self, tmp_path, settings):
        local = use_local(settings)
        batch = batch_of(tmp_path, [f"row {number:03}" for number in range(50)])
        work(batch, concurrency=1)
        assert local.asked == [f"row {number:03}" for number in range(50)]


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    def test_load_the_same_file(self, tmp_path, monkeypatch):
        monkeypatch.setattr(lifecycle, "CHUNK", 10)
        (tmp_path / "prompts.txt").write_text("".join(f"row {number}\n" for number in range(100)))
        begin, found = threading.Barrier(4), []

        def load():
            begin.wait()
            with open_manifest(tmp_path / "prompts.txt") as manifest:
                batch, is_new = lifecycle.open_batch(manifest, {"tags": ["x"]}, max_cost=Decimal(1))
                lifecycle.load(batch, (row for row in manifest.rows({"tags": ["x"]}) if isinstance(row, ManifestRow)))
            found.append((batch.pk, is_new, batch.total, batch.state))
            connection.close()

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert len({pk for pk, *_ in found}) == 1
        assert sum(is_new for _, is_new, *_ in found) == 1
        assert {(total, state) for _, _, total, state in found} == {(100, "running")}
        assert MediaAsset.objects.count() == 100
        assert MediaAsset.tags.through.objects.count() == 100


class TestPauseAndCancel:
    def test_paused_nothing_is_begun(self, tmp_path, settings):
        local = use_local(settings)
        batch = batch_of(tmp_path, 3)
        assert lifecycle.pause(batch, "lunch")
        assert (work(batch), local.asked, batch.state, batch.state_reason) == ([], [], "paused", "lunch")
        assert not lifecycle.pause(batch), "it does not run"
        lifecycle.start(batch)
        assert (batch.state, batch.state_reason) == ("running", "")
        work(batch)
        assert (states(batch), batch.state) == ({"ready": 3}, "finished")

    def test_cancelled_nothing_is_ever_begun(self, tmp_path, settings):
        local = use_local(settings)
        batch = batch_of(tmp_path, 3)
        assert lifecycle.cancel(batch) == 3
        assert (work(batch), local.asked, states(batch), batch.state) == ([], [], {"cancelled": 3}, "cancelled")
        with pytest.raises(InvalidRequest, match=r"is cancelled.*--retry-failed"):
            lifecycle.start(batch)

    def test_until_it_is_retried(self, tmp_path, settings):
        use_local(settings)
        batch = batch_of(tmp_path, 3)
        lifecycle.cancel(batch)
        assert lifecycle.retry_failed(batch) == 3
        work(batch)
        assert (states(batch), batch.state) == ({"ready": 3}, "finished")

    def test_rows_under_way_that_come_back_are_cancelled_in_the_end(self, tmp_path):
        batch = batch_of(tmp_path, 2)
        under_way = batch.assets.first()
        MediaAsset.objects.filter(pk=under_way.pk).update(generation_state="running")
        lifecycle.cancel(batch)
        MediaAsset.objects.filter(pk=under_way.pk).update(generation_state="pending")
        assert not lifecycle.finish_if_done(batch.pk)
        assert states(batch) == {"cancelled": 2}


class TestFinishing:
    def test_when_nothing_waits_or_is_under_way(self, tmp_path):
        batch = batch_of(tmp_path, 3)
        rows = list(batch.assets.all())
        for state in ("failed", "cancelled", "failed"):
            assert not lifecycle.finish_if_done(batch.pk)
            MediaAsset.objects.filter(pk=rows.pop().pk).update(generation_state=state)
        assert lifecycle.finish_if_done(batch.pk)
        batch.refresh_from_db()
        assert (batch.state, batch.finished_at is not None) == ("finished", True)

    def test_also_when_it_was_paused_at_the_last_row(self, tmp_path):
        batch = batch_of(tmp_path, 1)
        lifecycle.pause(batch, "too late")
        MediaAsset.objects.update(generation_state="failed")
        assert lifecycle.finish_if_done(batch.pk)
        batch.refresh_from_db()
        assert (batch.state, batch.state_reason) == ("finished", "")

    def test_one_that_is_loading_is_not_finished(self, tmp_path):
        batch, _ = opened(tmp_path)
        assert not lifecycle.finish_if_done(batch.pk)

    def test_rows_that_wait_in_a_finished_one_are_let_go_by_the_next_start(self, tmp_path, settings):
        """As when somebody retried rows at the moment in which the last one ended."""
        use_local(settings)
        batch = batch_of(tmp_path, 1)
        GenerationBatch.objects.update(state="finished")
        batch.refresh_from_db()
        lifecycle.start(batch)
        assert batch.state == "running"

    def test_starting_a_finished_one_leaves_it_finished(self, tmp_path, settings):
        use_local(settings)
        batch = batch_of(tmp_path, 1)
        work(batch)
        lifecycle.start(batch)
        assert batch.state == "finished"


class TestRetry:
    def test_failed_and_cancelled_rows_and_stand_ins_are_made_again(self, tmp_path):
        batch = batch_of(tmp_path, 5)
        kinds = (
            {"generation_state": "failed", "failure": "no", "tries": 10},
            {"generation_state": "cancelled"},
            {"generation_state": "ready", "is_placeholder": True, "file": "x.png", "content_hash": "0"},
            {
                "generation_state": "ready",
                "is_placeholder": True,
                "dry_run": True,
                "file": "y.png",
                "content_hash": "0",
            },
            {"generation_state": "ready", "file": "z.png", "content_hash": "0"},
        )
        for asset, values in zip(batch.assets.order_by("id"), kinds, strict=True):
            MediaAsset.objects.filter(pk=asset.pk).update(**values)
        assert lifecycle.retry_failed(batch) == 3
        assert [(a.generation_state, a.tries, a.failure) for a in batch.assets.order_by("id")] == [
            *[("pending", 0, "")] * 3,
            *[("ready", 0, "")] * 2,
        ]

    def test_who_may_have_been_paid_already_and_says_stop_is_obeyed(self, tmp_path, live):
        from tests.servers import Fault

        sdxl, openai = live("sdxl", "openai_images", after_unknown="stop")
        sdxl.fault("submit", Fault.reset_after_body_read())
        batch = batch_of(tmp_path, ["a"], defaults={"width": 1024, "height": 1024})
        work(batch)
        assert (states(batch), len(sdxl.purchases)) == ({"failed": 1}, 1)
        lifecycle.retry_failed(batch)
        work(batch)
        assert states(batch) == {"failed": 1}
        assert (len(sdxl.purchases), len(openai.purchases)) == (1, 0)


class TestMoney:
    def test_a_limit_is_kept_with_the_account(self, tmp_path):
        batch = batch_of(tmp_path, 1, max_cost=Decimal(1))
        [budget] = lifecycle.batch_budgets(batch)
        SpendAccount.objects.create(owner=budget.owner, limit=budget.limit)
        lifecycle.set_max_cost(batch, Decimal("0.5"))
        assert account_of(batch).limit == Decimal("0.5")
        lifecycle.set_max_cost(batch, None)
        assert (account_of(batch).limit, batch.options["max_cost"]) == (Decimal("0.5"), "0.5")

    def test_without_a_limit_there_is_no_account(self, tmp_path, settings):
        use_local(settings)
        batch = batch_of(tmp_path, 2)
        work(batch)
        assert not SpendAccount.objects.exists()
        assert batch.cost() == Cost(billed=2 * PRICE)

    def test_what_may_have_been_bought_unseen_is_told(self, tmp_path):
        batch = batch_of(tmp_path, 2)
        asset = batch.assets.first()
        GenerationAttemptFactory(asset=asset, unknown=True, cost_held="0.04")
        GenerationAttemptFactory(asset=asset, unknown=True, cost="0.02", cost_held="0.09")
        GenerationAttemptFactory(asset=asset, cost="1")
        assert batch.cost() == Cost(billed=Decimal("1.02"), unsettled=1, possible=Decimal("0.04"))


def test_counts_are_those_of_the_rows(tmp_path, settings):
    async def answer(prompt):
        if prompt.endswith("1"):
            raise ValueError("no such lighthouse")

    use_local(settings, answer)
    batch = batch_of(tmp_path, 4)
    batch_of(tmp_path, 7, name="other.txt")
    work(batch)
    counts = GenerationBatch.objects.with_counts().get(pk=batch.pk)
    assert (counts.ready, counts.failed, counts.pending, counts.running, counts.cancelled, counts.placeholders) == (
        3, 1, 0, 0, 0, 0,
    )  # fmt: skip
    # Whoever raised an error may have been paid.
    assert batch.cost() == Cost(billed=3 * PRICE, unsettled=1, possible=PRICE)
    assert GenerationAttempt.objects.filter(state="failed").count() == 1


def test_the_engine_makes_single_rows_of_a_batch_again(tmp_path, settings):
    async def answer(prompt):
        raise ValueError("no")

    use_local(settings, answer)
    batch = batch_of(tmp_path, 1)
    work(batch)
    use_local(settings)
    assert get_media_engine().regenerate_asset_sync(batch.assets.get().pk).is_ready
