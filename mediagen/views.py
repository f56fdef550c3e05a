"""The pages for people who use pictures and do not run the site: a gallery, and the story of each asset.

Who may see them: signed-in users with the permission to view media assets, and of those assets the ones in libraries
that they may look into. An asset of another library is answered as one that does not exist.
"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import NoReverseMatch, reverse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView, View

from mediagen.engine.search import matching, visible
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset, MediaLibrary
from mediagen.models.asset import MediaAssetQuerySet

PAGE = 48
"""assets; divides well into rows of two, three, four and six"""

CONTENT_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
}


class AssetAccess(PermissionRequiredMixin):
    """To the login page for strangers, 403 for those without the permission."""

    permission_required = "mediagen.view_mediaasset"
    request: HttpRequest

    def assets(self) -> MediaAssetQuerySet:
        """What this user may see, the newest first."""
        assets = visible(MediaAsset.objects.all(), self.request.user)
        return assets.kept().select_related("library").order_by("-pk")


class GalleryForm(forms.Form):
    """What the gallery is narrowed to. `before` is the last asset of the page before."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    library = forms.ModelChoiceField(
        label=_("Library"), queryset=MediaLibrary.objects.none(), required=False, empty_label=_("All libraries")
    )
    state = forms.ChoiceField(label=_("State"), required=False)
    before = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, user: Any, data: Any) -> None:
        super().__init__(data)
        library, state = self.fields["library"], self.fields["state"]
        if isinstance(library, forms.ModelChoiceField):
            library.queryset = MediaLibrary.objects.visible_to(user).only("name")
        if isinstance(state, forms.ChoiceField):
            state.choices = [("", _("All states")), *GenerationState.choices]


class GalleryView(AssetAccess, TemplateView):
    template_name = "mediagen/gallery.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = GalleryForm(self.request.user, self.request.GET)
        if not form.is_valid():  # a library that is not there, or not for this user; a broken address
            raise Http404("There is no such page of the gallery.")
        wanted = form.cleaned_data
        assets = self.assets()
        if wanted["library"]:
            assets = assets.filter(library=wanted["library"])
        if wanted["state"]:
            assets = assets.filter(generation_state=wanted["state"])
        if wanted["q"]:
            assets = matching(assets, wanted["q"])
        if wanted["before"]:
            # By the last id, not by a page number: quick at any depth, and new assets push none onto two pages.
            assets = assets.filter(pk__lt=wanted["before"])
        found = list(assets[: PAGE + 1])
        page = found[:PAGE]
        return super().get_context_data(
            form=form,
            assets=page,
            older=self._address(before=page[-1].pk) if len(found) > PAGE else "",
            newest=self._address(before=None) if wanted["before"] else "",
            is_narrowed=bool(wanted["q"] or wanted["library"] or wanted["state"]),
            **site_links(),
            **kwargs,
        )

    def _address(self, before: uuid.UUID | None) -> str:
        """This page's address with another `before`."""
        query = self.request.GET.copy()
        query.pop("before", None)
        if before:
            query["before"] = str(before)
        return f"{self.request.path}?{query.urlencode()}" if query else self.request.path


class AssetView(AssetAccess, TemplateView):
    template_name = "mediagen/asset.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        assets = self.assets().select_related("created_by", "reviewed_by").prefetch_related("tags")
        asset = get_object_or_404(assets, pk=kwargs["pk"])
        attempts = list(GenerationAttempt.objects.of(asset))
        return super().get_context_data(asset=asset, attempts=attempts, **site_links(asset), **kwargs)


class AssetFileView(AssetAccess, View):
    """The picture itself, for sites whose storage gives files no address of their own."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        asset = get_object_or_404(self.assets().exclude(file=""), pk=pk)
        etag = quote_etag(asset.content_hash)
        response = get_conditional_response(request, etag=etag)
        if response is None:
            response = self._whole(asset)
        response["ETag"] = etag
        # The address stays when a placeholder is replaced, so a browser asks again; for this user only.
        response["Cache-Control"] = "private, no-cache"
        return response

    def _whole(self, asset: MediaAsset) -> HttpResponse:
        try:
            with asset.file.open("rb") as file:
                content = file.read()
        except OSError:
            raise Http404("The file of this asset is not in the storage.") from None
        content_type = CONTENT_TYPES.get(asset.format)
        response = HttpResponse(content, content_type=content_type or "application/octet-stream")
        if content_type is None:
            response["Content-Disposition"] = "attachment"
        # Should anything but a picture ever stand there, no browser runs it.
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return response


def site_links(asset: MediaAsset | None = None) -> dict[str, str]:
    """Ways into the admin, where the site has one; the pages show them to staff."""
    try:
        if asset is None:
            return {"admin_url": reverse("admin:mediagen_mediaasset_changelist")}
        return {"admin_url": reverse("admin:mediagen_mediaasset_change", args=[asset.pk])}
    except NoReverseMatch:
        return {"admin_url": ""}
