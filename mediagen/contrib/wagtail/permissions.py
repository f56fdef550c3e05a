"""What Wagtail lets a user do with images. Imported when Wagtail is ready."""

from __future__ import annotations

from typing import Any

from wagtail.images import get_image_model

try:
    from wagtail.permissions import policy_registry
except ImportError:  # an older Wagtail
    from wagtail.images import permissions as old

    policy_registry = None


def image_model() -> Any:
    return get_image_model()


def policy() -> Any:
    """Wagtail's permission policy for images."""
    return old.permission_policy if policy_registry is None else policy_registry.get_by_type(get_image_model())


def may(user: Any, action: str, image: Any = None) -> bool:
    """Whether they may "add", "change", "delete" or "choose", this image or any."""
    if image is None:
        return bool(policy().user_has_permission(user, action))
    return bool(policy().user_has_permission_for_instance(user, action, image))
