"""Where assets are used, what is counted there, and what the figures say should be done."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mediagen.engine.library import usage
from mediagen.errors import InvalidRequest
from mediagen.models import AssetUsage, MediaAsset
from mediagen.types import uuid7
from tests.factories import MediaAssetFactory

pytestmark = pytest.mark.django_db


def counted(campaign, impressions, clicks, channel="", **fields):
    """A ready asset with these figures."""
    asset = MediaAssetFactory(ready=True, **fields)
    usage.record_metrics(asset, campaign, channel, totals={"impressions": impressions, "clicks": clicks})
    return asset


# ---------------------------------------------------------------------- record


def test_a_use_is_kept_once_and_counted_on_the_asset():
    asset = MediaAssetFactory(ready=True)

    first = usage.record_usage(asset, " Spring ", "web", "https://example.com/spring")
    again = usage.record_usage(asset.asset_id, "Spring", "web")
    usage.record_usage(asset, "Spring", "mail")

    assert first.pk == again.pk
    assert (again.campaign, again.url) == ("Spring", "https://example.com/spring")
    asset.refresh_from_db()
    assert asset.usage_count == 2
    assert asset.last_used_at is not None


def test_an_ended_use_stays_with_its_figures_and_can_begin_again():
    asset = counted("Spring", 1000, 10)

    ended = usage.end_usage(asset, "Spring")
    assert ended.ended_at is not None
    assert usage.end_usage(asset, "Spring").ended_at == ended.ended_at
    assert usage.in_use([asset.pk]) == []

    begun = usage.record_usage(asset, "Spring")
    assert (begun.ended_at, begun.impressions) == (None, 1000)
    assert usage.in_use([asset.pk]) == [begun]


def test_totals_replace_and_sums_add():
    asset = MediaAssetFactory(ready=True)

    for _ in range(2):
        usage.record_metrics(asset, "Spring", totals={"impressions": 500})
    row = usage.record_metrics(asset, "Spring", totals={"shares": 2}, add={"impressions": 20, "clicks": 5})

    assert (row.impressions, row.clicks, row.shares) == (520, 5, 2)
    assert row.click_rate == pytest.approx(5 / 520)
    asset.refresh_from_db()
    assert asset.usage_count == 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"totals": {"views": 1}}, "metrics"),
        ({"totals": {"clicks": -1}}, "clicks"),
        ({"add": {"clicks": True}}, "clicks"),
        ({"add": {"clicks": 1.5}}, "clicks"),
        ({"totals": {"clicks": 2**63}}, "clicks"),
        ({"totals": {"clicks": 1}, "add": {"clicks": 1}}, "add"),
    ],
)
def test_what_is_no_count_is_refused(arguments, field):
    asset = MediaAssetFactory(ready=True)

    with pytest.raises(InvalidRequest) as caught:
        usage.record_metrics(asset, "Spring", **arguments)

    assert caught.value.field == field
    assert not AssetUsage.objects.exists()


def test_a_sum_that_does_not_fit_leaves_what_stands_there():
    asset = MediaAssetFactory(ready=True)
    usage.record_metrics(asset, "Spring", totals={"clicks": 2**63 - 1})

    with pytest.raises(InvalidRequest, match="more than can be counted"):
        usage.record_metrics(asset, "Spring", add={"clicks": 1})

    assert AssetUsage.objects.get().clicks == 2**63 - 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("", "web", ""), "campaign"),
        (("  ", "", ""), "campaign"),
        (("x" * 201, "", ""), "campaign"),
        (("Spring", "x" * 101, ""), "channel"),
        (("Spring\x00", "", ""), "campaign"),
        (("Spring", "", "javascript:alert(1)"), "url"),
        (("Spring", "", "https://example.com/" + "x" * 1000), "url"),
    ],
)
def test_texts_that_do_not_fit_are_refused(arguments, field):
    asset = MediaAssetFactory(ready=True)

    with pytest.raises(InvalidRequest) as caught:
        usage.record_usage(asset, *arguments)

    assert caught.value.field == field


@pytest.mark.parametrize("traits", [{"failed": True}, {"ready": True, "status": "deleted"}])
def test_what_cannot_be_shown_cannot_be_in_use(traits):
    with pytest.raises(InvalidRequest) as caught:
        usage.record_usage(MediaAssetFactory(**traits), "Spring")

    assert caught.value.field == "asset_id"


def test_an_asset_or_a_use_that_is_not_there_is_said():
    with pytest.raises(InvalidRequest, match="There is no asset"):
        usage.record_metrics(uuid7(), "Spring", add={"clicks": 1})
    with pytest.raises(InvalidRequest, match="was not used in"):
        usage.end_usage(MediaAssetFactory(ready=True), "Spring")
    with pytest.raises(InvalidRequest, match="must be a UUID"):
        usage.record_usage("7", "Spring")


# ---------------------------------------------------------------------- read


def test_the_best_of_a_campaign_by_rate_and_by_count(django_assert_num_queries):
    good, middling = counted("Spring", 1000, 50), counted("Spring", 4000, 100)
    counted("Spring", 3, 3)  # too few to say anything
    counted("Autumn", 1000, 900)

    with django_assert_num_queries(2):
        best = usage.best_assets("Spring")

    assert [(row.asset, row.click_rate) for row in best] == [(good, 0.05), (middling, 0.025)]
    assert [row.asset for row in usage.best_assets("Spring", "clicks")] == [middling, good]
    assert [row.asset for row in usage.best_assets("Spring", limit=1)] == [good]
    assert len(usage.best_assets("Spring", min_impressions=0)) == 3


def test_channels_of_an_asset_count_together_or_alone():
    asset = counted("Spring", 1000, 10, "web")
    usage.record_metrics(asset, "Spring", "mail", totals={"impressions": 1000, "clicks": 30, "conversions": 4})

    (both,) = usage.best_assets("Spring", "conversion_rate")
    (mail,) = usage.best_assets("Spring", channel="mail")

    assert (both.impressions, both.click_rate, both.conversion_rate) == (2000, 0.02, 0.1)
    assert mail.click_rate == 0.03


def test_the_best_are_only_those_one_may_see():
    mine, other = counted("Spring", 1000, 10), counted("Spring", 1000, 90)
    gone = counted("Spring", 1000, 900)
    MediaAsset.objects.filter(pk=gone.pk).update(status="deleted")

    assert [row.asset for row in usage.best_assets("Spring")] == [other, mine]
    among = MediaAsset.objects.filter(pk=mine.pk)
    assert [row.asset for row in usage.best_assets("Spring", assets=among)] == [mine]


def test_an_unknown_measure_is_refused():
    with pytest.raises(InvalidRequest, match="click_rate"):
        usage.best_assets("Spring", "luck")


def test_unused_means_never_or_not_for_long():
    used, never = counted("Spring", 1, 0), MediaAssetFactory(ready=True)
    MediaAssetFactory(failed=True), MediaAssetFactory(ready=True, status="archived")

    assert set(usage.unused()) == {never}

    long_ago = timezone.now() - timedelta(days=400)
    MediaAsset.objects.update(created_at=long_ago)
    MediaAsset.objects.filter(pk=used.pk).update(last_used_at=long_ago)
    last_year = timezone.now() - timedelta(days=365)
    assert set(usage.unused(last_year)) == {never}  # the other one is still in use
    usage.end_usage(used, "Spring")
    assert set(usage.unused(last_year)) == {never, used}


# ---------------------------------------------------------------------- suggest


def kinds(assets):
    return [(suggestion.asset_id, suggestion.kind) for suggestion in usage.suggestions(assets)]


def test_a_low_click_rate_against_the_campaigns_others_asks_for_a_variant(django_assert_num_queries):
    low, good = counted("Spring", 1000, 4), counted("Spring", 1000, 10)
    counted("Autumn", 1000, 1)  # alone in its campaign: nothing to compare with

    with django_assert_num_queries(3):
        (suggestion,) = usage.suggestions(MediaAsset.objects.all())

    assert (suggestion.asset_id, suggestion.kind) == (low.asset_id, "low_click_rate")
    assert suggestion.action == "generate_variant"
    assert "0.4 %" in suggestion.text
    assert "1.0 %" in suggestion.text
    assert usage.suggestions(good) == []


def test_it_is_compared_with_what_somebody_sees_alone():
    low, hidden = counted("Spring", 1000, 4), counted("Spring", 1000, 337)
    assert usage.suggestions(low, MediaAsset.objects.exclude(pk=hidden.pk)) == []


def test_few_impressions_suggest_nothing():
    low = counted("Spring", 99, 0)
    counted("Spring", 1000, 10)

    assert usage.suggestions(low) == []


def test_large_files_and_png_photographs_ask_for_webp():
    large = MediaAssetFactory(ready=True, file_size=6 * 1024 * 1024, format="jpeg", width=4000, height=4000)
    grain = MediaAssetFactory(ready=True, file_size=1_500_000, format="png", width=1024, height=1024)
    drawing = MediaAssetFactory(ready=True, file_size=90_000, format="png", width=1024, height=1024)
    jpeg = MediaAssetFactory(ready=True, file_size=1_500_000, format="jpeg", width=1024, height=1024)

    found = kinds([large, grain, drawing, jpeg])

    assert found == [(large.asset_id, "large_file"), (grain.asset_id, "png_photograph")]
    assert usage.suggestions(grain)[0].arguments == {"sizes": [{"width": 1024, "format": "webp"}]}
