"""Every page and every action of the assets' admin, tried by everybody. One that is added without a row here fails.

The asset lies in a library of its own: the viewer is in the group that may look into it, the editor in the one that may
change it. The outsider has every permission, and neither group.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory
from django.urls import reverse

from mediagen import models
from mediagen.types import uuid7
from tests.covering import all_but
from tests.factories import (
    AssetExportFactory,
    AssetUsageFactory,
    BackgroundJobFactory,
    GenerationAttemptFactory,
    GenerationBatchFactory,
    GroupFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    MediaTagFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

SECRET = "the unannounced product"
ROLES = ("anonymous", "customer", "clerk", "viewer", "editor", "outsider", "superuser")
INSIDE = {"viewer", "editor", "superuser"}
STAFF = {*INSIDE, "outsider"}
WRITERS = {"editor", "superuser"}
NOBODY: set[str] = set()
OURS = {
    models.MediaAsset: "asset",
    models.MediaLibrary: "library",
    models.GenerationAttempt: "attempt",
    models.GenerationBatch: "batch",
    models.AssetUsage: "usage",
    models.AssetExport: "export",
    models.BackgroundJob: "job",
    models.MediaTag: "tag",
    models.Collection: "collection",
    models.PromptPreset: "preset",
}

# (model, page): who gets in. A page that only takes POST answers those with 405.
PAGES: dict[tuple[str, str], set[str]] = {
    ("mediaasset", "changelist"): STAFF,
    ("mediaasset", "add"): NOBODY,
    ("mediaasset", "change"): INSIDE,
    ("mediaasset", "history"): INSIDE,
    ("mediaasset", "delete"): NOBODY,
    ("mediaasset", "generate"): {*WRITERS, "outsider"},
    ("mediaasset", "estimate"): {*WRITERS, "outsider"},
    ("mediaasset", "generation"): INSIDE,
    ("mediaasset", "tiles"): INSIDE,
    ("mediaasset", "upload"): {*WRITERS, "outsider"},
    ("medialibrary", "changelist"): STAFF,
    ("medialibrary", "add"): {*WRITERS, "outsider"},
    ("medialibrary", "change"): INSIDE,
    ("medialibrary", "history"): INSIDE,
    ("medialibrary", "delete"): WRITERS,
    ("generationattempt", "changelist"): STAFF,
    ("generationattempt", "add"): NOBODY,
    ("generationattempt", "change"): INSIDE,
    ("generationattempt", "history"): INSIDE,
    ("generationattempt", "delete"): NOBODY,
    # Batches belong to who started them.
    ("generationbatch", "changelist"): STAFF,
    ("generationbatch", "add"): NOBODY,
    ("generationbatch", "change"): WRITERS,
    ("generationbatch", "history"): WRITERS,
    ("generationbatch", "delete"): NOBODY,
    ("generationbatch", "upload"): WRITERS,
    ("generationbatch", "progress"): WRITERS,
    ("assetusage", "changelist"): STAFF,
    ("assetusage", "add"): {*WRITERS, "outsider"},
    ("assetusage", "change"): INSIDE,
    ("assetusage", "history"): INSIDE,
    ("assetusage", "delete"): NOBODY,
    ("assetexport", "changelist"): STAFF,
    ("assetexport", "add"): NOBODY,
    ("assetexport", "change"): INSIDE,
    ("assetexport", "history"): INSIDE,
    ("assetexport", "delete"): NOBODY,
    # And so do long actions.
    ("backgroundjob", "changelist"): STAFF,
    ("backgroundjob", "add"): NOBODY,
    ("backgroundjob", "change"): WRITERS,
    ("backgroundjob", "history"): WRITERS,
    ("backgroundjob", "delete"): NOBODY,
    ("backgroundjob", "progress"): WRITERS,
    ("backgroundjob", "file"): NOBODY,  # it has none
    ("backgroundjob", "cancel"): WRITERS,
    # Tags are words, the same for all libraries.
    ("mediatag", "changelist"): STAFF,
    ("mediatag", "add"): {*WRITERS, "outsider"},
    ("mediatag", "change"): STAFF,
    ("mediatag", "history"): STAFF,
    ("mediatag", "delete"): {*WRITERS, "outsider"},
    ("collection", "changelist"): STAFF,
    ("collection", "add"): {*WRITERS, "outsider"},
    ("collection", "change"): INSIDE,
    ("collection", "history"): INSIDE,
    ("collection", "delete"): WRITERS,
    ("promptpreset", "changelist"): STAFF,
    ("promptpreset", "add"): {*WRITERS, "outsider"},
    ("promptpreset", "change"): INSIDE,
    ("promptpreset", "history"): INSIDE,
    ("promptpreset", "delete"): WRITERS,
}

# (model, action): (for whom it changes something, what its page is answered with).
ACTIONS: dict[tuple[str, str], tuple[set[str], dict[str, Any]]] = {
    ("mediaasset", "approve"): (WRITERS, {}),
    ("mediaasset", "publish"): (WRITERS, {}),
    ("mediaasset", "archive"): (WRITERS, {}),
    ("mediaasset", "restore"): (WRITERS, {"before": {"status": "archived"}}),
    ("mediaasset", "move"): (WRITERS, {"library": "shared"}),
    ("mediaasset", "tag"): (WRITERS, {"add": "new"}),
    ("mediaasset", "retry"): (WRITERS, {"before": {"generation_state": "failed"}}),
    ("mediaasset", "generate_again"): (WRITERS, {"how": "new_seed"}),
    ("mediaasset", "make_variants"): (WRITERS, {"sizes": "32x"}),
    ("mediaasset", "make_webp"): (WRITERS, {}),
    ("mediaasset", "download"): (INSIDE, {}),
    ("mediaasset", "export_figma"): (WRITERS, {"file_key": "abcDEF123456789012345"}),
    ("mediaasset", "export_canva"): (WRITERS, {"title": "Spring"}),
    ("mediaasset", "trash"): (WRITERS, {"expected": "1", "even_if_used": "1"}),
    ("mediaasset", "undelete"): (WRITERS, {"before": {"status": "deleted"}}),
    ("medialibrary", "delete_selected"): (NOBODY, {"post": "yes"}),  # it is not empty
    ("generationbatch", "pause"): (WRITERS, {}),
    ("generationbatch", "resume"): (WRITERS, {"before": {"state": "paused"}}),
    ("generationbatch", "retry"): (WRITERS, {"before": {"state": "paused"}}),
    ("generationbatch", "cancel"): (WRITERS, {}),
    ("generationattempt", "settle"): (
        WRITERS,
        {"came": "not_billed", "before": {"state": "unknown", "outcome": "unknown", "cost": None}},
    ),
    ("assetusage", "end"): (WRITERS, {}),
    ("assetexport", "retry"): (WRITERS, {"before": {"state": "failed", "target": "canva", "file_key": ""}}),
    ("assetexport", "cancel"): (WRITERS, {}),
    ("promptpreset", "delete_selected"): (WRITERS, {"post": "yes"}),
    ("collection", "delete_selected"): (WRITERS, {"post": "yes"}),
    ("mediatag", "delete_selected"): ({*WRITERS, "outsider"}, {"post": "yes"}),
}


@pytest.fixture
def rows():
    """The rows by name, all of them about one asset that not everybody may see."""
    viewers, editors = GroupFactory(name="viewers"), GroupFactory(name="editors")
    library = MediaLibraryFactory(name=f"Library of {SECRET}", owner=UserFactory())
    library.viewer_groups.add(viewers)
    library.editor_groups.add(editors)
    batch = GenerationBatchFactory(name=f"Batch of {SECRET}", total=1)
    asset = MediaAssetFactory(
        ready=True,
        library=library,
        name=SECRET,
        prompt=SECRET,
        alt_text=SECRET,
        generation_id=uuid7(),
        batch=batch,
        row_key="1",
    )
    return {
        "asset": asset,
        "library": library,
        "batch": batch,
        "attempt": GenerationAttemptFactory(asset=asset, message=f"no {SECRET}"),
        "usage": AssetUsageFactory(asset=asset, campaign=f"Campaign for {SECRET}"),
        "export": AssetExportFactory(asset=asset, frame_name=f"Frame of {SECRET}"),
        "job": BackgroundJobFactory(message=f"zip of {SECRET}"),
        "tag": MediaTagFactory(name="a word"),
        "preset": models.PromptPreset.objects.create(name=f"Style of {SECRET}", text=SECRET, library=library),
        "collection": models.Collection.objects.create(name=f"Board of {SECRET}", library=library),
        "shared": MediaLibraryFactory(name="Shared by all"),
        "groups": {"viewer": viewers, "editor": editors},
    }


def enter(role: str, rows: dict[str, Any]) -> Client:
    """A browser of somebody in this role."""
    client = Client()
    if role == "anonymous":
        return client
    user = UserFactory(is_superuser=role == "superuser", is_staff=role != "customer")
    ours = Permission.objects.filter(content_type__app_label="mediagen").exclude(codename="view_all_libraries")
    if role in ("customer", "editor", "outsider"):
        user.user_permissions.set(ours)
    if role == "viewer":
        user.user_permissions.set(ours.filter(codename__startswith="view_"))
    if group := rows["groups"].get(role):
        user.groups.add(group)
    if role in WRITERS:
        models.GenerationBatch.objects.filter(pk=rows["batch"].pk).update(created_by=user)
        models.BackgroundJob.objects.filter(pk=rows["job"].pk).update(created_by=user)
    client.force_login(user)
    return client


def address(model: str, name: str, rows: dict[str, Any]) -> str:
    row = rows[next(key for table, key in OURS.items() if table._meta.model_name == model)]
    if name in ("generation", "tiles"):
        args = [row.generation_id]
    else:
        args = [] if name in ("changelist", "add", "generate", "estimate", "upload") else [row.pk]
    return reverse(f"admin:mediagen_{model}_{name}", args=args)


def test_no_page_and_no_action_is_without_a_row(admin_user):
    request = RequestFactory().post("/")
    request.user = admin_user
    pages, actions = set(), set()
    for table in OURS:
        name, ours = str(table._meta.model_name), admin.site._registry[table]
        prefix = f"mediagen_{name}_"
        pages |= {(name, url.name.removeprefix(prefix)) for url in ours.urls if url.name and prefix in url.name}
        actions |= {(name, action) for action in ours.get_actions(request)}

    assert pages == set(PAGES)
    assert actions == set(ACTIONS)


@pytest.mark.parametrize("role", all_but(ROLES, "customer", "viewer", "editor", "outsider"))
def test_every_page_lets_in_whom_it_should_and_tells_others_nothing(role, rows):
    client = enter(role, rows)
    wrong = []
    for (model, name), who in PAGES.items():
        response = client.get(address(model, name, rows))
        let_in = response.status_code in (200, 405)
        if let_in != (role in who):
            wrong.append(f"{model} {name}: {response.status_code}")
        if role not in INSIDE and SECRET in response.content.decode():
            wrong.append(f"{model} {name} tells {role} of it")
    assert not wrong


@pytest.mark.parametrize("role", all_but(ROLES, "editor", "outsider"))
def test_search_filters_and_choices_tell_others_nothing(role, rows):
    client = enter(role, rows)
    library = rows["library"].pk
    asked = [(f"mediagen_{model}_changelist", {"q": "unannounced"}) for model, name in PAGES if name == "changelist"]
    asked += [
        ("mediagen_mediaasset_changelist", {"library__id__exact": str(library)}),
        ("mediagen_mediaasset_changelist", {"status__exact": "deleted"}),
        ("mediagen_assetusage_changelist", {"campaign": f"Campaign for {SECRET}"}),
        ("autocomplete", {"app_label": "mediagen", "model_name": "assetusage", "field_name": "asset", "term": "un"}),
    ]
    for name, query in asked:
        response = client.get(reverse(f"admin:{name}"), query)
        # What was asked for stands in the page's own inputs.
        shown = response.content.decode().replace(query.get("campaign", SECRET), "")
        found = [str(row) for row in response.context["cl"].result_list] if "cl" in (response.context or {}) else []
        assert role in INSIDE or not [row for row in found if SECRET in row], (name, query)
        assert role in INSIDE or "campaign" in query or SECRET not in shown, (name, query)


def state(rows: dict[str, Any]) -> Any:
    """Everything that an action could change."""
    return (
        list(models.MediaAsset.objects.order_by("pk").values("status", "library", "generation_state", "deleted_at")),
        list(models.MediaAsset.tags.through.objects.values_list("mediaasset", "mediatag")),
        list(models.BackgroundJob.objects.values_list("kind", "state")),
        list(models.GenerationBatch.objects.values_list("state")),
        list(models.GenerationAttempt.objects.values_list("state", "cost")),
        list(models.AssetUsage.objects.values_list("ended_at")),
        list(models.AssetExport.objects.order_by("pk").values_list("target", "state")),
        models.MediaLibrary.objects.filter(pk=rows["library"].pk).exists(),
        models.MediaTag.objects.filter(pk=rows["tag"].pk).exists(),
        models.PromptPreset.objects.filter(pk=rows["preset"].pk).exists(),
        models.Collection.objects.filter(pk=rows["collection"].pk).exists(),
    )


def _everyday():
    """Of each action one role that may and one that may not, in turns."""
    for number, (key, (who, _)) in enumerate(ACTIONS.items()):
        for roles in ([role for role in ROLES if role in who], [role for role in ROLES if role not in who]):
            yield from ((*key, roles[number % len(roles)]) for _ in roles[:1])


@pytest.mark.parametrize(
    ("model", "action", "role"), all_but([(*key, role) for key in ACTIONS for role in ROLES], *_everyday())
)
def test_an_action_changes_something_for_those_who_may_only(role, model, action, rows):
    who, given = ACTIONS[model, action]
    row = rows[next(key for table, key in OURS.items() if table._meta.model_name == model)]
    type(row).objects.filter(pk=row.pk).update(**given.get("before", {}))
    answers = {name: rows[value].pk if value in rows else value for name, value in given.items() if name != "before"}
    client = enter(role, rows)
    before = state(rows)

    for extra in ({}, {"select_across": "1"}):
        data = {"action": action, "_selected_action": [str(row.pk)], "_go": "1", **answers, **extra}
        query = "?status__exact=deleted" if action == "undelete" else ""
        client.post(address(model, "changelist", rows) + query, data)
        if not extra and role in who:
            assert state(rows) != before
            return

    assert state(rows) == before
