"""What Wagtail's admin asks us: make an image of a picture that was picked, take an image into the library."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from django.views.generic import View
from wagtail.admin import messages

from mediagen.contrib.wagtail import images, permissions
from mediagen.engine.library import Access, NoSuchAsset, Right, read_pick
from mediagen.errors import MediagenError, NotAllowed
from mediagen.models import MediaLibrary
from mediagen.models.routing import outside_transactions
from mediagen.studio.generation import prompt
from mediagen.studio.pages import problem
from mediagen.wording import translated

KEPT = ("multiple", "select_format")
"""parameters of Wagtail's dialog that its next step needs"""


@require_POST
def take(request: HttpRequest) -> HttpResponseBase:
    """POST a `pick`: the address at which Wagtail's dialog goes on with the image of that picture."""
    read = read_pick(request.POST.get("pick", ""))
    try:
        if read is None:
            raise NoSuchAsset(_("Choose the picture again: what was sent stands for none, or is too old."))
        image = images.image_for(read.pk, request.user)
    except NoSuchAsset as exc:
        return problem(translated(exc), status=404)
    except NotAllowed as exc:
        return problem(translated(exc), status=403)
    except MediagenError as exc:
        return problem(translated(exc), status=400)
    step = "select_format" if request.GET.get("select_format") else "chosen"
    kept = {name: request.GET[name] for name in KEPT if request.GET.get(name)}
    address = reverse(f"wagtailimages_chooser:{step}", args=[image.pk])
    return JsonResponse({"url": f"{address}?{urlencode(kept)}" if kept else address, "title": str(image)})


class SendForm(forms.Form):
    """Into which library."""

    library = forms.ModelChoiceField(
        label=gettext_lazy("Library"), queryset=MediaLibrary.objects.none(), empty_label=None
    )

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["library"].queryset = prompt.libraries(Access(user))  # type: ignore[attr-defined]


@method_decorator(outside_transactions, name="dispatch")
class SendView(View):
    """An image into the library, and on to the page where it is edited there."""

    def get(self, request: HttpRequest, pk: str) -> HttpResponseBase:
        return self._page(request, self._image(pk), SendForm(user=request.user))

    def post(self, request: HttpRequest, pk: str) -> HttpResponseBase:
        image = self._image(pk)
        form = SendForm(request.POST, user=request.user)
        if not form.is_valid():
            return self._page(request, image, form)
        try:
            asset = images.asset_for(image, request.user, form.cleaned_data["library"])
        except MediagenError as exc:
            form.add_error(None, translated(exc))
            return self._page(request, image, form)
        return redirect("mediagen:studio-edit", pk=asset.pk)

    def _image(self, pk: str) -> Any:
        """404 for one that may not be used, as for one that does not exist."""
        choosable = permissions.policy().instances_user_has_any_permission_for(self.request.user, ["choose"])
        return get_object_or_404(choosable, pk=pk)

    def _page(self, request: HttpRequest, image: Any, form: SendForm) -> HttpResponseBase:
        if (asset := images.its_asset(image, request.user)) is not None:
            return redirect("mediagen:studio-edit", pk=asset.pk)
        context = {"image": image, "form": form, "may_send": Access(request.user).has(Right.GENERATE)}
        return TemplateResponse(request, "mediagen_wagtail/send.html", context)


def send_all(found: list[Any], user: Any, library: Any, request: HttpRequest) -> None:
    """Each of the images into the library; what was not done is said for each."""
    sent = 0
    for image in found:
        try:
            images.asset_for(image, user, library)
        except MediagenError as exc:
            messages.error(request, f"{image}: {translated(exc)}")
        else:
            sent += 1
    if sent:
        button = messages.button(
            f"{reverse('mediagen:studio')}?library={library.pk}", _("Look at them"), new_window=True
        )
        text = _("%(number)d of them are in the library %(library)s now.") % {"number": sent, "library": library}
        messages.success(request, text, buttons=[button])
