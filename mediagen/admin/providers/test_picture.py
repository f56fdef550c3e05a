"""One picture from one provider, to see that it works: what it may cost is said before anything is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mediagen import conf
from mediagen.engine import get_media_engine
from mediagen.engine.generation import AssetOrder, Estimate, estimate
from mediagen.engine.library import Access, Right
from mediagen.engine.providers import makes_pictures
from mediagen.engine.work import work_soon
from mediagen.errors import MediagenError
from mediagen.models import MediaAsset, MediaLibrary, ProviderConfig
from mediagen.templatetags.mediagen import usd
from mediagen.wording import translated

SIDE_PX = 1024
PROMPT = "A lighthouse in the fog, seen from the sea"


@dataclass(frozen=True, slots=True)
class Trial:
    """A provider that somebody wants to try, and what that may cost, in words."""

    name: str
    cost: str
    is_possible: bool


def trial(config: ProviderConfig) -> Trial:
    if not makes_pictures(config):
        return Trial(config.name, _("makes no pictures"), False)
    try:
        found = estimate([AssetOrder.of(PROMPT, SIDE_PX, SIDE_PX, provider=config.name)])
    except MediagenError as exc:
        return Trial(config.name, translated(exc), False)
    return Trial(config.name, _cost(found), True)


def _cost(found: Estimate) -> str:
    if found.is_free:
        return _("nothing: it runs dry, and makes a placeholder")
    if found.without_price:
        return _("its price is not known")
    return _("up to %(amount)s") % {"amount": usd(found.dearest)}


class TestPictureForm(forms.Form):
    __test__ = False  # no test, though it is called so

    prompt = forms.CharField(label=gettext_lazy("Prompt"), initial=PROMPT, max_length=500)
    library: Any = forms.ModelChoiceField(label=gettext_lazy("Library"), queryset=None, empty_label=None)

    def __init__(self, access: Access, data: Any = None) -> None:
        """The libraries are those to which the person may add."""
        super().__init__(data, label_suffix="")
        libraries = access.libraries(Right.GENERATE)
        field: Any = self.fields["library"]
        field.queryset = libraries
        # On a new site there is none, and the engine makes the first.
        field.required = MediaLibrary.objects.exists()
        field.initial = libraries.filter(name=conf.get("DEFAULT_LIBRARY")).first()

    def ask(self, config: ProviderConfig, *, by: Any) -> MediaAsset:
        """The asset, which waits for whoever works."""
        library = self.cleaned_data["library"]
        asset = get_media_engine().enqueue_sync(
            self.cleaned_data["prompt"],
            SIDE_PX,
            SIDE_PX,
            library and library.pk,
            provider=config.name,
            name=_("Test of %(name)s") % {"name": config.name},
            tags=["test"],
            created_by=by,
        )
        work_soon([asset.pk])
        return asset
