"""Fields that are written the same in every site, whatever its REST_FRAMEWORK settings."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.utils.translation import gettext
from rest_framework import serializers

from mediagen.models.clock import from_db, to_db
from mediagen.types import near


class Time(serializers.DateTimeField):
    """ "2026-11-22T18:43:23.123456Z": UTC, also where the database keeps local times."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"read_only": True, **kwargs})

    def to_representation(self, value: datetime) -> str:
        return iso(value)


class Moment(serializers.DateTimeField):
    """A time that is sent, ISO 8601, as the site's database keeps it; without a zone it is UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"default_timezone": UTC, **kwargs})

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise serializers.ValidationError('must be a time such as "2026-11-22T18:43:23Z".')
        return to_db(super().to_internal_value(value))  # type: ignore[return-value]


def iso(value: datetime) -> str:
    """A time of the database, as `Time` writes it."""
    if value.tzinfo is UTC:
        return f"{value.isoformat()[:-6]}Z"
    aware = from_db(value) or value
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Usd(serializers.DecimalField):
    """ "0.040000": a decimal number as text, so that no client rounds it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_digits": 12, "decimal_places": 6, "coerce_to_string": True, **kwargs})

    def to_representation(self, value: Decimal) -> str:
        return f"{value:f}"


class Text(serializers.CharField):
    """JSON text and nothing else; kept as it is, without NUL and half characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError(gettext("must be text."))
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A whole number of JSON; no text, no 1.0, no true."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            raise serializers.ValidationError(gettext("must be a whole number."))
        return data


class Flag(serializers.BooleanField):
    """true or false of JSON."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError(gettext("must be true or false."))
        return data


class Choice(serializers.ChoiceField):
    """One of the words that it lists when another one comes."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_choice": "must be one of {choices}."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choice_strings_to_values:
            self.fail("invalid_choice", choices=", ".join(self.choice_strings_to_values))
        return self.choice_strings_to_values[data]


class Object(serializers.DictField):
    """A JSON object of whatever depth a database and a person can bear."""

    deepest = 20

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError(gettext("must be an object."))
        level: list[Any] = [data]
        for _ in range(self.deepest):
            level = [
                inner
                for outer in level
                if isinstance(outer, dict | list)
                for inner in (outer.values() if isinstance(outer, dict) else outer)
            ]
            if not level:
                return data
        raise serializers.ValidationError(
            gettext("must not be nested deeper than %(most)s levels.") % {"most": self.deepest}
        )


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses names that it does not have: a typing mistake must not be taken for nothing said."""

    names: ClassVar[set[str]] = set()
    """of all of them, as the schema names them"""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.names.add(cls.__name__.removesuffix("Serializer"))

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) - {"csrfmiddlewaretoken"} if isinstance(data, dict) else ()
        if unknown:
            known = [name for name, one in self.fields.items() if not one.read_only]
            raise serializers.ValidationError(
                {
                    str(name)[:60]: [gettext("There is no such field. %(near)s") % {"near": near(name, known)}]
                    for name in sorted(unknown)
                }
            )
        return super().to_internal_value(data)
