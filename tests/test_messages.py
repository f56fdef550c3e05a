"""The translations are whole: nothing missing, guessed or gone; placeholders and compiled files fit."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any, ClassVar

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.core.management import call_command
from django.test import Client, RequestFactory
from django.utils import translation

from mediagen.attempts import AttemptState, Outcome
from mediagen.management.base import MediagenCommand
from mediagen.models import words
from tests import catalogues
from tests.catalogues import FOLDER, LANGUAGES, Entry
from tests.factories import UserFactory

PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[\d.]*[sdfr]|%%")


@pytest.fixture(scope="module", params=LANGUAGES)
def catalogue(request: pytest.FixtureRequest) -> tuple[str, list[Entry]]:
    return request.param, catalogues.entries(request.param)


def test_no_text_is_without_a_translation(catalogue: tuple[str, list[Entry]]) -> None:
    language, entries = catalogue
    number = int(re.search(r"nplurals=(\d)", entries[0].forms[0])[1])
    for entry in entries[1:]:
        assert not entry.is_obsolete, f"{language}: {entry}: run make messages"
        assert "fuzzy" not in entry.flags, f"{language}: {entry.msgid!r} is only guessed"
        wanted = number if entry.plural else 1
        assert len(entry.forms) == wanted, f"{language}: {entry.msgid!r} needs {wanted} forms"
        assert all(entry.forms.values()), f"{language}: {entry.msgid!r} is not translated"


def test_placeholders_are_those_of_the_text(catalogue: tuple[str, list[Entry]]) -> None:
    language, entries = catalogue
    for entry in entries[1:]:
        if "python-format" not in entry.flags:
            continue
        wanted = sorted(PLACEHOLDER.findall(entry.plural or entry.msgid))
        named = all("(" in one or one == "%%" for one in wanted)
        for form in entry.forms.values():
            found = sorted(PLACEHOLDER.findall(form))
            # "two pictures" needs no number, where the values come by name.
            fits = set(found) <= set(wanted) if entry.plural and named else found == wanted
            assert fits, f"{language}: {form!r} has {found}, and {entry.msgid!r} has {wanted}"


def test_the_compiled_file_is_that_of_the_text(catalogue: tuple[str, list[Entry]]) -> None:
    language, entries = catalogue
    with (FOLDER / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    expected = {}
    for entry in entries[1:]:
        key = f"{entry.context}\x04{entry.msgid}" if entry.context else entry.msgid
        if entry.plural:
            expected.update({(key, place): form for place, form in entry.forms.items()})
        else:
            expected[key] = entry.forms[0]
    compiled.pop("", None)
    assert compiled == expected, f"{language}: run make messages"


def test_every_marked_text_is_in_the_catalogue_and_none_that_is_gone() -> None:
    marked = list(catalogues.marked())
    assert len(marked) > 1500
    known = {(entry.msgid, entry.plural) for entry in catalogues.entries("de")[1:]}
    missing = {(text, plural): file for file, text, plural in marked if (text, plural) not in known}
    # A text that is marked with a plural elsewhere is in the catalogue with it.
    missing = {key: file for key, file in missing.items() if key[1] or key[0] not in {text for text, _ in known}}
    assert missing == {}, "run make messages, and translate what is new (gettext sees nothing within an f-string)"
    texts = {text for _, text, _ in marked}
    assert [text for text, _ in known if text not in texts] == [], "run make messages"


def test_all_languages_have_the_same_texts() -> None:
    found = {path.name for path in FOLDER.iterdir() if path.is_dir()}
    assert found == set(LANGUAGES)
    texts = [[(entry.msgid, entry.plural, entry.context) for entry in catalogues.entries(one)[1:]] for one in LANGUAGES]
    assert texts.count(texts[0]) == len(texts)


def _shown() -> Iterator[str]:
    """Names of models and fields that Django makes by itself and the admin shows."""
    request = RequestFactory().get("/")
    request.user = get_user_model()(pk=1, is_active=True, is_staff=True, is_superuser=True)
    for model in apps.get_app_config("mediagen").get_models():
        for name in {"verbose_name", "verbose_name_plural"} - set(model._meta.original_attrs):
            yield str(getattr(model._meta, name))
        if (page := admin.site._registry.get(model)) is None:
            continue
        names = {*flatten_fieldsets(page.get_fieldsets(request, None)), *page.get_readonly_fields(request, None)}
        names |= {*page.get_list_display(request), *page.get_list_filter(request)}
        for name in names:
            try:
                field = model._meta.get_field(name[0] if isinstance(name, tuple) else name)
            except (FieldDoesNotExist, TypeError, AttributeError):
                continue
            if field._verbose_name is None:
                yield str(field.verbose_name)


def test_the_words_of_models_and_fields_are_marked() -> None:
    assert sorted(set(_shown()) - set(words.NAMES)) == [], "they belong into mediagen/models/words.py"
    spoken = {outcome.value.replace("_", " ") for outcome in Outcome} | {state.value for state in AttemptState}
    assert spoken == set(words.OUTCOMES)


def test_the_words_of_models_speak_the_reader_s_language() -> None:
    asset = apps.get_model("mediagen", "MediaAsset")
    with translation.override("de"):
        assert str(asset._meta.get_field("file_size").verbose_name) == "Dateigröße"
        assert str(asset._meta.verbose_name_plural) == "Medien-Assets"
        assert asset(status="approved").get_status_display() == "freigegeben"
        assert str(apps.get_app_config("mediagen").verbose_name) == "Medienerzeugung"
    assert asset(status="approved").get_status_display() == "approved"


@pytest.mark.django_db
def test_a_refusal_of_the_api_is_said_in_the_language_of_the_request(client: Client) -> None:
    client.force_login(UserFactory(is_superuser=True))
    asked = "/api/v1/assets/?ordering=size"
    with translation.override("en"):  # a request leaves its language behind
        english, german = (client.get(asked, headers={"Accept-Language": one}).json() for one in ("en", "de"))
    assert english["type"] == german["type"]
    assert "ordering can be" in english["detail"]
    assert "ordering kann" in german["detail"]
    assert german["title"] == "Die Anfrage verlangt etwas, das nicht sein kann."


def test_commands_speak_english_whatever_the_site_speaks() -> None:
    class Command(MediagenCommand):
        requires_system_checks: ClassVar[list[str]] = []

        def handle(self, *args: Any, **options: Any) -> str:
            return translation.gettext("not known")

    with translation.override("de"):
        assert call_command(Command(stdout=StringIO())) == "not known"
        assert translation.gettext("not known") == "nicht bekannt"
