"""What the gallery is narrowed to, as its form and its address say."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any

from django import forms
from django.db.models import Case, F, IntegerField, When
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mediagen.engine.library import Access, AssetFilters, Right, collections, narrowed
from mediagen.models import AssetSource, Collection, GenerationState, MediaLibrary, ReviewStatus
from mediagen.models.asset import MediaAssetQuerySet

MOST_IDS = 48
MAX_PX = 2**31 - 1
MOST_SORTED = 10_000
"""pictures that one can page through in another order than by age, for which there is no index"""
SORTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "oldest": (gettext_lazy("oldest"), ("pk",)),
    "cost": (gettext_lazy("cost"), ("-cost", "-pk")),
    "rating": (gettext_lazy("rating"), ("-rating", "-pk")),
    "name": (gettext_lazy("name"), ("name", "-pk")),
}


class Ids(forms.CharField):
    """Ids between commas, as a list of at most a page."""

    def clean(self, value: Any) -> Any:
        try:
            return [uuid.UUID(each) for each in super().clean(value).split(",") if each][:MOST_IDS]
        except ValueError:
            raise forms.ValidationError(_("These are no assets.")) from None


class GalleryForm(forms.Form):
    """What the gallery is narrowed to. `before` is the last asset of the page before."""

    q = forms.CharField(label=gettext_lazy("Search"), required=False, max_length=200)
    library = forms.ModelChoiceField(
        label=gettext_lazy("Library"),
        queryset=MediaLibrary.objects.none(),
        required=False,
        empty_label=gettext_lazy("All libraries"),
    )
    state = forms.ChoiceField(label=gettext_lazy("State"), required=False)
    status = forms.ChoiceField(label=gettext_lazy("Review"), required=False)
    source = forms.ChoiceField(label=gettext_lazy("Came by"), required=False)
    is_placeholder = forms.ChoiceField(label=gettext_lazy("Placeholders"), required=False)
    provider = forms.CharField(label=gettext_lazy("Made by"), required=False, max_length=100)
    tag = forms.CharField(label=gettext_lazy("Tag"), required=False, max_length=100)
    min_width = forms.IntegerField(label=gettext_lazy("Width from"), required=False, min_value=0, max_value=MAX_PX)
    created_from = forms.DateField(
        label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    created_to = forms.DateField(
        label=gettext_lazy("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    generation_id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    parent = forms.UUIDField(required=False, widget=forms.HiddenInput)
    before = forms.UUIDField(required=False, widget=forms.HiddenInput)
    mine = forms.BooleanField(label=gettext_lazy("Only mine"), required=False)
    sort = forms.ChoiceField(label=gettext_lazy("Sorted by"), required=False)
    start = forms.IntegerField(required=False, min_value=0, max_value=MOST_SORTED)
    seen = Ids(required=False, max_length=4000, widget=forms.HiddenInput)
    """what somebody has opened last, which their browser knows"""
    collection = forms.ModelChoiceField(queryset=Collection.objects.none(), required=False, widget=forms.HiddenInput)

    OURS = frozenset({"before", "sort", "start", "mine", "collection", "seen"})
    """what the engine's filters do not have"""
    TYPED = frozenset({"provider", "tag", "min_width", "created_from", "created_to"})
    """what people write themselves: a mistake there is answered with a word and not with a missing page"""
    MORE = ("source", "is_placeholder", "provider", "tag", "min_width", "created_from", "created_to")
    """folded away"""

    def __init__(self, access: Access, data: Any) -> None:
        super().__init__(data)
        self.access = access
        library = self.fields["library"]
        if isinstance(library, forms.ModelChoiceField):
            library.queryset = access.libraries(Right.READ).only("name")
        collection = self.fields["collection"]
        if isinstance(collection, forms.ModelChoiceField):
            collection.queryset = collections.visible(access).select_related("library", "owner")
        kept = [choice for choice in ReviewStatus.choices if choice[0] != ReviewStatus.DELETED]
        for name, choices in {
            "state": [("", _("All states")), *GenerationState.choices],
            "status": [("", _("All")), *kept],
            "source": [("", _("All")), *AssetSource.choices],
            "sort": [("", _("newest")), *((name, label) for name, (label, _order) in SORTS.items())],
            "is_placeholder": [("", _("All")), ("true", _("only placeholders")), ("false", _("without placeholders"))],
        }.items():
            if isinstance(field := self.fields[name], forms.ChoiceField):
                # Labels of models are no messages of their own.
                field.choices = [(value, _(str(label)) if value else label) for value, label in choices]

    @property
    def is_broken(self) -> bool:
        """Whether the address cannot come from our form: a library of somebody else's, half an id."""
        return bool(self.errors.keys() - self.TYPED)

    @cached_property
    def filters(self) -> AssetFilters:
        """Only of a valid form."""
        said = {name: value for name, value in self.cleaned_data.items() if name not in self.OURS}
        if self.cleaned_data["mine"]:
            said["created_by"] = self.access.user.get_username()
        return AssetFilters(**said)

    @property
    def board(self) -> Collection | None:
        """Of a valid form: what is looked at, when it is one. A kept search is in the address as it is."""
        found: Collection | None = self.cleaned_data.get("collection")
        return found if found and found.is_board else None

    def found(self) -> MediaAssetQuerySet:
        """Of a valid form: what this person may see of it, in its order if that is not by age."""
        if (board := self.board) is not None:
            assets = collections.pictures(self.access, board)
        else:
            assets = self.access.assets(Right.READ)
        if seen := self.cleaned_data.get("seen"):
            turns = [When(pk=pk, then=turn) for turn, pk in enumerate(seen)]
            assets = assets.filter(pk__in=seen).order_by(Case(*turns, output_field=IntegerField()))
        found = narrowed(assets.select_related("library"), self.filters, self.access)
        # NULL is no rating and no known cost: last, on every database.
        order = [F(name[1:]).desc(nulls_last=True) if name[0] == "-" else name for name in self.order]
        return found.order_by(*order) if order else found.order_by("-pk") if self.is_by_age else found

    @property
    def is_by_age(self) -> bool:
        return not (self.order or self.board or self.cleaned_data.get("seen"))

    @property
    def order(self) -> tuple[str, ...]:
        """Of a valid form; () for the newest first."""
        return SORTS[self.cleaned_data["sort"]][1] if self.cleaned_data["sort"] else ()

    @property
    def more(self) -> list[forms.BoundField]:
        return [self[name] for name in self.MORE]

    @property
    def is_more_used(self) -> bool:
        return any(self[name].value() for name in self.MORE)
