"""Long actions: begun, worked off, gone on with after a crash, cancelled, and never beyond what their starter may."""

import asyncio
import csv
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from mediagen import tasks
from mediagen.engine.files import storage
from mediagen.engine.maintenance import sweep
from mediagen.engine.work import job_kinds, jobs, running_job, zips
from mediagen.errors import InvalidRequest
from mediagen.models import ApiToken, AssetUsage, BackgroundJob, MediaAsset, ProviderConfig, asset_storage
from mediagen.types import uuid7
from tests import pictures
from tests.factories import MediaAssetFactory, MediaLibraryFactory, MediaTagFactory, UserFactory, stored

pytestmark = pytest.mark.django_db(transaction=True)

ALL = ["view_mediaasset", "add_mediaasset", "change_mediaasset", "delete_mediaasset"]


@pytest.fixture
def editor():
    return UserFactory(may=ALL, is_staff=False)


def start(kind, assets, by, **arguments):
    return jobs.start(kind, {"asset_ids": [asset.pk for asset in assets], **arguments}, by=by)


def worked(job):
    jobs.work_off()
    job.refresh_from_db()
    return job


def opened(job):
    with job.file.open("rb") as file:
        archive = zipfile.ZipFile(io.BytesIO(file.read()))
    assert archive.testzip() is None
    return archive


def lines_of(archive):
    return list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode("utf-8-sig"))))


# --- zip


def test_a_zip_holds_the_pictures_and_says_what_they_are(editor):
    first, second = (MediaAssetFactory(ready=True, name="The pier", prompt="=1+1") for _ in range(2))
    first.tags.add(MediaTagFactory(name="sea"))
    waiting = MediaAssetFactory(name="to come")

    job = worked(start("zip", [first, second, waiting], editor))

    assert (job.state, job.done, job.failed, job.total) == ("done", 2, 1, 3)
    archive = opened(job)
    assert archive.namelist() == ["The-pier.png", "The-pier-2.png", "manifest.csv"]
    assert archive.read("The-pier-2.png") == pictures.png()
    one, two, three = lines_of(archive)
    assert (one["file"], one["asset_id"], one["tags"], one["cost"]) == (
        "The-pier.png",
        str(first.pk),
        "sea",
        "0.030000",
    )
    assert one["prompt"] == "'=1+1"  # no spreadsheet runs it
    assert (two["file"], two["sha256"]) == ("The-pier-2.png", second.content_hash)
    assert (three["file"], three["problem"]) == ("", "It has no picture: it is pending.")
    assert job.result["size_bytes"] == job.file.size
    assert job.expires_at > timezone.now() + timedelta(hours=23)


def test_names_are_unique_whatever_their_case_and_never_that_of_the_manifest():
    taken = {zips.MANIFEST}
    names = [zips.free_name(name, taken) for name in ("a.png", "A.png", "manifest.csv", "a.png", "a-2.png")]
    assert names == ["a.png", "A-2.png", "manifest-2.csv", "a-3.png", "a-2-2.png"]


def test_what_the_starter_may_not_read_is_not_in_it(editor):
    mine = MediaAssetFactory(ready=True)
    hidden = MediaAssetFactory(ready=True, name="hidden", library=MediaLibraryFactory(owner=UserFactory()))
    deleted = MediaAssetFactory(ready=True, status="deleted")
    nowhere = MediaAssetFactory.build(pk=uuid7())

    job = worked(start("zip", [mine, hidden, deleted, nowhere], editor))

    archive = opened(job)
    assert len(archive.namelist()) == 2
    assert "hidden" not in archive.read("manifest.csv").decode()
    assert {error["message"] for error in job.result["errors"]} == {"There is no such asset, or not for you."}
    assert (job.done, job.failed) == (1, 3)


def test_a_right_that_was_lost_since_counts(editor):
    job = start("zip", [MediaAssetFactory(ready=True)], editor)
    editor.is_active = False
    editor.save()

    assert worked(job).state == "failed"
    assert not job.file


def test_a_token_allows_what_it_allows_and_ends(editor):
    library = MediaLibraryFactory()
    inside, outside = MediaAssetFactory(ready=True, library=library), MediaAssetFactory(ready=True)
    token, _ = ApiToken.objects.issue(editor, "t", scopes=["read"], library=library)
    arguments = {"asset_ids": [inside.pk, outside.pk]}

    job = worked(jobs.start("zip", arguments, by=editor, token=token))
    assert (job.done, job.failed) == (1, 1)

    late = jobs.start("zip", arguments, by=editor, token=token)
    ApiToken.objects.update(revoked_at=timezone.now())
    assert worked(late).state == "failed"
    assert "token" in late.message


def test_files_that_are_gone_are_said_and_the_others_come(editor):
    there, gone = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)
    asset_storage().delete(gone.file.name)

    job = worked(start("zip", [gone, there], editor))

    assert (job.state, job.done, job.failed) == ("done", 1, 1)
    assert [line["problem"] for line in lines_of(opened(job))] == ["Its file is not in the storage.", ""]


def test_a_storage_that_fails_leaves_no_file_and_says_so(editor, monkeypatch):
    job = start("zip", [MediaAssetFactory(ready=True)], editor)

    def full(*args, **kwargs):
        raise OSError("no space, and a secret")

    monkeypatch.setattr(type(asset_storage()), "_save", full)
    worked(job)

    assert (job.state, bool(job.file)) == ("failed", False)
    assert "storage" in job.message
    assert "secret" not in job.message


def test_too_much_is_refused(editor, monkeypatch):
    monkeypatch.setattr(zips, "MAX_BYTES", 100)
    assert "GiB" in worked(start("zip", [MediaAssetFactory(ready=True)], editor)).message


def test_old_zips_go_and_others_stay(editor, monkeypatch):
    old, young = (worked(start("zip", [MediaAssetFactory(ready=True)], editor)) for _ in range(2))
    BackgroundJob.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    monkeypatch.setattr(storage, "ARRIVES_WITHIN_S", 0.0)
    left = stored(b"x", running_job.file_name(BackgroundJob(lease_token=7)))

    report = sweep.maintain()

    assert (report.job_files_removed, report.files_removed) == (1, 1)
    assert not asset_storage().exists(left)
    for job in (old, young):
        job.refresh_from_db()
    assert (bool(old.file), jobs.has_file(old), jobs.has_file(young)) == (False, False, True)
    BackgroundJob.objects.update(finished_at=timezone.now() - timedelta(days=31))
    sweep.maintain()
    assert list(BackgroundJob.objects.all()) == [young]


# --- the other kinds


def test_variants_of_many(editor):
    assets = [MediaAssetFactory(ready=True) for _ in range(3)] + [MediaAssetFactory()]

    job = worked(start("variants", assets, editor, sizes=["32x16", {"width": 8, "format": "webp"}]))

    assert (job.state, job.done, job.failed) == ("done", 3, 1)
    made = MediaAsset.objects.filter(source="variant")
    assert made.count() == 6
    assert {str(pk) for pk in made.values_list("pk", flat=True)} == set(job.result["made"])


@pytest.mark.parametrize(
    ("how", "seed", "providers"),
    [
        ({"how": "same"}, 7, None),
        ({"how": "new_seed"}, None, None),
        ({}, None, None),
        ({"how": "provider", "provider": "flux"}, None, ["flux"]),
    ],
)
def test_one_more_like_each(editor, how, seed, providers):
    asset = MediaAssetFactory(ready=True, seed=7, parameters={"width": 64, "height": 48, "options": {"steps": 20}})
    upload = MediaAssetFactory(ready=True, source="uploaded", prompt="")

    job = worked(start("generate_again", [asset, upload], editor, **how))

    assert (job.done, job.failed) == (1, 1)
    child = MediaAsset.objects.get(parent=asset)
    assert (child.generation_state, child.prompt, child.seed, child.created_by) == (
        "pending",
        asset.prompt,
        seed,
        editor,
    )
    assert child.parameters.get("providers") == providers
    assert (child.parameters["width"], child.parameters["options"]) == (64, {"steps": 20})
    assert job.result["made"] == [str(child.pk)]


def test_failed_ones_wait_again_and_ready_ones_are_left(editor):
    failed, ready = MediaAssetFactory(failed=True), MediaAssetFactory(ready=True)

    job = worked(start("retry_failed", [failed, ready], editor))

    assert (job.done, job.failed) == (1, 1)
    failed.refresh_from_db()
    assert failed.generation_state == "pending"


def test_many_are_deleted_and_those_in_use_are_noted(editor):
    used, other = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)
    AssetUsage.objects.create(asset=used, campaign="Spring")

    job = worked(start("delete", [used, other], editor))
    assert (job.done, job.failed) == (1, 1)
    assert "Spring" in job.result["errors"][0]["message"]

    assert worked(start("delete", [used], editor, even_if_used=True)).done == 1
    assert not MediaAsset.objects.kept().exists()


@pytest.mark.parametrize("kind", job_kinds.KINDS)
def test_who_may_only_look_changes_nothing(kind):
    asset = MediaAssetFactory(ready=True, is_placeholder=True)
    needs = {
        "variants": {"sizes": ["8x8"]},
        "review": {"step": "approve"},
        "tag": {"add": ["sea"]},
        "move": {"library": str(MediaLibraryFactory().pk)},
        "export": {"target": "canva"},
    }
    more = needs.get(kind, {})

    job = worked(start(kind, [asset], UserFactory(may=["view_mediaasset"]), **more))

    assert (job.done, job.failed) == {"zip": (1, 0), "move": (0, 0)}.get(kind, (0, 1))
    assert list(MediaAsset.objects.values_list("generation_state", "status")) == [("ready", "draft")]


@pytest.mark.parametrize(
    ("kind", "arguments", "field"),
    [
        ("launch", {}, "kind"),
        ("zip", {"asset_ids": []}, "asset_ids"),
        ("zip", {"asset_ids": "abc"}, "asset_ids"),
        ("zip", {"asset_ids": None}, "asset_ids"),
        ("zip", {"asset_ids": ["abc"]}, "asset_ids"),
        ("variants", {}, "sizes"),
        ("variants", {"sizes": "8x8"}, "sizes"),
        ("variants", {"sizes": ["huge"]}, "sizes"),
        ("generate_again", {"how": "better"}, "how"),
        ("generate_again", {"how": "provider"}, "provider"),
        ("generate_again", {"how": "same", "provider": "flux"}, "provider"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_there_is_a_row(editor, kind, arguments, field):
    with pytest.raises(InvalidRequest) as caught:
        jobs.start(kind, {"asset_ids": [str(uuid7())], **arguments}, by=editor)
    assert caught.value.field == field
    assert not BackgroundJob.objects.exists()


def test_a_provider_that_there_is_not_is_refused(editor):
    ProviderConfig.objects.filter(name="flux").delete()
    with pytest.raises(Exception, match="flux"):
        start("generate_again", [MediaAssetFactory(ready=True)], editor, how="provider", provider="flux-9")


def test_ten_thousand_is_the_most(editor):
    with pytest.raises(InvalidRequest, match="10,000"):
        jobs.start("zip", {"asset_ids": [uuid7() for _ in range(10_001)]}, by=editor)


# --- life


def test_a_cancelled_job_stops_before_its_next_step(editor, monkeypatch):
    assets = [MediaAssetFactory(ready=True) for _ in range(3)]
    monkeypatch.setattr(running_job, "SAY_EVERY_S", 0.0)
    job = start("variants", assets, editor, sizes=["8x8"])
    make = job_kinds.variants.make_variants

    def and_cancel(*args):
        jobs.cancel(BackgroundJob.objects.get())
        return make(*args)

    monkeypatch.setattr(job_kinds.variants, "make_variants", and_cancel)
    worked(job)

    assert job.state == "cancelled"
    assert MediaAsset.objects.filter(source="variant").count() == 1
    assert not jobs.cancel(job)


def test_a_job_that_waits_is_cancelled_at_once(editor):
    job = start("zip", [MediaAssetFactory(ready=True)], editor)
    assert jobs.cancel(job)
    assert jobs.work_off() == 0


def test_another_worker_goes_on_where_one_died(editor, monkeypatch):
    assets = [MediaAssetFactory(ready=True) for _ in range(4)]
    monkeypatch.setattr(running_job, "SAY_EVERY_S", 0.0)
    job = start("generate_again", assets, editor)
    one_more = job_kinds._one_more

    def and_die(running, asset):
        if asset.pk == assets[2].pk:
            one_more(running, asset)  # done, and not said
            raise KeyboardInterrupt
        return one_more(running, asset)

    with monkeypatch.context() as patch:
        patch.setattr(job_kinds, "_one_more", and_die)
        with pytest.raises(KeyboardInterrupt):
            jobs.work_off()
    job.refresh_from_db()
    assert (job.state, job.done) == ("running", 2)
    assert jobs.work_off() == 0  # its lease lasts
    BackgroundJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    worked(job)

    assert (job.state, job.done) == ("done", 4)
    assert sorted(MediaAsset.objects.filter(parent__isnull=False).values_list("parent", flat=True)) == sorted(
        asset.pk for asset in assets
    )


def test_a_slow_worker_that_was_given_up_writes_nothing(editor, monkeypatch):
    job = start("zip", [MediaAssetFactory(ready=True)], editor)
    store = zips._store

    def while_another_takes_over(running, built):
        BackgroundJob.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        monkeypatch.setattr(zips, "_store", store)
        assert jobs.work_off() == 1
        return store(running, built)

    monkeypatch.setattr(zips, "_store", while_another_takes_over)
    worked(job)

    assert job.state == "done"
    assert job.file.name.endswith("-2.zip")
    assert [name for name in sweep._stored_names() if "/jobs/" in name] == [job.file.name]


def test_a_job_that_kills_its_workers_is_given_up(editor):
    job = start("zip", [MediaAssetFactory(ready=True)], editor)
    BackgroundJob.objects.update(state="running", lease_token=10, lease_until=timezone.now() - timedelta(seconds=1))

    assert worked(job).state == "failed"


def test_an_error_nobody_foresaw_ends_it_without_its_words(editor, monkeypatch, caplog):
    def boom(*args):
        raise RuntimeError("a secret")

    monkeypatch.setattr(job_kinds.variants, "make_variants", boom)
    job = worked(start("variants", [MediaAssetFactory(ready=True)], editor, sizes=["8x8"]))

    assert (job.state, "secret" in job.message, "RuntimeError" in job.message) == ("failed", False, True)
    assert "RuntimeError" in caplog.text


def test_a_leaving_worker_puts_it_back(editor):
    assets = [MediaAssetFactory(ready=True) for _ in range(3)]
    job = start("variants", assets, editor, sizes=["8x8"])
    answers = iter([False, False, True, True])

    jobs.work_off(lambda: next(answers))
    job.refresh_from_db()
    assert (job.state, job.done) == ("pending", 2)

    assert worked(job).done == 3


def test_they_are_worked_on_beside_a_worker_and_by_a_task(editor):
    job = start("zip", [MediaAssetFactory(ready=True)], editor)

    async def beside():
        stop = asyncio.Event()
        chore = asyncio.create_task(jobs.keep_working(stop))
        for _ in range(100):
            await asyncio.sleep(0.05)
            if await BackgroundJob.objects.filter(state="done").aexists():
                break
        stop.set()
        await chore

    asyncio.run(beside())
    job.refresh_from_db()
    assert job.state == "done"
    start("zip", [MediaAssetFactory(ready=True)], editor)
    assert tasks.work_on_jobs() == 1


def test_maintenance_tells_the_engine_again_of_jobs_that_wait(editor, settings, monkeypatch):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "TASK_BACKEND": "default"}
    told = []
    monkeypatch.setattr(jobs, "soon", lambda: told.append(1))
    sweep.maintain()
    assert told == []
    job = start("zip", [MediaAssetFactory(ready=True)], editor)
    told.clear()

    sweep.maintain()
    assert told == [1]
    jobs.cancel(job)
    sweep.maintain()
    assert told == [1]


def test_without_worker_and_engine_the_server_does_it(editor, settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "RUN_IN_SERVER": True}

    job = start("zip", [MediaAssetFactory(ready=True)], editor)

    for _ in range(200):
        job.refresh_from_db()
        if job.state == "done":
            break
        time.sleep(0.05)
    assert job.state == "done"


KILLED = """
import os, sys, django
from django.conf import settings
django.setup()
settings.DATABASES["default"]["NAME"] = sys.argv[1]
from django.db import connections
connections["default"].settings_dict["NAME"] = sys.argv[1]
settings.MEDIA_ROOT = sys.argv[2]
from mediagen.engine.work import jobs, zips
def hang(*args):
    print("storing", flush=True)
    import time
    time.sleep(60)
zips._store = hang
jobs.work_off()
"""


def test_a_worker_killed_while_it_stores_is_replaced(editor, settings):
    """SIGKILL, for real: its lease is long, but it is seen on this machine that it is dead."""
    if connection.vendor != "sqlite":
        pytest.skip("the other process is given a database file")
    job = start("zip", [MediaAssetFactory(ready=True)], editor)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(connection.settings_dict["NAME"]), settings.MEDIA_ROOT],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        assert process.stdout.readline() == "storing\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    job.refresh_from_db()
    assert job.state == "running"

    assert worked(job).state == "done"
    assert job.file.name.endswith("-2.zip")
