"""What the tables hold, what they refuse, and the questions that their QuerySets answer."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import DataError, IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from mediagen import conf
from mediagen.errors import InvalidRequest
from mediagen.models import (
    GenerationAttempt,
    MediaAsset,
    MediaLibrary,
    MediaTag,
    ProviderConfig,
    ProviderHealth,
    provider_choices,
)
from tests.factories import (
    GenerationAttemptFactory,
    GroupFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    MediaTagFactory,
    ProviderConfigFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def refused(make, constraint):
    """The database itself says no, and names the rule."""
    with pytest.raises((IntegrityError, DataError)) as caught, transaction.atomic():
        make()
    # SQLite names the columns of a unique rule, MariaDB its index, and what its columns without a sign cannot hold.
    said = ("UNIQUE constraint failed", "Duplicate entry", "Out of range")
    assert any(text in str(caught.value) for text in (constraint, *said))


# ---------------------------------------------------------------------- rules in the database


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"generation_state": "lost"}, "mediagen_asset_state_legal"),
        ({"status": "lost"}, "mediagen_asset_status_legal"),
        ({"cost": Decimal("-0.01")}, "mediagen_asset_cost_positive"),
        ({"generation_state": "ready"}, "mediagen_asset_ready_has_file"),
        ({"generation_state": "ready", "file": "a.png"}, "mediagen_asset_ready_has_file"),
        ({"focal_x": 1.5}, "mediagen_asset_focal_inside"),
        ({"width": -1}, "width"),
        ({"file_size": -1}, "file_size"),
    ],
)
def test_an_illegal_asset_is_refused(values, constraint):
    asset = MediaAssetFactory()

    refused(lambda: MediaAsset.objects.filter(pk=asset.pk).update(**values), constraint)


def test_an_idempotency_key_is_used_once_in_a_library():
    asset = MediaAssetFactory(idempotency_key="order 7")

    refused(lambda: MediaAssetFactory(library=asset.library, idempotency_key="order 7"), "mediagen_asset_idempotency")
    MediaAssetFactory(idempotency_key="order 7")  # in another library
    MediaAssetFactory(library=asset.library)  # none is no key
    MediaAssetFactory(library=asset.library)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"state": "lost"}, "mediagen_attempt_state_legal"),
        ({"outcome": "lost"}, "mediagen_attempt_outcome_legal"),
        ({"cost": -1}, "mediagen_attempt_money_positive"),
        ({"cost_held": -1}, "mediagen_attempt_money_positive"),
    ],
)
def test_an_illegal_attempt_is_refused(values, constraint):
    attempt = GenerationAttemptFactory()

    refused(lambda: GenerationAttempt.objects.filter(pk=attempt.pk).update(**values), constraint)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"timeout_s": 0}, "mediagen_provider_timeout_positive"),
        ({"budget_limit": -1}, "mediagen_provider_budget_positive"),
        ({"after_unknown": "ask"}, "mediagen_provider_rules_legal"),
        ({"after_refusal": "ask"}, "mediagen_provider_rules_legal"),
        ({"budget_period": "year"}, "mediagen_provider_rules_legal"),
    ],
)
def test_an_illegal_provider_is_refused(values, constraint):
    refused(lambda: ProviderConfig.objects.filter(name="sdxl").update(**values), constraint)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"budget_limit": -1}, "mediagen_library_budget_positive"),
        ({"budget_warning": -1}, "mediagen_library_warning_positive"),
        ({"budget_period": "year"}, "mediagen_library_period_legal"),
    ],
)
def test_an_illegal_library_is_refused(values, constraint):
    library = MediaLibraryFactory()

    refused(lambda: MediaLibrary.objects.filter(pk=library.pk).update(**values), constraint)


def test_names_and_circuits_are_there_once():
    library = MediaLibraryFactory(name="Shelf")
    circuit = {"provider_name": "sdxl", "model_name": "core", "operation": "generate_image"}
    ProviderHealth.objects.create(**circuit)

    refused(lambda: MediaLibraryFactory(name="Shelf"), "mediagen_medialibrary")
    refused(lambda: MediaLibraryFactory(slug=library.slug), "mediagen_medialibrary")
    refused(lambda: ProviderConfigFactory(name="sdxl"), "mediagen_providerconfig")
    refused(lambda: ProviderHealth.objects.create(**circuit), "mediagen_health_circuit_unique")
    refused(lambda: ProviderHealth.objects.update(state="ajar"), "mediagen_health_state_legal")


def test_a_library_with_assets_cannot_go():
    asset = MediaAssetFactory()

    with pytest.raises(ProtectedError):
        asset.library.delete()


def test_an_attempt_outlives_its_asset_and_library_because_the_money_does():
    attempt = GenerationAttemptFactory()
    library = attempt.library

    attempt.asset.delete()
    library.delete()

    attempt.refresh_from_db()
    assert (attempt.asset, attempt.library, attempt.cost) == (None, None, Decimal("0.03"))


def test_what_is_paged_through_has_an_index():
    """At a million rows a list without one reads the whole table."""
    asset = {tuple(index.fields) for index in MediaAsset._meta.indexes}
    attempt = {tuple(index.fields) for index in GenerationAttempt._meta.indexes}

    assert {("library", "-id"), ("status", "-id"), ("provider_name", "-id"), ("created_at",)} <= asset
    assert {("provider_name", "-started_at"), ("library", "-started_at"), ("outcome", "-started_at")} <= attempt


# ---------------------------------------------------------------------- libraries and who may see them


@pytest.fixture
def shelves():
    """Libraries by who may see them: nobody's, owned, shared to look into, shared to change, somebody else's."""
    viewers, editors, others = GroupFactory(), GroupFactory(), GroupFactory()
    user = UserFactory()
    user.groups.add(viewers, editors)
    found = {
        name: MediaLibraryFactory(name=name) for name in ("free", "mine", "to see", "to change", "foreign", "shared")
    }
    MediaLibrary.objects.filter(name="mine").update(owner=user)
    MediaLibrary.objects.filter(name="foreign").update(owner=UserFactory())
    found["to see"].viewer_groups.add(viewers, others)
    found["to change"].editor_groups.add(editors, viewers)
    found["shared"].editor_groups.add(others)
    return user, found


def names(queryset):
    return sorted(queryset.values_list("name", flat=True))


def test_who_may_look_into_which_library(shelves):
    user, _ = shelves

    assert names(MediaLibrary.objects.visible_to(user)) == ["free", "mine", "to change", "to see"]
    assert names(MediaLibrary.objects.editable_by(user)) == ["free", "mine", "to change"]


def test_some_may_look_into_all(shelves):
    everyone = sorted(shelves[1])

    for user in (UserFactory(is_superuser=True), UserFactory(may=["view_all_libraries"])):
        assert names(MediaLibrary.objects.visible_to(user)) == everyone
        assert names(MediaLibrary.objects.editable_by(user)) == everyone


def test_strangers_and_those_who_left_see_none(shelves):
    for user in (AnonymousUser(), UserFactory(is_superuser=True, is_active=False)):
        assert not MediaLibrary.objects.visible_to(user).exists()
        assert not MediaLibrary.objects.editable_by(user).exists()
        assert not MediaAsset.objects.visible_to(user).exists()


def test_assets_follow_their_library(shelves):
    user, found = shelves
    assets = {name: MediaAssetFactory(library=library, name=name) for name, library in found.items()}

    assert names(MediaAsset.objects.visible_to(user)) == ["free", "mine", "to change", "to see"]
    assert names(MediaAsset.objects.editable_by(user)) == ["free", "mine", "to change"]
    assert len(assets) == 6


def test_a_library_counts_what_is_ready_and_kept():
    library = MediaLibraryFactory()
    ready = MediaAssetFactory(ready=True, library=library)
    MediaAssetFactory(ready=True, library=library, status="deleted")
    MediaAssetFactory(failed=True, library=library)
    empty = MediaLibraryFactory()

    counted = {row.pk: (row.asset_count, row.total_bytes) for row in MediaLibrary.objects.with_counters()}

    assert counted == {library.pk: (1, ready.file_size), empty.pk: (0, None)}


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Spring 2026", "spring-2026"), ("Ärger & Freude", "arger-freude"), ("東京", "library"), ("!", "library")],
)
def test_a_library_makes_its_slug(name, slug):
    assert MediaLibraryFactory(name=name).slug == slug


def test_a_slug_that_is_taken_gets_a_number():
    assert [MediaLibraryFactory(name=name).slug for name in ("a b", "A-B", "a  b ")] == ["a-b", "a-b-2", "a-b-3"]


# ---------------------------------------------------------------------- assets


def test_the_newest_asset_comes_first_by_its_id():
    assets = [MediaAssetFactory() for _ in range(5)]

    assert list(MediaAsset.objects.all()) == assets[::-1]
    assert assets[0].asset_id == str(assets[0].pk)


def test_an_asset_has_a_short_name_whatever_it_lacks():
    assert str(MediaAssetFactory(name="Pier")) == "Pier"
    assert str(MediaAssetFactory(name="", prompt="p" * 100)) == "p" * 60 + "..."
    assert str(asset := MediaAssetFactory(name="", prompt="")) == asset.asset_id


def test_tag_names_are_sorted_and_cost_no_query_when_prefetched(django_assert_num_queries):
    asset = MediaAssetFactory()
    asset.tags.add(MediaTagFactory(name="sea"), MediaTagFactory(name="fog"))
    found = MediaAsset.objects.prefetch_related("tags").get()

    with django_assert_num_queries(0):
        assert found.tag_names == ["fog", "sea"]


def test_ready_and_kept():
    ready, deleted = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True, status="deleted")
    failed = MediaAssetFactory(failed=True)

    assert set(MediaAsset.objects.ready()) == {ready, deleted}
    assert set(MediaAsset.objects.kept()) == {ready, failed}
    assert ready.is_ready
    assert not failed.is_ready


def test_what_a_worker_may_take():
    hour = timedelta(hours=1)
    now = timezone.now()
    waiting = MediaAssetFactory()
    put_off = MediaAssetFactory(lease_until=now + hour)
    left = MediaAssetFactory(generation_state="running", lease_until=now - hour, lease_token=3)
    busy = MediaAssetFactory(generation_state="running", lease_until=now + hour, lease_token=1)
    ready = MediaAssetFactory(ready=True)
    everything = [asset.pk for asset in (waiting, put_off, left, busy, ready)]

    assert set(MediaAsset.objects.claimable()) == {waiting, left}
    assert MediaAsset.objects.claim(everything, worker="w", lease_s=60) == 2
    assert MediaAsset.objects.claim(everything, worker="other", lease_s=60) == 0

    left.refresh_from_db()
    assert (left.lease_worker, left.lease_token, left.generation_state) == ("w", 4, "running")
    assert left.lease_until > now
    assert MediaAsset.objects.held(left.pk, 4).exists()
    assert not MediaAsset.objects.held(left.pk, 3).exists()
    assert MediaAsset.objects.renew(worker="w", lease_s=600) == 2


# ---------------------------------------------------------------------- attempts


def test_attempts_of_an_asset_in_the_order_in_which_they_were_made():
    asset = MediaAssetFactory()
    made = [GenerationAttemptFactory(asset=asset, position=position) for position in (1, 2, 1)]
    GenerationAttemptFactory()

    assert list(GenerationAttempt.objects.of(asset)) == made


def test_open_attempts_are_those_that_nobody_has_ended():
    in_flight = GenerationAttemptFactory(in_flight=True)
    for trait in ("unknown", "rate_limited", "refused", "skipped", "unavailable"):
        GenerationAttemptFactory(**{trait: True})

    assert list(GenerationAttempt.objects.open()) == [in_flight]


def test_an_attempt_knows_its_job():
    attempt = GenerationAttemptFactory(provider_job_id="job-7", provider_job={"polling_url": "https://x"}, cost=1)

    assert (attempt.job.id, attempt.job.data, attempt.job.cost) == ("job-7", {"polling_url": "https://x"}, 1)
    assert GenerationAttemptFactory().job is None
    assert str(GenerationAttemptFactory(refused=True)) == "1. sdxl: refused"
    assert str(GenerationAttemptFactory(in_flight=True)) == "1. sdxl: submitted"


# ---------------------------------------------------------------------- providers


def test_a_new_site_has_the_seven_in_order():
    rows = ProviderConfig.objects.in_chain_order().values_list("name", "adapter", "position", "enabled")

    assert [name for name, *_ in rows] == list(conf.BUILT_IN_PROVIDERS)
    assert all((adapter, enabled) == (name, True) for name, adapter, _, enabled in rows)
    positions = {name: position for name, _, position, _ in rows}
    assert [positions[name] for name in conf.FIRST_PROVIDERS] == [1, 2, 3, 4, 5, 6, 7]


def test_the_placeholder_is_last_only_before_providers_that_were_added_later():
    def order():
        return list(ProviderConfig.objects.in_chain_order().values_list("name", flat=True))

    assert order()[-1] == "noop_media"
    ProviderConfig.objects.filter(name="sdxl").update(position=50)
    assert order()[5] == "noop_media"  # sdxl was put behind it, so that it is not asked
    assert order()[-1] == "sdxl"
    ProviderConfig.objects.filter(name="noop_media").update(position=0)
    assert order()[0] == "noop_media"


def test_one_more_adapter_is_one_line_in_the_settings_and_no_migration(settings):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": "site.acme.AcmeAdapter"}}
    field = ProviderConfig._meta.get_field("adapter")

    assert provider_choices()[-1] == ("acme", "acme")
    assert "acme" in dict(field.choices)
    assert field.deconstruct()[3]["choices"] is provider_choices


# ---------------------------------------------------------------------- tags


def test_tags_are_made_once_whatever_their_case():
    first = MediaTag.objects.ensure(["Spring Sale", "fog"])
    second = MediaTag.objects.ensure(["SPRING  sale", "spring sale", "sea"])

    assert sorted(tag.name for tag in first) == ["Spring Sale", "fog"]
    assert sorted(tag.name for tag in second) == ["Spring Sale", "sea"]
    assert MediaTag.objects.count() == 3


def test_known_tags_are_one_query(django_assert_num_queries):
    MediaTag.objects.ensure(["a", "b"])

    with django_assert_num_queries(1):
        MediaTag.objects.ensure(["A", "b"])
    with django_assert_num_queries(0):
        assert MediaTag.objects.ensure([]) == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "ß" * 51, "nul\x00", "\ud800"])
def test_what_cannot_be_a_tag_is_refused(name):
    with pytest.raises(InvalidRequest):
        MediaTag.objects.ensure([name])


def test_a_tag_keeps_its_key_in_step():
    tag = MediaTag.objects.create(name="  Straße ")

    assert (tag.name, tag.key, str(tag)) == ("Straße", "strasse", "Straße")


# ---------------------------------------------------------------------- words for people


def test_rows_say_what_they_are():
    circuit = ProviderHealth.objects.create(provider_name="sdxl", model_name="core", operation="generate_image")

    assert str(MediaLibraryFactory(name="Shelf")) == "Shelf"
    assert str(ProviderConfig.objects.get(name="sdxl")) == "sdxl"
    assert str(circuit) == "sdxl core generate_image: closed"
