"""Prompts that were used, templates and styles: a page of them, and how they are kept."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.generic import TemplateView

from mediagen.engine.library import Access, Right, presets
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import AssetSource, MediaAsset, PresetKind
from mediagen.studio import notices
from mediagen.studio.generation import prompt
from mediagen.studio.generation.choices import Providers
from mediagen.studio.pages import StudioPage, admin_link
from mediagen.wording import translated

LOOKED_BACK, RECENT, HISTORY = 60, 8, 50
"""of assets, for the prompts that are offered again"""


def used(access: Access, *, mine: bool, library: Any = None, most: int = HISTORY, of: int = 4 * HISTORY) -> list[Any]:
    """The latest assets, each of another prompt; not what stands in files, and in others' pictures of which they cut a
    part. One query, by an index."""
    assets = MediaAsset.objects.kept().filter(created_by=access.user.pk) if mine else access.assets(Right.READ)
    if library is not None:
        assets = assets.filter(library=library)
    rows = assets.filter(source=AssetSource.GENERATED).exclude(prompt="").order_by("-pk").only("prompt", "created_at")
    found: dict[str, MediaAsset] = {}
    for row in rows[:of]:
        found.setdefault(row.prompt, row)
    return list(found.values())[:most]


def recent_prompts(access: Access) -> list[str]:
    """What this person has asked for of late, each once."""
    return [row.prompt for row in used(access, mine=True, most=RECENT, of=LOOKED_BACK)]


class WordsView(StudioPage, TemplateView):
    """GET: styles, templates and what was asked for, `?library=` of a library. POST: `do` "delete" with an `id`, else
    keeps what stands in the prompt box as `preset_kind` by `preset_name`."""

    template_name = "mediagen/words.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        library = None
        if asked := self.request.GET.get("library"):
            try:
                library = self.access.libraries(Right.READ).filter(pk=uuid.UUID(asked)).first()
            except ValueError:
                library = None
            if library is None:
                raise Http404("There is no such library.")
        mine = set(presets.changeable(self.access).values_list("pk", flat=True)[:1000])
        return super().get_context_data(
            **kwargs,
            kinds=[
                (label, kind, prompt.style_choices(self.access, kind=kind))
                for kind, label in ((PresetKind.STYLE, _("Styles")), (PresetKind.TEMPLATE, _("Templates")))
            ],
            mine=mine,
            library=library,
            libraries=self.access.libraries(Right.READ).only("name").order_by("name"),
            used=used(self.access, mine=library is None, library=library),
            notice=notices.notice(self.request.GET, self.access),
            admin_url=admin_link(),
        )

    def post(self, request: HttpRequest) -> HttpResponseBase:
        said = request.POST
        try:
            if said.get("do") == "delete":
                get_object_or_404(presets.changeable(self.access), pk=_id(said.get("id", ""))).delete()
                return HttpResponseRedirect(f"{request.path}?said=unkept")
            library = self.access.libraries(Right.CHANGE).filter(pk__in=[_id(said.get("library", ""))]).first()
            if library is None:
                raise InvalidRequest(_("Choose a library that you may change."))
            presets.keep(
                self.access,
                library,
                said.get("preset_kind", ""),
                said.get("preset_name", ""),
                said.get("prompt", ""),
                negative_prompt=said.get("negative_prompt", ""),
                options={
                    choice.name: choice.clean(text, said.get("provider", ""))
                    for choice in Providers.now().options.values()
                    if (text := said.get(choice.field_name, "").strip())
                },
            )
        except MediagenError as exc:
            return self.render_to_response(self.get_context_data(problem=translated(exc)), status=400)
        return HttpResponseRedirect(f"{request.path}?said=kept")


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def keep_style(asset: MediaAsset, user: Any, said: Any) -> None:
    """The words of a picture, as they are or as somebody has changed them, with the picture as sample."""
    options = (asset.parameters or {}).get("options")
    presets.keep(
        Access(user),
        asset.library,
        said.get("preset_kind", PresetKind.STYLE),
        said.get("preset_name", ""),
        said.get("text", ""),
        negative_prompt=asset.negative_prompt,
        options=options if isinstance(options, dict) else None,
        sample=asset,
    )


def of_template(access: Access, said: str) -> dict[str, Any]:
    """What the prompt box begins with, of the template with this id; in its library, where they may make pictures."""
    kept = get_object_or_404(presets.visible(access), pk=_id(said))
    return {
        "prompt": kept.text,
        "negative_prompt": kept.negative_prompt,
        "options": kept.options if isinstance(kept.options, dict) else {},
        "library": kept.library_id if access.may(Right.GENERATE, kept.library_id) else None,
    }
