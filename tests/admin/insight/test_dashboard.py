"""The dashboard: whose numbers it shows, in what forms, and in how few queries."""

from __future__ import annotations

import csv
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from types import ModuleType

import pytest
from django.contrib.admin import AdminSite
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse
from django.utils import timezone

from mediagen.admin.insight.charts import nice, stacked
from mediagen.models import GenerationBatch, MediaLibrary, ProviderConfig, ProviderHealth, SpendAccount
from tests.admin.conftest import page
from tests.factories import GenerationAttemptFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

MAY = ("view_generationattempt", "view_mediaasset")


@pytest.fixture
def library():
    return MediaLibraryFactory(name="Fog")


@pytest.fixture
def busy(library):
    """Something of everything that a page can show."""
    now = timezone.now()
    for number in range(6):
        GenerationAttemptFactory(asset=None, library=library, started_at=now - timedelta(days=number))
    GenerationAttemptFactory(asset=None, library=library, provider_name="flux", cost=Decimal("0.50"))
    GenerationAttemptFactory(asset=None, library=library, unknown=True)
    GenerationAttemptFactory(asset=None, library=library, refused=True)
    MediaLibrary.objects.filter(pk=library.pk).update(budget_limit=10, budget_warning=5)
    SpendAccount.objects.create(owner=f"library:{library.pk}", period=f"{now:%Y-%m}", limit=10, spent=6)
    GenerationBatch.objects.create(name="Spring", fingerprint="f", options={"max_cost": "4"}, state="running")
    ProviderHealth.objects.create(
        provider_name="sdxl",
        model_name="core",
        operation="generate_image",
        state="open",
        open_until=now + timedelta(hours=1),
        reason="sdxl: answered 503.",
    )


def show(client, **asked):
    return client.get(page("dashboard"), asked)


def table(client, what, **asked):
    response = client.get(reverse("admin:mediagen_dashboard_csv", args=[what]), asked)
    assert response["Content-Type"].startswith("text/csv")
    assert "attachment" in response["Content-Disposition"]
    return list(csv.reader(StringIO(response.content.decode())))


# ---------------------------------------------------------------------- the page


def test_the_page_has_the_numbers_the_charts_and_their_tables(signed_in, busy):
    text = show(signed_in(*MAY, "view_providerconfig")).content.decode()

    for words in (
        "$0.68",
        "and up to $0.04 more",
        "<small>up to $0.04</small>",
        "78 %",
        "answered 503",
        "Fog",
        "60 %",
        "warning",
        'role="img"',
        "refused: 1",
        "flux: $0.50",
        "As a table",
        "?outcome=unknown",
    ):
        assert words in text.replace("\xa0", " "), words
    assert " style=" not in text
    assert "<script>" not in text


def test_without_attempts_it_says_so(signed_in):
    text = show(signed_in(*MAY)).content.decode()

    assert "Nobody was asked in this period." in text
    assert text.count("Nothing in this period.") == 3


@pytest.mark.parametrize(("period", "slots"), [("24h", 25), ("7d", 8), ("30d", 31)])
def test_a_period_is_chosen(signed_in, busy, period, slots):
    response = show(signed_in(*MAY), period=period)

    assert len(response.context["charts"][0].rows) == slots
    assert f'href="?period={period}" aria-current="page"' in response.content.decode()


def test_two_days_are_a_period(signed_in, busy):
    day = f"{timezone.now() - timedelta(days=2):%Y-%m-%d}"

    response = show(signed_in(*MAY), **{"from": day, "to": day})

    assert response.context["total"].images == 1
    assert f'value="{day}"' in response.content.decode()


@pytest.mark.parametrize("wrong", [{"period": "9d"}, {"from": "yesterday"}, {"from": "2026-03-02", "to": "2026-03-01"}])
def test_a_period_that_cannot_be_is_said(signed_in, wrong):
    client = signed_in(*MAY)

    response = show(client, **wrong)

    assert response.status_code == 400
    assert response.context["problem"] in response.content.decode().replace("&#x27;", "'")
    assert client.get(reverse("admin:mediagen_dashboard_csv", args=["days"]), wrong).status_code == 400


def test_the_page_takes_few_queries(signed_in, busy):
    client = signed_in(*MAY, "view_providerconfig")

    with CaptureQueriesContext(connection) as queries:
        assert show(client).status_code == 200

    assert len(queries) < 13, [query["sql"][:120] for query in queries]


# ---------------------------------------------------------------------- whose numbers


@pytest.mark.parametrize(
    ("may", "code"),
    [((), 403), (("view_generationattempt",), 403), (("view_mediaasset",), 403), (MAY, 200)],
)
def test_it_needs_both_permissions(signed_in, may, code):
    client = signed_in(*may)

    assert show(client).status_code == code
    assert client.get(reverse("admin:mediagen_dashboard_csv", args=["days"])).status_code == code
    assert ("/admin/mediagen/dashboard/" in client.get("/admin/").content.decode()) is (code == 200)


def test_who_is_no_staff_is_asked_to_sign_in(signed_in):
    assert show(signed_in(*MAY, is_staff=False)).status_code == 302


def test_a_hidden_library_is_in_no_number_and_no_file(signed_in, busy, library):
    MediaLibrary.objects.filter(pk=library.pk).update(owner=UserFactory())
    client = signed_in(*MAY)

    text = show(client).content.decode()

    assert "Fog" not in text
    assert "flux" not in text
    assert table(client, "days")[1:] == []
    assert table(client, "providers")[1:] == []
    assert table(client, "budgets")[1:] == []
    owner = signed_in(*MAY, "view_all_libraries")
    assert "Fog" in show(owner).content.decode()


def test_breakers_are_for_those_who_may_see_providers(signed_in, busy):
    assert "answered 503" not in show(signed_in(*MAY)).content.decode()


# ---------------------------------------------------------------------- tables


def test_the_tables_to_take_away(signed_in, busy):
    client = signed_in(*MAY, "view_providerconfig")

    days, providers, budgets = (table(client, what) for what in ("days", "providers", "budgets"))

    assert days[0][:4] == ["from", "provider", "images", "placeholders"]
    assert sum(int(row[2]) for row in days[1:]) == 7
    assert [row[0] for row in providers] == ["provider", "sdxl", "flux"]
    assert budgets[1][:5] == ["library", "Fog", "month", "10.0000", "6.000000"]
    assert client.get("/admin/mediagen/dashboard/nonsense.csv").status_code == 404


def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(signed_in, library):
    MediaLibrary.objects.filter(pk=library.pk).update(name='=HYPERLINK("http://x")', budget_limit=1)
    GenerationAttemptFactory(asset=None, library=library, provider_name="@SUM(A1)")
    client = signed_in(*MAY)

    assert table(client, "budgets")[1][1] == '\'=HYPERLINK("http://x")'
    assert table(client, "providers")[1][0] == "'@SUM(A1)"
    assert table(client, "days")[1][1] == "'@SUM(A1)"


# ---------------------------------------------------------------------- the app's own page


def test_the_apps_page_in_the_admin_has_the_week(signed_in, busy):
    client = signed_in(*MAY, "view_providerconfig")

    with CaptureQueriesContext(connection) as queries:
        text = client.get("/admin/mediagen/").content.decode()

    assert "The last 7 days" in text
    assert "$0.68" in text
    assert "/admin/mediagen/providerconfig/" in text
    assert len(queries) < 13  # one of them: whether what may be seen is much


def test_the_apps_page_has_no_numbers_for_others(signed_in, busy):
    text = signed_in("view_providerconfig").get("/admin/mediagen/").content.decode()

    assert "The last 7 days" not in text
    assert "/admin/mediagen/providerconfig/" in text


def test_a_site_that_has_only_some_of_our_pages_has_an_app_page_too(busy, rf):
    """A site of a host's own registers what it likes; our block on its page must not ask for the rest."""
    site = AdminSite(name="backstage")
    site.register(MediaLibrary)
    request = rf.get("/backstage/mediagen/")
    request.user = UserFactory(is_superuser=True)
    request.current_app = "backstage"

    with override_settings(ROOT_URLCONF=backstage(site)):
        text = site.app_index(request, "mediagen").rendered_content

    assert "The last 7 days" in text
    assert "$0.68" in text


def backstage(site):
    urls = ModuleType("backstage_urls")
    urls.urlpatterns = [path("backstage/", site.urls)]
    return urls


# ---------------------------------------------------------------------- bars


def test_bars_stand_upon_each_other_and_reach_the_top():
    chart = stacked(
        "c",
        "Chart",
        labels=["Mon", "Tue"],
        series={"a": [1, 0], "b": [3, 2]},
        css={"a": "one", "b": "two"},
        text=lambda value: f"{value:g}",
    )

    low, high, other = chart.bars
    assert low.y == pytest.approx(high.y + high.height, abs=0.02)
    assert high.y == pytest.approx(8, abs=0.02), "4 of 4: as high as the chart"
    assert other.height == pytest.approx(2 * low.height, abs=0.02)
    assert [bar.title for bar in chart.bars] == ["Mon, a: 1", "Mon, b: 3", "Tue, b: 2"]
    assert [line.text for line in chart.lines] == ["0", "1", "2", "3", "4"]
    assert chart.rows == (("Mon", ("1", "3")), ("Tue", ("0", "2")))


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.03, 0.04), (1, 1), (1.1, 2), (7, 8), (61, 80), (99, 100)])
def test_an_axis_ends_at_a_round_number(value, top):
    assert nice(value) == pytest.approx(top)


def test_many_providers_share_a_colour_behind_the_first_seven(signed_in, library):
    for number in range(10):
        name = f"provider{number}"
        ProviderConfig.objects.create(name=name, adapter="sdxl", position=20 + number)
        GenerationAttemptFactory(asset=None, library=library, provider_name=name, cost=Decimal(number + 1))

    spend = show(signed_in(*MAY)).context["charts"][0]

    assert [series.name for series in spend.key][-2:] == ["provider3", "others"]
    assert spend.key[-1].total == "$6.00"
