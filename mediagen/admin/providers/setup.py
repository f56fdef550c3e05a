"""The first-run page: which keys are there, and an order of the chain that is written on a yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mediagen.admin.base import ModelAdmin
from mediagen.admin.providers.credential_text import credential_text
from mediagen.admin.theme import themed
from mediagen.engine.insight import Proposal, propose, write
from mediagen.engine.providers import CredentialState
from mediagen.models import ProviderConfig

if TYPE_CHECKING:
    _Base = ModelAdmin
else:
    _Base = object

LARGEST = 99_999


class SizeForm(forms.Form):
    """Of which pictures the prices are said, and the order goes by."""

    width = forms.IntegerField(label=gettext_lazy("Width"), min_value=1, max_value=LARGEST, initial=1024)
    height = forms.IntegerField(label=gettext_lazy("Height"), min_value=1, max_value=LARGEST, initial=1024)


class SetupPage(_Base):
    """Mixed into the providers' admin: what `manage.py mediagen_setup` says and writes, as a page."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.setup_view)
        return [path("setup/", view, name="mediagen_providerconfig_setup"), *super().get_urls()]

    def setup_view(self, request: HttpRequest) -> HttpResponse:
        """GET shows the proposed order for `width` and `height`; POST writes it, if it still is the `order` (ids, with
        commas) that was shown."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        form = themed(SizeForm)(request.GET if "width" in request.GET else None)
        size = form.cleaned_data if form.is_valid() else {}
        order = propose(size.get("width", 1024), size.get("height", 1024))
        ids = ",".join(str(row.config.pk) for row in order)
        if request.method == "POST":
            if request.POST.get("order") == ids:
                return self._written(request, order)
            self.message_user(
                request, _("Something has changed meanwhile: this is what is proposed now."), messages.WARNING
            )
        now = ",".join(str(pk) for pk in ProviderConfig.objects.in_chain_order().values_list("pk", flat=True))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": _("Set up the providers"),
            "form": form,
            "proposals": [
                (row, self._address("change", row.config.pk), credential_text(CredentialState(row.key)))
                for row in order
            ],
            "order": ids,
            "is_written": ids == now,
            "has_a_key": any(row.is_ready for row in order),
            "changelist_url": self._address("changelist"),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "mediagen/admin/setup.html", context)

    def _written(self, request: HttpRequest, order: list[Proposal]) -> HttpResponse:
        places = {row.config.pk: row.config.position for row in order}
        write(order)
        for place, row in enumerate(order, start=1):
            if places[row.config.pk] != place:
                self.log_change(request, row.config, [{"changed": {"fields": ["position"]}}])
        self.message_user(request, _("This is the order of the chain now."), messages.SUCCESS)
        return HttpResponseRedirect(self._address("changelist"))

    def _address(self, view: str, *args: Any) -> str:
        return reverse(f"admin:mediagen_providerconfig_{view}", args=args, current_app=self.admin_site.name)
