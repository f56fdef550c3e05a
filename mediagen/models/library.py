"""A media library: where assets belong, and who may see and change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import connections, models
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from mediagen.models.budget import BudgetFields, BudgetPeriod
from mediagen.models.kept_by_database import KEEPS_TALLIES
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class MediaLibraryQuerySet(WriterQuerySet["MediaLibrary"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Libraries the user may look into: all with the model permission `view_all_libraries` or as superuser,
        else those owned, those shared with one of the user's groups, and those that belong to nobody."""
        return self._reachable_by(user, "viewer_groups", "editor_groups")

    def editable_by(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Libraries the user may add to and change."""
        return self._reachable_by(user, "editor_groups")

    def _reachable_by(self, user: Any, *group_fields: str) -> Self:
        if not user.is_active or not user.is_authenticated:
            return self.none()
        if user.is_superuser or user.has_perm("mediagen.view_all_libraries"):
            return self.all()
        reachable = Q(owner=user) | Q(owner__isnull=True, viewer_groups__isnull=True, editor_groups__isnull=True)
        for field in group_fields:
            reachable |= Q(**{f"{field}__user": user})
        return self.filter(pk__in=MediaLibrary.objects.filter(reachable).values("pk"))

    def with_counters(self) -> Self:
        """Adds `asset_count` and `total_bytes` of what is ready and not deleted."""
        if connections[self.db].vendor in KEEPS_TALLIES:
            number: Any = Sum("tallies__assets")
            size = Sum("tallies__bytes")
        else:
            counted = Q(assets__generation_state="ready") & ~Q(assets__status="deleted")
            number, size = Count("assets", filter=counted), Sum("assets__file_size", filter=counted)
        return self.annotate(asset_count=Coalesce(number, 0), total_bytes=Coalesce(size, 0))


class LabelPolicy(models.TextChoices):
    ALWAYS = "always", _("always")
    PUBLISHED = "published", _("when published")
    NEVER = "never", _("never, with a reason")


class MediaLibrary(BudgetFields):
    """A named collection of assets with an owner, groups, default tags and a budget."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200, unique=True)
    slug = models.SlugField(max_length=200, unique=True, blank=True, help_text=_("Left empty: made from the name."))
    description = models.TextField(blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="media_libraries"
    )
    viewer_groups = models.ManyToManyField("auth.Group", blank=True, related_name="viewable_media_libraries")
    editor_groups = models.ManyToManyField("auth.Group", blank=True, related_name="editable_media_libraries")
    default_tags = models.ManyToManyField(
        "mediagen.MediaTag", blank=True, related_name="default_in", help_text=_("Given to every new asset.")
    )
    ai_label = models.CharField(
        _("label on pages"),
        max_length=10,
        choices=LabelPolicy.choices,
        default=LabelPolicy.ALWAYS,
        help_text=_("Whether pages say of its pictures that a model made them."),
    )
    ai_label_reason = models.CharField(max_length=255, blank=True, help_text=_("Why pages show no label."))
    alt_text_required = models.BooleanField(
        _("alt text before publishing"), default=False, help_text=_("Nothing is published that has no alt text.")
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = MediaLibraryQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name_plural = _("media libraries")
        permissions = (
            ("view_all_libraries", "Can see and use every media library"),
            ("change_budget", "Can change the budgets of media libraries"),
        )
        constraints = (
            models.CheckConstraint(
                name="mediagen_library_budget_positive",
                condition=Q(budget_limit__isnull=True) | Q(budget_limit__gte=0),
            ),
            models.CheckConstraint(
                name="mediagen_library_warning_positive",
                condition=Q(budget_warning__isnull=True) | Q(budget_warning__gte=0),
            ),
            models.CheckConstraint(
                name="mediagen_library_label_explained",
                condition=Q(ai_label__in=("always", "published")) | (Q(ai_label="never") & ~Q(ai_label_reason="")),
            ),
            models.CheckConstraint(
                name="mediagen_library_period_legal", condition=Q(budget_period__in=BudgetPeriod.values)
            ),
        )

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.slug:
            self.slug = self.free_slug(self.name)
            if (fields := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*fields, "slug"}
        super().save(*args, **kwargs)

    @classmethod
    def free_slug(cls, name: str) -> str:
        """A slug of the name that no library has as its slug or name; never empty, whatever script the name is in."""
        stem = slugify(name)[:190] or slugify(name, allow_unicode=False)[:190] or "library"
        begun = cls.objects.filter(Q(slug__startswith=stem) | Q(name__istartswith=stem)).values_list("slug", "name")
        taken = {word.lower() for words in begun for word in words if word != name}
        return next(slug for n in range(len(taken) + 1) if (slug := f"{stem}-{n + 1}" if n else stem) not in taken)
