"""Filters of a list into which one types: words, numbers and days for which a column of choices would be endless.

Each is a small form of its own beside the list, sent by GET: no script is needed, and the address can be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from mediagen.errors import InvalidRequest
from mediagen.wording import translated


@dataclass(frozen=True, slots=True)
class Input:
    """One field of the form."""

    name: str
    label: Any
    type: str = "text"
    step: str = ""


class InputFilter(ListFilter):
    """What is typed is narrowed by `narrow`; subclasses say by which inputs and how.

    What cannot be read narrows to nothing and is said beside the input, as `error`.
    """

    template = "mediagen/admin/filter_inputs.html"
    inputs: tuple[Input, ...] = ()

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.error = ""
        for name in (given.name for given in self.inputs):
            if name in params:
                value = params.pop(name)
                self.used_parameters[name] = value[-1] if isinstance(value, list) else value

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return [given.name for given in self.inputs]

    def narrow(self, queryset: Any, given: dict[str, str]) -> QuerySet[Any]:
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        given = {name: str(value) for name, value in self.used_parameters.items() if str(value).strip()}
        if not given:
            return None
        try:
            return self.narrow(queryset, given)
        except InvalidRequest as exc:
            self.error = translated(exc)
            return queryset.none()

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """One entry: the form, with everything else that the list is narrowed to carried along."""
        own = self.expected_parameters()
        kept = [
            (name, value) for name, values in changelist.filter_params.items() for value in values if name not in own
        ]
        yield {
            "selected": bool(self.used_parameters),
            "query_string": changelist.get_query_string(remove=own),
            "display": self.title,
            "inputs": [(given, self.used_parameters.get(given.name, "")) for given in self.inputs],
            "kept": kept,
            "error": self.error,
        }
