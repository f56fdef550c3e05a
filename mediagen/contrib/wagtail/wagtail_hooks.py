"""What Wagtail's admin shows of mediagen: the studio in its menu, a tab in the image chooser, a button at an image."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import NoReverseMatch, path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from wagtail import hooks
from wagtail.admin.menu import MenuItem
from wagtail.admin.widgets import Button
from wagtail.images.views import chooser
from wagtail.images.views import images as image_views

from mediagen.contrib.wagtail import images, permissions, views
from mediagen.contrib.wagtail.bulk import SendAction
from mediagen.engine.library import Access, Right
from mediagen.studio.generation import prompt


def _address(name: str) -> str:
    """ "" for a site without our pages."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def admin_urls() -> list[Any]:
    return [
        path("mediagen/take/", views.take, name="mediagen_wagtail_take"),
        path("mediagen/images/<str:pk>/send/", views.SendView.as_view(), name="mediagen_wagtail_send"),
    ]


def icons(icons: list[str]) -> list[str]:
    return [*icons, "mediagen_wagtail/icon.svg"]


class StudioItem(MenuItem):  # type: ignore[misc]
    def is_shown(self, request: Any) -> bool:
        return bool(self.url) and Access(request.user).has(Right.READ)


def menu_item() -> MenuItem:
    return StudioItem(
        _("Picture studio"), _address("mediagen:studio"), name="mediagen", icon_name="mediagen", order=310
    )


def scripts() -> SafeString:
    return format_html(
        '<script type="module" src="{}"></script><script type="module" src="{}"></script>',
        static("mediagen/chooser/chooser.js"),
        static("mediagen_wagtail/chooser-tab.js"),
    )


def styles() -> SafeString:
    return format_html(
        '<link rel="stylesheet" href="{}"><link rel="stylesheet" href="{}">',
        static("mediagen/chooser/chooser.css"),
        static("mediagen_wagtail/wagtail.css"),
    )


hooks.register("register_admin_urls", admin_urls)
hooks.register("register_icons", icons)
hooks.register("register_admin_menu_item", menu_item)
hooks.register("insert_global_admin_js", scripts)
hooks.register("insert_global_admin_css", styles)
hooks.register("register_bulk_action", SendAction)


# ---------------------------------------------------------------- Wagtail's own views, of which it has no hook


class _WithGenerateTab:
    """The dialog in which images are chosen, with a tab of ours beside "Search" and "Upload"."""

    creation_form_template_name = "mediagen_wagtail/chooser_tabs.html"

    @property
    def wagtail_creation_form(self) -> str:
        return str(super().creation_form_template_name)  # type: ignore[misc]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        request = self.request  # type: ignore[attr-defined]
        address = _address("mediagen:chooser")
        if address and Access(request.user).has(Right.READ):
            kept = {name: request.GET[name] for name in views.KEPT if request.GET.get(name)}
            context["mediagen"] = {
                "chooser": address,
                "take": reverse("mediagen_wagtail_take", query=kept or None),
                "may_generate": prompt.may_generate(Access(request.user)),
            }
        return context


# A subclass of whatever stands there, for a site may have put its own.
chooser.viewset.choose_view_class = type(
    "ImageChooseView", (_WithGenerateTab, chooser.viewset.choose_view_class), {"__module__": __name__}
)


def _buttons(view: Any) -> list[Button]:
    buttons = list(_inherited.func(view))
    user, image = view.request.user, view.object
    if not _address("mediagen:studio"):
        return buttons
    if (asset := images.its_asset(image, user)) is not None:
        address = reverse("mediagen:asset", args=[asset.pk])
        return [*buttons, Button(_("Its page in the picture library"), address, icon_name="mediagen", priority=40)]
    if prompt.may_generate(Access(user)) and permissions.may(user, "choose", image):
        address = reverse("mediagen_wagtail_send", args=[image.pk])
        return [*buttons, Button(_("Edit in the picture studio"), address, icon_name="mediagen", priority=40)]
    return buttons


_inherited = image_views.EditView.header_more_buttons
_more = cached_property(_buttons)
_more.__set_name__(image_views.EditView, "header_more_buttons")
image_views.EditView.header_more_buttons = _more
