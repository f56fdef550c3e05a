"""What a provider answered, kept because it was paid for and could not be used."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mediagen.models.asset import SiteStorage
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7


class KeptAnswer(models.Model):
    """The bytes of one attempt's answer, as they came. They lie in the storage until they are used, or too old."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    attempt = models.OneToOneField(
        "mediagen.GenerationAttempt", on_delete=models.CASCADE, related_name="kept_answer", editable=False
    )
    file = models.FileField(storage=SiteStorage(), max_length=500, editable=False)
    content_type = models.CharField(max_length=100, blank=True, editable=False, help_text=_("As the provider said."))
    size_bytes = models.PositiveBigIntegerField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    tried_at = models.DateTimeField(null=True, blank=True, editable=False, help_text=_("When it was last read again."))
    trouble = models.TextField(blank=True, editable=False, help_text=_("Why that was in vain."))

    objects = WriterQuerySet["KeptAnswer"].as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("created_at",), name="mediagen_answer_created"),)

    def __str__(self) -> str:
        return f"answer of {self.attempt}"
