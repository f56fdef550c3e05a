"""Words that are used again and again: templates with variables, and styles."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mediagen.models.library import MediaLibrary
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7


class PresetKind(models.TextChoices):
    STYLE = "style", _("style")
    TEMPLATE = "template", _("template")


class PromptPreset(models.Model):
    """A style is put around what somebody asks for; a template is where they begin, and asks for its variables."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(
        MediaLibrary, verbose_name=_("library"), on_delete=models.CASCADE, related_name="presets"
    )
    kind = models.CharField(_("kind"), max_length=10, choices=PresetKind.choices, default=PresetKind.STYLE)
    name = models.CharField(_("name"), max_length=100)
    text = models.TextField(
        _("text"),
        help_text=_(
            "Of a style: {prompt} is where the prompt goes; without it the text follows the prompt. Of a template: "
            "{words} like these are asked for."
        ),
    )
    negative_prompt = models.TextField(_("not in the picture"), blank=True)
    options = models.JSONField(_("options of the providers"), default=dict, blank=True)
    sample = models.ForeignKey(
        "mediagen.MediaAsset",
        verbose_name=_("sample"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("made by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = WriterQuerySet["PromptPreset"].as_manager()

    class Meta:
        ordering = ("name", "pk")
        verbose_name = _("prompt preset")
        verbose_name_plural = _("prompt presets")
        constraints = (models.UniqueConstraint(fields=("library", "kind", "name"), name="mediagen_preset_name_once"),)

    def __str__(self) -> str:
        return self.name
