"""Finding assets by words."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.db import connections
from django.db.models import BooleanField, Exists, Func, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Upper
from django.utils.text import smart_split, unescape_string_literal

from mediagen.models import MediaAsset, MediaTag
from mediagen.models.kept_by_database import has_words, with_words
from mediagen.models.routing import alias

MAX_CHARS = 200
MAX_WORDS = 10
FIELDS = ("prompt", "name", "description", "alt_text")
RARE = 1_000
"""as many are fetched by their ids and sorted as quickly as others are walked through"""
SHORTEST = 3
"""characters of a word that is in the index"""

Assets = TypeVar("Assets", bound="QuerySet[MediaAsset]")


def matching(assets: Assets, text: str) -> Assets:
    """Those that hold every word of `text` in their prompt, name, description, alt text or tags.

    Words in quotes belong together. Letters are compared without case. Only the first 10 words of the first 200
    characters count: databases refuse longer patterns. No joins, so that no asset comes twice.
    """
    wanted = words(text)
    tags = {word: list(_tags(word).values_list("pk", flat=True)) for word in wanted}
    if (rare := _rare(wanted, tags)) is not None:
        assets = assets.filter(pk__in=rare)
    for word in wanted:
        found = Q(Exists(_links(tags[word]).filter(mediaasset=OuterRef("pk")))) if tags[word] else Q()
        assets = assets.filter(found | in_text(word))
    return assets


def in_text(word: str) -> Q:
    """Those in whose texts the word is."""
    database = connections[alias()]
    if database.vendor == "postgresql" and has_words(database):
        # The expression of its index, of which it has statistics: it then knows a word that many have.
        pattern = Upper(Value(f"%{database.ops.prep_for_like_query(word)}%"))
        return Q(Func(_Text(*FIELDS), pattern, template="%(expressions)s", arg_joiner=" LIKE ", output_field=BOOL))
    found = Q()
    for field in FIELDS:
        found |= Q(**{f"{field}__icontains": word})
    return found


BOOL = BooleanField()


class _Text(Func):
    function = "upper"
    arg_joiner = " || chr(10) || "
    output_field = TextField()


def _tags(word: str) -> QuerySet[MediaTag]:
    return MediaTag.objects.filter(key__contains=word.casefold())


def _links(tags: list[int]) -> QuerySet[Any]:
    return MediaAsset.tags.through._default_manager.filter(mediatag__in=tags)


def _rare(wanted: list[str], tags: dict[str, list[int]]) -> set[Any] | None:
    """Ids among which all that fit are, when the database's index of words finds them to be few. Of what many have the
    newest are soon found by looking at each; None then, and where there is no index, or all words are too short."""
    indexed = [word for word in wanted if len(word) >= SHORTEST]
    database = connections[alias()]
    if not indexed or not has_words(database):
        return None
    if in_texts := [word for word in indexed if not tags[word]]:
        return _few(with_words(database, in_texts, RARE + 1))
    for word in indexed:  # the text of a tag may be in a prompt, too
        tagged = list(_links(tags[word]).order_by().values_list("mediaasset", flat=True)[: RARE + 1])
        if len(tagged) <= RARE and (few := _few(with_words(database, [word], RARE + 1))) is not None:
            return few | set(tagged)
    return None


def _few(ids: list[Any]) -> set[Any] | None:
    return {pk if isinstance(pk, UUID) else UUID(pk) for pk in ids} if len(ids) <= RARE else None


def words(text: str) -> list[str]:
    """The words to look for, quotes taken off."""
    # PostgreSQL refuses NUL in any text.
    bits = smart_split(text.replace("\x00", " ")[:MAX_CHARS])
    plain = (unescape_string_literal(bit) if bit[0] in "\"'" and bit[0] == bit[-1] else bit for bit in bits)
    return [word for word in plain if word][:MAX_WORDS]
