"""Every address x every method x every role. An address without a row here fails, so that somebody decides."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from mediagen.api.base import METHODS
from mediagen.api.urls import urlpatterns
from mediagen.models import GenerationBatch, MediaAsset
from tests.api.callers import EVERYTHING, SCOPES, Caller
from tests.covering import all_but
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

NEEDS: dict[str, dict[str, str]] = {
    "generations/": {"GET": "read or generate", "POST": "generate"},
    "generations/estimate/": {"POST": "generate"},
    "edits/": {"POST": "generate"},
    "edits/estimate/": {"POST": "generate"},
    "variations/": {"POST": "generate"},
    "variations/estimate/": {"POST": "generate"},
    "upscales/": {"POST": "generate"},
    "upscales/estimate/": {"POST": "generate"},
    "background-removals/": {"POST": "generate"},
    "background-removals/estimate/": {"POST": "generate"},
    "outpaints/": {"POST": "generate"},
    "outpaints/estimate/": {"POST": "generate"},
    "descriptions/": {"GET": "read or generate", "POST": "generate"},
    "descriptions/estimate/": {"POST": "generate"},
    "descriptions/<uuid:pk>/": {"GET": "read or generate"},
    "descriptions/<uuid:pk>/accept/": {"POST": "change"},
    "descriptions/<uuid:pk>/reject/": {"POST": "change"},
    "generations/<uuid:pk>/": {"GET": "read or generate"},
    "generations/<uuid:pk>/events": {"GET": "read or generate"},
    "generations/<uuid:pk>/cancel/": {"POST": "generate"},
    "generations/<uuid:pk>/retry/": {"POST": "generate"},
    "batches/": {"GET": "read", "POST": "generate"},
    "batches/check/": {"POST": "generate"},
    "batches/<uuid:pk>/": {"GET": "read"},
    "batches/<uuid:pk>/result/": {"GET": "read"},
    "batches/<uuid:pk>/start/": {"POST": "generate"},
    "batches/<uuid:pk>/resume/": {"POST": "generate"},
    "batches/<uuid:pk>/pause/": {"POST": "generate"},
    "batches/<uuid:pk>/cancel/": {"POST": "generate"},
    "batches/<uuid:pk>/retry/": {"POST": "generate"},
    "libraries/": {"GET": "read", "POST": "add libraries"},
    "libraries/<uuid:pk>/": {"GET": "read", "PATCH": "change libraries", "DELETE": "delete libraries"},
    "collections/": {"GET": "read", "POST": "change"},
    "collections/<uuid:pk>/": {"GET": "read", "PATCH": "change", "DELETE": "change"},
    "providers/": {"GET": "signed in"},
    "attempts/unsettled/": {"GET": "settle"},
    "attempts/<uuid:pk>/settle/": {"POST": "settle"},
    "attempts/<uuid:pk>/look/": {"POST": "settle"},
    "me/": {"GET": "signed in"},
    "stats/": {"GET": "read"},
    "figma/session/": {"GET": "figma"},
    "figma/files/": {"GET": "figma"},
    "figma/exports/": {"GET": "figma", "POST": "figma"},
    "figma/exports/<uuid:pk>/claim/": {"POST": "figma"},
    "figma/exports/<uuid:pk>/placed/": {"POST": "figma"},
    "figma/exports/<uuid:pk>/not-placed/": {"POST": "figma"},
    "figma/exports/<uuid:pk>/give-back/": {"POST": "figma"},
    "figma/assets/": {"GET": "figma"},
    "figma/assets/<uuid:pk>/picture/": {"GET": "figma"},
    "figma/uploads/": {"POST": "figma"},
    "openai/v1/images/generations": {"POST": "generate"},
    "openai/v1/models": {"GET": "generate"},
    "openai/v1/models/<str:name>": {"GET": "generate"},
    "assets/best/": {"GET": "read"},
    "assets/facets/": {"GET": "read"},
    "assets/<uuid:pk>/srcset/": {"GET": "read"},
    "assets/<uuid:pk>/attempts/": {"GET": "read"},
    "assets/<uuid:pk>/duplicates/": {"GET": "read"},
    "assets/<uuid:pk>/variants/": {"GET": "read", "POST": "generate"},
    "assets/<uuid:pk>/crops/": {"POST": "generate"},
    "assets/<uuid:pk>/usages/": {"GET": "read", "POST": "change"},
    "assets/<uuid:pk>/metrics/": {"POST": "change"},
    "assets/<uuid:pk>/download/": {"GET": "read"},
    "assets/<uuid:pk>/original/": {"GET": "read"},
    "assets/<uuid:pk>/origin/": {"GET": "read"},
    "assets/<uuid:pk>/similar/": {"GET": "read"},
    "verify/": {"POST": "read"},
    "assets/<uuid:pk>/renditions/": {"GET": "read"},
    "assets/<uuid:pk>/link/": {"POST": "read"},
    "assets/": {"GET": "read", "POST": "generate"},
    "assets/<uuid:pk>/": {"GET": "read", "PATCH": "change", "DELETE": "delete"},
    "assets/<uuid:pk>/undelete/": {"POST": "delete"},
    "assets/<uuid:pk>/tags/": {"POST": "change"},
    "assets/<uuid:pk>/approve/": {"POST": "approve"},
    "assets/<uuid:pk>/publish/": {"POST": "approve"},
    "assets/<uuid:pk>/archive/": {"POST": "approve"},
    "assets/<uuid:pk>/restore/": {"POST": "approve"},
    "jobs/count/": {"POST": "read"},
    "jobs/": {"GET": "read", "POST": "read"},
    "jobs/<uuid:pk>/": {"GET": "read"},
    "jobs/<uuid:pk>/cancel/": {"POST": "read"},
    "jobs/<uuid:pk>/file/": {"GET": "read"},
    "openai/v1/images/edits": {"POST": "generate"},
    "exports/": {"GET": "read", "POST": "change"},
    "exports/<uuid:pk>/": {"GET": "read"},
    "exports/<uuid:pk>/cancel/": {"POST": "change"},
    "exports/<uuid:pk>/retry/": {"POST": "change"},
    "imports/figma/": {"POST": "import"},
    "imports/canva/": {"POST": "import"},
    "tokens/": {"GET": "manage", "POST": "manage"},
    "tokens/<uuid:pk>/": {"GET": "manage"},
    "tokens/<uuid:pk>/rotate/": {"POST": "manage"},
    "tokens/<uuid:pk>/revoke/": {"POST": "manage"},
    "webhooks/endpoints/": {"GET": "tell", "POST": "tell"},
    "webhooks/endpoints/<uuid:pk>/": {"GET": "tell", "PATCH": "tell", "DELETE": "tell"},
    "webhooks/endpoints/<uuid:pk>/test/": {"POST": "tell"},
    "webhooks/endpoints/<uuid:pk>/secret/": {"POST": "tell"},
    "webhooks/messages/": {"GET": "tell"},
    "webhooks/messages/<uuid:pk>/": {"GET": "tell"},
    "webhooks/messages/<uuid:pk>/replay/": {"POST": "tell"},
    "schema/": {"GET": "public"},
    "docs/": {"GET": "public"},
    "docs/<str:name>": {"GET": "public"},
}
LIBRARIES = ("add libraries", "change libraries", "delete libraries")
MANAGE = [*EVERYTHING, "add_medialibrary", "change_medialibrary", "delete_medialibrary"]
ADMIN = [
    *MANAGE,
    "import_mediaasset",
    *(f"{verb}_apitoken" for verb in ("view", "add", "change")),
    *(f"{verb}_webhookendpoint" for verb in ("view", "add", "change", "delete")),
    *(f"{verb}_webhookmessage" for verb in ("view", "change")),
]
FIGMA = (*SCOPES, "figma", "manage")
ROLES: dict[str, tuple[set[str], list[str], tuple[str, ...]]] = {
    # role: (what it may, its permissions, its token's scopes)
    "nobody": ({"signed in"}, [], SCOPES),
    "reader": ({"signed in", "read"}, ["view_mediaasset"], SCOPES),
    "maker": ({"signed in", "read", "generate"}, ["view_mediaasset", "add_mediaasset"], SCOPES),
    "editor": ({"signed in", "read", "generate", "change", "approve", "delete"}, EVERYTHING, SCOPES),
    "manager": ({"signed in", "read", "generate", "change", "approve", "delete", *LIBRARIES}, MANAGE, SCOPES),
    "administrator": (
        {"signed in", "read", "generate", "change", "approve", "delete", "import", "manage", "tell", *LIBRARIES},
        ADMIN,
        (*SCOPES, "manage"),
    ),
    "administrator's token without manage": (
        {"signed in", "read", "generate", "change", "approve", "delete", "import", *LIBRARIES},
        ADMIN,
        SCOPES,
    ),
    "token that manages": ({"signed in", "manage"}, ADMIN, ("manage",)),
    "token that reads": ({"signed in", "read"}, MANAGE, ("read",)),
    "token that generates": ({"signed in", "generate"}, MANAGE, ("generate",)),
    "token that changes": ({"signed in", "change", "delete", *LIBRARIES}, MANAGE, ("change",)),
    "Figma's token": ({"signed in", "figma"}, MANAGE, ("figma",)),
}


OF_ONE_REQUEST = ("X-Request-Id", "RateLimit-Remaining", "RateLimit-Reset")
"""headers that differ from one request to the next, whatever is asked for"""
BY_SIGNATURE = ("files/<str:token>/", "pictures/<str:token>")
"""whoever has the address may read the file"""


def addresses() -> dict[str, set[str]]:
    """{address: its methods} of all that the API has."""
    found = {}
    for pattern in urlpatterns:
        view = getattr(pattern.callback, "cls", None) or pattern.callback.view_class
        methods = {method.upper() for method in METHODS if hasattr(view, method)}
        if methods and str(pattern.pattern) not in BY_SIGNATURE:
            found[str(pattern.pattern)] = methods
    return found


def test_every_address_has_a_row():
    assert {address: set(needs) for address, needs in NEEDS.items()} == addresses()


def path_to(address: str, pk: Any) -> str:
    return "/api/v1/" + address.replace("<uuid:pk>", str(pk)).replace("docs/<str:name>", "docs/swagger-ui.css").replace(
        "<str:name>", "sdxl"
    )


def thing_for(address: str, user: Any, **library: Any) -> Any:
    """The id of something that the address is about, which this user may see; some id where that is none of ours."""
    if address.startswith("libraries/"):
        return MediaLibraryFactory(**library).pk
    if address.startswith("batches/"):
        return GenerationBatch.objects.create(
            name="batch", fingerprint=uuid4().hex, state="running", created_by=user
        ).pk
    if address.startswith(("generations/", "assets/")):
        return MediaAssetFactory(library=MediaLibraryFactory(**library), ready=True).pk
    return uuid4()


def ask(client: Client, method: str, path: str) -> int:
    if path.endswith(("/events", "/events/")) and method == "GET":
        # Not read: whether the stream is given is known before it begins.
        return client.get(path).status_code
    return send(client, method, path).status_code


def send(client: Client, method: str, path: str) -> Any:
    body = () if method == "GET" else ("{}", "application/json")
    response = getattr(client, method.lower())(path, *body)
    for close in response._resource_closers:  # not close(): that ends the request, and the test's connection with it
        close()
    return response


@pytest.mark.django_db
@pytest.mark.parametrize("role", all_but(ROLES, "nobody", "editor", "token that reads", "token that changes"))
def test_who_may(role, media_root):
    grants, permissions, scopes = ROLES[role]
    caller = Caller(UserFactory(may=permissions), scopes=scopes)
    wrong = []
    for address, needs in NEEDS.items():
        for method, need in needs.items():
            status = ask(caller, method, path_to(address, thing_for(address, caller.user)))
            is_given = need == "public" or bool(grants & set(need.split(" or "))) or need in grants
            hides = need in LIBRARIES and "read" not in grants  # whoever cannot see it is not told that it is there
            if ((status in (401, 403)) is is_given and not (hides and status == 404)) or status >= 500:
                wrong.append(f"{method} {address}: {status}")

    assert wrong == []


@pytest.mark.django_db
def test_strangers(media_root):
    given = []
    for address, needs in NEEDS.items():
        for method in needs:
            if ask(Client(), method, path_to(address, thing_for(address, UserFactory()))) != 401:
                given.append(address)

    assert given == ["schema/", "docs/", "docs/<str:name>"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address", [one for one in NEEDS if "<uuid:pk>" in one and one.startswith(("gener", "batch", "librar", "assets"))]
)
def test_what_may_not_be_seen_is_as_if_it_were_not_there(address, media_root):
    caller = Caller(UserFactory(may=MANAGE))
    hidden = thing_for(address, UserFactory(), owner=UserFactory())
    for method in NEEDS[address]:
        answers = [send(caller, method, path_to(address, pk)) for pk in (hidden, uuid4())]

        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content
        first, second = ({**answer.headers, **dict.fromkeys(OF_ONE_REQUEST)} for answer in answers)
        assert first == second


@pytest.mark.django_db
def test_a_superuser_may_everything(media_root):
    caller = Caller(UserFactory(is_superuser=True), scopes=FIGMA)
    for address, needs in NEEDS.items():
        for method in needs:
            status = ask(caller, method, path_to(address, thing_for(address, caller.user)))
            assert status not in (401, 403), (method, address)
    assert MediaAsset.objects.exists()
