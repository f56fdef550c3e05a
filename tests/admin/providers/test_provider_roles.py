"""Roles x pages x actions of the operator's part: what each may see and do, in one table."""

from __future__ import annotations

import pytest
from django.urls import reverse

from mediagen.models import ProviderConfig, ProviderHealth
from tests.admin.conftest import act, page
from tests.covering import all_but

pytestmark = pytest.mark.django_db

ROLES = {
    "anonymous": None,
    "customer": {"is_staff": False},
    "staff without rights": {},
    "editor": {"may": ("view_mediaasset", "change_mediaasset", "add_mediaasset")},
    "auditor": {"may": ("view_mediaasset", "view_generationattempt")},
    "looker": {"may": ("view_providerconfig", "view_providerhealth")},
    "operator": {"may": ("view_providerconfig", "change_providerconfig", "view_providerhealth")},
    "superuser": {"is_superuser": True},
}
# 302 to the sign-in page, 403, 404 where there is nothing to be found out, 200.
ACTIONS = ("check_now", "reset_breakers", "generate_test", "delete_selected")
PAGES = {
    "list": ("get", lambda pk: page("providerconfig")),
    "form": ("get", lambda pk: page("providerconfig", "change", pk)),
    "history": ("get", lambda pk: page("providerconfig", "history", pk)),
    "add": ("get", lambda pk: page("providerconfig", "add")),
    "delete": ("get", lambda pk: page("providerconfig", "delete", pk)),
    "move": ("post", lambda pk: page("providerconfig", "move", pk)),
    "rehearse": ("get", lambda pk: page("providerconfig", "rehearse")),
    "setup": ("get", lambda pk: page("providerconfig", "setup")),
    "dashboard": ("get", lambda pk: page("dashboard")),
    "csv": ("get", lambda pk: reverse("admin:mediagen_dashboard_csv", args=["providers"])),
}
ALLOWED = {
    "anonymous": set(),
    "customer": set(),
    "staff without rights": set(),
    "editor": set(),
    "auditor": {"dashboard", "csv"},
    "looker": {"list", "form", "history", "rehearse"},
    "operator": {"list", "form", "history", "rehearse", "move", "setup"},
    "superuser": set(PAGES),
}


def client_of(role, signed_in, client):
    given = ROLES[role]
    if given is None:
        return client
    return signed_in(*given.get("may", ()), **{name: value for name, value in given.items() if name != "may"})


@pytest.mark.parametrize("role", ROLES)
def test_who_may_open_what(role, signed_in, client):
    config = ProviderConfig.objects.get(name="flux")
    person = client_of(role, signed_in, client)

    opened = set()
    for name, (method, address) in PAGES.items():
        data = {"direction": "up"} if method == "post" else {}
        response = getattr(person, method)(address(config.pk), data)
        signs_in = response.status_code == 302 and "/login/" in response.url
        assert response.status_code in (200, 302, 403, 404), name
        assert signs_in is (role in ("anonymous", "customer")), name
        if response.status_code == 200 or (response.status_code == 302 and not signs_in):
            opened.add(name)

    assert opened == ALLOWED[role]
    moved = ProviderConfig.objects.get(name="flux").position == 2
    assert moved is ("move" in ALLOWED[role])


@pytest.mark.parametrize(
    ("action", "role"),
    all_but(
        [(action, role) for action in ACTIONS for role in ROLES],
        *[(action, role) for action in ACTIONS for role in ("editor", "looker", "operator")],
    ),
)
def test_who_may_run_which_action(role, action, signed_in, client):
    config = ProviderConfig.objects.get(name="flux")
    ProviderHealth.objects.create(provider_name="flux", operation="generate_image", state="open")
    person = client_of(role, signed_in, client)

    act(person, "providerconfig", action, config.pk, post="yes")
    listed = person.get(page("providerconfig"))

    may = {
        "check_now": {"operator", "superuser"},
        "reset_breakers": {"operator", "superuser"},
        "generate_test": {"superuser"},
        "delete_selected": {"superuser"},
    }[action]
    assert (listed.status_code == 200 and f'value="{action}"' in listed.content.decode()) is (role in may)
    assert ProviderHealth.objects.exists() is not (action == "reset_breakers" and role in may)
    assert ProviderConfig.objects.filter(name="flux").exists() is not (action == "delete_selected" and role in may)
