"""Several images into the library: a bulk action of Wagtail's list of images."""

from __future__ import annotations

from typing import Any

from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from wagtail.images.views.bulk_actions.image_bulk_action import ImageBulkAction

from mediagen.contrib.wagtail import permissions
from mediagen.contrib.wagtail.views import SendForm, send_all


class SendAction(ImageBulkAction):  # type: ignore[misc]
    display_name = _("Into the picture library")
    action_type = "mediagen_send"
    aria_label = _("Take the selected images into the picture library")
    template_name = "mediagen_wagtail/send_many.html"
    action_priority = 40
    form_class = SendForm

    def check_perm(self, image: Any) -> bool:
        return permissions.may(self.request.user, "choose", image)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "user": self.request.user}

    def prepare_action(self, objects: Any, objects_without_access: Any) -> Any:
        # Here, and not in `execute_action`: that one has a transaction around it, and files do not roll back.
        send_all(list(objects), self.request.user, self.cleaned_form.cleaned_data["library"], self.request)
        return redirect(self.next_url)
