"""Long actions on assets: what they ask, the job that each begins, and its page."""

import pytest

from mediagen.engine.work import jobs
from mediagen.models import BackgroundJob, MediaAsset, ProviderConfig
from tests.admin.conftest import act, page, said
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db


def begun(response):
    """The job whose page comes next."""
    job = BackgroundJob.objects.get()
    assert response.url == page("backgroundjob", "change", job.pk)
    return job


def test_generating_again_asks_how_and_says_what_it_may_cost(admin_client, monkeypatch):
    monkeypatch.setenv("SDXL_API_KEY", "key")
    ProviderConfig.objects.exclude(name__in=["sdxl", "flux"]).update(enabled=False)
    ProviderConfig.objects.filter(name="sdxl").update(dry_run=False)
    assets = [MediaAssetFactory(ready=True, parameters={"width": 1024, "height": 1024}) for _ in range(2)]
    pks = [asset.pk for asset in assets]

    asked = act(admin_client, "mediaasset", "generate_again", *pks).content.decode()
    dry = act(admin_client, "mediaasset", "generate_again", *pks, _estimate="1", how="provider", provider="flux")

    assert "2 pictures, $" in asked
    assert "2 pictures, at no cost: placeholders" in dry.content.decode()
    assert not BackgroundJob.objects.exists()


def test_generating_again_makes_new_assets_and_leaves_the_old_ones(admin_client, admin_user):
    asset = MediaAssetFactory(ready=True, seed=7, prompt="a pier")

    job = begun(act(admin_client, "mediaasset", "generate_again", asset.pk, _go="1", how="new_seed"))
    jobs.work_off()

    child = MediaAsset.objects.get(parent=asset)
    assert (child.prompt, child.seed, child.created_by) == ("a pier", None, admin_user)
    text = admin_client.get(page("backgroundjob", "change", job.pk)).content.decode()
    assert page("mediaasset", "change", child.pk) in text
    assert "1 of 1" in text


def test_another_provider_has_to_be_named(admin_client):
    asset = MediaAssetFactory(ready=True)

    response = act(admin_client, "mediaasset", "generate_again", asset.pk, _go="1", how="provider")
    assert "provider" in response.context["form"].errors
    job = begun(act(admin_client, "mediaasset", "generate_again", asset.pk, _go="1", how="provider", provider="flux"))

    assert (job.arguments["how"], job.arguments["provider"]) == ("provider", "flux")


def test_variants_are_made_in_the_sizes_one_writes(admin_client):
    asset = MediaAssetFactory(ready=True)

    wrong = act(admin_client, "mediaasset", "make_variants", asset.pk, _go="1", sizes="big")
    assert "A size is written as 1200x630" in wrong.content.decode()
    begun(act(admin_client, "mediaasset", "make_variants", asset.pk, _go="1", sizes="32x32, 16x", format="webp"))
    jobs.work_off()

    made = MediaAsset.objects.filter(parent=asset)
    assert {(child.width, child.height, child.format) for child in made} == {(32, 32, "webp"), (16, 12, "webp")}


def test_a_suggested_webp_is_one_button(admin_client):
    asset = MediaAssetFactory(ready=True, file_size=9 * 1024 * 1024)
    text = admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()
    assert 'name="action" value="make_webp" form="mediagen-suggested"' in text

    begun(act(admin_client, "mediaasset", "make_webp", asset.pk, _own_page="1"))
    jobs.work_off()

    child = MediaAsset.objects.get(parent=asset)
    assert (child.format, child.width) == ("webp", 64)


def test_a_zip_is_made_apart_and_fetched_from_the_jobs_page(admin_client):
    assets = [MediaAssetFactory(ready=True), MediaAssetFactory(failed=True)]

    job = begun(act(admin_client, "mediaasset", "download", *[asset.pk for asset in assets]))
    jobs.work_off()

    text = admin_client.get(page("backgroundjob", "change", job.pk)).content.decode()
    assert "2 of 2, 1 failed" in text
    assert "It has no picture: it is failed." in text
    content = b"".join(admin_client.get(page("backgroundjob", "file", job.pk)).streaming_content)
    assert content.startswith(b"PK")


def test_many_failed_ones_are_tried_again_by_a_job(admin_client, monkeypatch):
    monkeypatch.setattr("mediagen.admin.work.asset_jobs.AT_ONCE_HERE", 1)
    assets = [MediaAssetFactory(failed=True) for _ in range(2)]

    begun(act(admin_client, "mediaasset", "retry", *[asset.pk for asset in assets]))
    jobs.work_off()

    assert MediaAsset.objects.filter(generation_state="pending").count() == 2


def test_a_job_is_cancelled_by_who_began_it(admin_client, signed_in):
    asset = MediaAssetFactory(ready=True)
    job = begun(act(admin_client, "mediaasset", "download", asset.pk))
    address = page("backgroundjob", "cancel", job.pk)

    assert signed_in("view_mediaasset").post(address).status_code == 404
    assert admin_client.get(address).status_code == 405
    response = admin_client.post(address)

    assert said(response)[-1] == "Cancelled. What was done so far stays."
    job.refresh_from_db()
    assert job.state == "cancelled"


@pytest.mark.parametrize("action", ["generate_again", "make_variants", "make_webp", "retry", "download"])
def test_no_job_takes_up_what_one_may_not_see(signed_in, action):
    theirs = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
    client = signed_in("view_mediaasset", "add_mediaasset")

    for extra in ({}, {"select_across": "1"}):
        act(client, "mediaasset", action, theirs.pk, _go="1", how="new_seed", sizes="32x", **extra)

    assert not BackgroundJob.objects.exists()


def test_who_may_only_look_downloads_and_makes_nothing(signed_in):
    asset = MediaAssetFactory(ready=True)
    client = signed_in("view_mediaasset")

    for action in ("generate_again", "make_variants", "make_webp", "retry"):
        act(client, "mediaasset", action, asset.pk, _go="1", how="new_seed", sizes="32x")
    assert not BackgroundJob.objects.exists()
    begun(act(client, "mediaasset", "download", asset.pk))
