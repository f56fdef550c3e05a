"""A managed picture. Its row is born when the picture is asked for, and keeps its id for life."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.deconstruct import deconstructible
from django.utils.translation import gettext_lazy as _

from mediagen import conf
from mediagen.models.leased import Leased
from mediagen.models.library import MediaLibrary
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class GenerationState(models.TextChoices):
    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    READY = "ready", _("ready")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")
    INTERRUPTED = "interrupted", _("interrupted")
    """waits, and no worker takes it: whoever asked for it was interrupted, and says when it goes on"""


ON_REQUEST = (GenerationState.FAILED, GenerationState.CANCELLED, GenerationState.INTERRUPTED)
"""There is no picture, and nobody makes one until somebody asks for it again."""


class FailureCode(models.TextChoices):
    """Why there is no picture. Programs rely on these words; there may be more one day."""

    MODERATION = "moderation", _("refused by moderation")
    BUDGET = "budget", _("a budget is used up")
    OUTAGE = "outage", _("the providers were away")
    RATE_LIMITED = "rate_limited", _("the providers asked to wait")
    MISCONFIGURED = "misconfigured", _("the providers are not set up")
    UNSUPPORTED = "unsupported", _("no provider can make it")
    STORAGE = "storage", _("the storage did not take it")
    UNKNOWN = "unknown", _("it is not known whether it was made")
    CANCELLED = "cancelled", _("cancelled")
    WAITING = "waiting", _("put off")
    ERROR = "error", _("an error nobody foresaw")


class ReviewStatus(models.TextChoices):
    DRAFT = "draft", _("draft")
    APPROVED = "approved", _("approved")
    PUBLISHED = "published", _("published")
    ARCHIVED = "archived", _("archived")
    DELETED = "deleted", _("deleted")


class AssetSource(models.TextChoices):
    GENERATED = "generated", _("generated")
    UPLOADED = "uploaded", _("uploaded")
    VARIANT = "variant", _("made from another asset")
    IMPORTED = "imported", _("imported")


class LabelRule(models.TextChoices):
    SHOW = "show", _("show the label")
    HIDE = "hide", _("show none")


class MediaType(models.TextChoices):
    IMAGE = "image", _("image")


def asset_storage() -> Storage:
    """The storage that MEDIAGEN["STORAGE"] names in settings.STORAGES."""
    return storages[conf.get("STORAGE")]


def _takeable() -> Q:
    time_has_come = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    waiting = Q(generation_state=GenerationState.PENDING) & time_has_come
    return waiting | Q(generation_state=GenerationState.RUNNING, lease_until__lt=Now())


def failure_code_of(asset: Any) -> str:
    """Of an asset, or of a row with `failure`, `failure_code` and `generation_state`."""
    if asset.generation_state == GenerationState.CANCELLED:
        return FailureCode.CANCELLED.value
    if not asset.failure:
        return ""
    if asset.generation_state in (GenerationState.PENDING, GenerationState.RUNNING):
        return FailureCode.WAITING.value
    return str(asset.failure_code or FailureCode.ERROR.value)


@deconstructible
class SiteStorage(Storage):
    """`asset_storage()`, looked up at every use: nothing of it is imported at start, and changed settings count."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") or name in ("deconstruct", "_constructor_args"):
            return object.__getattribute__(self, name)
        return getattr(asset_storage(), name)


class AltTextState(models.TextChoices):
    """What became of the last alt text that a model suggested."""

    SUGGESTED = "suggested", _("suggested")
    REHEARSED = "rehearsed", _("suggested in a dry run")
    ACCEPTED = "accepted", _("accepted")
    CHANGED = "changed", _("changed")
    REJECTED = "rejected", _("rejected")


SUGGESTIONS = (AltTextState.SUGGESTED, AltTextState.REHEARSED)
"""those that wait for a person"""


class MediaAssetQuerySet(WriterQuerySet["MediaAsset"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Assets in the libraries that the user may look into."""
        return self.filter(library__in=MediaLibrary.objects.visible_to(user))

    def editable_by(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Assets in the libraries that the user may change."""
        return self.filter(library__in=MediaLibrary.objects.editable_by(user))

    def kept(self) -> Self:
        """Those that nobody has deleted."""
        return self.exclude(status=ReviewStatus.DELETED)

    def ready(self) -> Self:
        return self.filter(generation_state=GenerationState.READY)

    def claimable(self) -> Self:
        """Waiting for a worker: pending (and its time has come), or running under a lease that is over.

        The database's clock decides, so the workers' clocks need not agree.
        """
        # No join: where rows are locked for all tables of a query, one worker would keep the others from the batch.
        batches: Any = self.model._meta.get_field("batch").related_model
        running = batches.objects.filter(state="running").values("pk")
        return self.filter(_takeable()).filter(Q(batch__isnull=True) | Q(batch__in=running))

    def claim(self, pks: Iterable[Any], *, worker: str, lease_s: float, on_request: bool = False) -> int:
        """Take those of these assets that are still to be taken; how many. One conditional UPDATE. `on_request`: also
        those that wait until somebody asks for them.

        The token only grows, so whoever held one before can no longer write. The condition is on the row itself and
        on no other table: PostgreSQL then checks it again when it had to wait for another worker's UPDATE. A kick has
        done its work then: should the asset wait again, the task engine is told anew.
        """
        takeable = _takeable() | Q(generation_state__in=ON_REQUEST) if on_request else _takeable()
        return self.filter(takeable, pk__in=pks).update(
            generation_state=GenerationState.RUNNING,
            lease_token=F("lease_token") + 1,
            lease_worker=worker[:100],
            lease_until=Now() + timedelta(seconds=lease_s),
            kicked_at=None,
            updated_at=Now(),
        )

    def renew(self, *, worker: str, lease_s: float) -> int:
        """Prolong every lease of `worker`; how many it holds. One UPDATE, whatever their number."""
        mine = self.filter(generation_state=GenerationState.RUNNING, lease_worker=worker)
        return mine.update(lease_until=Now() + timedelta(seconds=lease_s))

    def held(self, pk: Any, token: int) -> Self:
        """The asset, as long as `token` is still the last one given out: also when a sweep thought its holder dead and
        let it wait, for nobody has taken it since."""
        open_states = (GenerationState.RUNNING, GenerationState.PENDING)
        return self.filter(pk=pk, lease_token=token, generation_state__in=open_states)

    def to_be_filled(self, pk: Any, token: int) -> Self:
        """As `held`, and also when somebody has ended it meanwhile: a picture that came is kept all the same."""
        return self.filter(pk=pk, lease_token=token).exclude(
            generation_state=GenerationState.READY, is_placeholder=False
        )


def origin_of(row: Any) -> str:
    """ "generated", "edited" (made of another picture), "uploaded", "imported"; "" of a variant: see its parent. Of
    whatever has `source` and `parameters`."""
    if row.source == AssetSource.GENERATED:
        return "edited" if _is_made_of_others(row) else "generated"
    return "" if row.source == AssetSource.VARIANT else str(row.source)


def _is_made_of_others(row: Any) -> bool:
    return isinstance(row.parameters, dict) and bool(row.parameters.get("sources"))


class MediaAsset(Leased):
    """One picture: what was asked, what came, who may use it, and what it cost."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    library = models.ForeignKey(MediaLibrary, on_delete=models.PROTECT, related_name="assets")
    name = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    alt_text = models.TextField(blank=True)
    alt_text_suggestion = models.TextField(
        blank=True, default="", editable=False, help_text=_("By a model; no page shows it before a person accepts it.")
    )
    alt_text_state = models.CharField(
        max_length=10, choices=AltTextState.choices, blank=True, default="", editable=False
    )
    media_type = models.CharField(max_length=16, choices=MediaType.choices, default=MediaType.IMAGE)
    source = models.CharField(max_length=10, choices=AssetSource.choices, default=AssetSource.GENERATED)
    original_name = models.CharField(max_length=255, blank=True, help_text=_("Of an uploaded file."))
    tags = models.ManyToManyField("mediagen.MediaTag", blank=True, related_name="assets")

    file = models.FileField(storage=SiteStorage(), blank=True, max_length=500)
    format = models.CharField(max_length=16, blank=True)
    width = models.PositiveIntegerField(default=0, help_text=_("Pixels of the file; 0 until there is one."))
    height = models.PositiveIntegerField(default=0)
    file_size = models.PositiveBigIntegerField(default=0, help_text=_("Bytes."))
    content_hash = models.CharField(max_length=64, blank=True, help_text=_("SHA-256 of the file, hex."))
    color = models.CharField(
        max_length=7, blank=True, editable=False, help_text=_("#rrggbb, its mean; empty until a size of it was made.")
    )
    marked_hash = models.CharField(
        max_length=64,
        blank=True,
        default="",
        editable=False,
        help_text=_("SHA-256 of the file as it leaves, where that is another one."),
    )
    # The picture's looks in 64 bits, four bands of 16: a near one has a band that is the same, or all but.
    look_a = models.IntegerField(null=True, editable=False, help_text=_("NULL: not looked at; -1: nothing to compare."))
    look_b = models.IntegerField(null=True, editable=False)
    look_c = models.IntegerField(null=True, editable=False)
    look_d = models.IntegerField(null=True, editable=False)
    content_credentials = models.JSONField(
        default=dict, blank=True, editable=False, help_text=_("What came signed with it (C2PA), and by whom.")
    )
    blur_hash = models.CharField(
        max_length=40,
        blank=True,
        editable=False,
        help_text=_("Its blur (BlurHash); empty until a size of the whole was made."),
    )
    digital_source_type = models.CharField(
        max_length=60, blank=True, help_text=_("The IPTC's word for where it comes from, as it stands in the file.")
    )
    credit = models.CharField(max_length=255, blank=True, help_text=_("Whom pages name for it."))
    licence = models.CharField(max_length=255, blank=True, help_text=_("Under which terms it may be used."))
    expires_on = models.DateField(null=True, blank=True, help_text=_("The last day on which it may be used."))
    rating = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(5)], help_text=_("1 to 5.")
    )
    ai_label = models.CharField(
        max_length=8, choices=LabelRule.choices, blank=True, help_text=_("Empty: as its library says.")
    )
    ai_label_reason = models.CharField(max_length=255, blank=True, help_text=_("Why pages show no label."))

    prompt = models.TextField(blank=True)
    negative_prompt = models.TextField(blank=True)
    seed = models.BigIntegerField(null=True, blank=True)
    parameters = models.JSONField(
        default=dict, blank=True, help_text=_("What was asked beside the prompt: width, height, options.")
    )
    provider_name = models.CharField(max_length=100, blank=True)
    model_name = models.CharField(max_length=200, blank=True)
    cost = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        help_text=_("USD; empty: not known, which is not nothing."),
    )
    fit_report = models.JSONField(default=dict, blank=True, help_text=_("What the provider could not honour."))
    is_placeholder = models.BooleanField(default=False)
    dry_run = models.BooleanField(default=False)

    generation_state = models.CharField(max_length=16, choices=GenerationState.choices, default=GenerationState.PENDING)
    failure = models.TextField(blank=True, help_text=_("Why there is no picture."))
    failure_code = models.CharField(
        max_length=16,
        blank=True,
        default="",
        editable=False,
        help_text=_("The same as a word; why a placeholder is one."),
    )
    tries = models.PositiveSmallIntegerField(default=0, editable=False, help_text=_("Runs that were put off."))
    batch = models.ForeignKey(
        "mediagen.GenerationBatch", null=True, blank=True, on_delete=models.SET_NULL, related_name="assets"
    )
    row_key = models.CharField(max_length=200, blank=True, help_text=_("Its line in the batch's manifest."))
    kicked_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("When a task engine was last told of it.")
    )
    cancel_requested_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("Nothing more is bought for it; what is under way still ends."),
    )
    idempotency_key = models.CharField(  # noqa: DJ001 - NULL is what its unique constraint passes over
        max_length=255, null=True, blank=True, editable=False, help_text=_("NULL, never empty, without one.")
    )
    generation_id = models.UUIDField(
        null=True, blank=True, editable=False, help_text=_("Assets asked for by one request have the same.")
    )

    status = models.CharField(max_length=10, choices=ReviewStatus.choices, default=ReviewStatus.DRAFT)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    review_notes = models.TextField(blank=True)
    status_before = models.CharField(
        max_length=10, blank=True, editable=False, help_text=_("What a deleted asset's status goes back to.")
    )
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    deleted_at = models.DateTimeField(null=True, blank=True)

    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children")
    focal_x = models.FloatField(default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)])
    focal_y = models.FloatField(default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)])
    usage_count = models.PositiveIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True, blank=True)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="media_assets"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    generated_at = models.DateTimeField(null=True, blank=True)

    objects = MediaAssetQuerySet.as_manager()

    class Meta:
        # The id is time-ordered (UUIDv7): newest first without an index of its own.
        ordering = ("-id",)
        permissions = (
            ("approve_mediaasset", "Can approve, publish, archive and restore media assets"),
            ("import_mediaasset", "Can import from the site's Figma and Canva accounts by the API"),
        )
        indexes = (
            models.Index(fields=("library", "-id"), name="mediagen_asset_library"),
            models.Index(fields=("status", "-id"), name="mediagen_asset_status"),
            models.Index(fields=("provider_name", "-id"), name="mediagen_asset_provider"),
            models.Index(fields=("model_name", "-id"), name="mediagen_asset_model"),
            models.Index(fields=("format", "-id"), name="mediagen_asset_format"),
            models.Index(fields=("generation_state", "-id"), name="mediagen_asset_state"),
            models.Index(fields=("created_at",), name="mediagen_asset_created"),
            # Counts what was approved of a period without looking at its rows.
            models.Index(
                fields=("status", "created_at", "source", "is_placeholder", "library"), name="mediagen_asset_approved"
            ),
            models.Index(
                fields=("created_by", "-id"),
                name="mediagen_asset_asked",
                condition=Q(generation_id__isnull=False),
            ),
            models.Index(fields=("created_by", "-id"), name="mediagen_asset_creator"),
            # For those who look every second whether something has changed.
            models.Index(fields=("updated_at",), name="mediagen_asset_updated"),
            models.Index(fields=("batch", "generation_state", "id"), name="mediagen_asset_batch"),
            # Counts what a library holds without looking at its rows.
            models.Index(fields=("library", "generation_state", "status", "file_size"), name="mediagen_asset_counted"),
            models.Index(fields=("content_hash",), name="mediagen_asset_hash"),
            models.Index(fields=("marked_hash",), name="mediagen_asset_marked"),
            models.Index(fields=("look_a",), name="mediagen_asset_look_a"),
            models.Index(fields=("look_b",), name="mediagen_asset_look_b"),
            models.Index(fields=("look_c",), name="mediagen_asset_look_c"),
            models.Index(fields=("look_d",), name="mediagen_asset_look_d"),
            models.Index(
                fields=("generation_id",), name="mediagen_asset_generation", condition=Q(generation_id__isnull=False)
            ),
            models.Index(
                fields=("alt_text_state", "-id"), name="mediagen_asset_suggested", condition=~Q(alt_text_state="")
            ),
            models.Index(fields=("deleted_at",), name="mediagen_asset_deleted", condition=Q(deleted_at__isnull=False)),
            # Nearly every asset of a large library is ready; the few that are not are found through this.
            models.Index(
                fields=("generation_state", "lease_until"),
                name="mediagen_asset_work",
                condition=~Q(generation_state="ready"),
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="mediagen_asset_state_legal", condition=Q(generation_state__in=GenerationState.values)
            ),
            models.CheckConstraint(name="mediagen_asset_status_legal", condition=Q(status__in=ReviewStatus.values)),
            models.CheckConstraint(name="mediagen_asset_source_legal", condition=Q(source__in=AssetSource.values)),
            models.CheckConstraint(
                name="mediagen_asset_alt_text_state", condition=Q(alt_text_state__in=["", *AltTextState.values])
            ),
            models.CheckConstraint(
                name="mediagen_asset_label_explained",
                condition=Q(ai_label__in=("", "show")) | (Q(ai_label="hide") & ~Q(ai_label_reason="")),
            ),
            models.CheckConstraint(
                name="mediagen_asset_rating_legal", condition=Q(rating__isnull=True) | Q(rating__gte=1, rating__lte=5)
            ),
            models.CheckConstraint(
                name="mediagen_asset_cost_positive", condition=Q(cost__isnull=True) | Q(cost__gte=0)
            ),
            models.CheckConstraint(
                name="mediagen_asset_ready_has_file",
                condition=~Q(generation_state="ready") | (~Q(file="") & ~Q(content_hash="")),
            ),
            models.CheckConstraint(
                name="mediagen_asset_focal_inside",
                condition=Q(focal_x__gte=0, focal_x__lte=1, focal_y__gte=0, focal_y__lte=1),
            ),
            # Without a condition, which MariaDB and MySQL do not make: NULLs differ from each other everywhere.
            models.UniqueConstraint(fields=("batch", "row_key"), name="mediagen_asset_batch_row"),
            models.UniqueConstraint(fields=("library", "idempotency_key"), name="mediagen_asset_idempotency"),
        )

    def __str__(self) -> str:
        return self.name or f"{self.prompt[:60]}{'...' if len(self.prompt) > 60 else ''}" or self.asset_id

    @property
    def asset_id(self) -> str:
        return str(self.pk)

    @property
    def tag_names(self) -> list[str]:
        """Sorted; no query when `tags` was prefetched."""
        return sorted(tag.name for tag in self.tags.all())

    @property
    def shown_alt_text(self) -> str:
        """What pages say of it: the alt text; where the site says so (SHOW_SUGGESTED_ALT_TEXT) a suggestion that waits,
        when there is none. Never a rehearsal's."""
        if self.alt_text or self.alt_text_state != AltTextState.SUGGESTED:
            return self.alt_text
        return self.alt_text_suggestion if conf.get("SHOW_SUGGESTED_ALT_TEXT") else ""

    @property
    def has_suggestion(self) -> bool:
        """Whether a suggested alt text waits for a person."""
        return self.alt_text_state in SUGGESTIONS

    @property
    def origin(self) -> str:
        """As `origin_of`."""
        return origin_of(self)

    @property
    def is_made_of_others(self) -> bool:
        """Whether it was edited from pictures, and not made of words alone."""
        return _is_made_of_others(self)

    @property
    def failed_for(self) -> str:
        """A `FailureCode`; "" where there is nothing to tell."""
        return failure_code_of(self)

    @property
    def is_expired(self) -> bool:
        """Whether its last day is over, where the site is."""
        return self.expires_on is not None and self.expires_on < timezone.localdate()

    @property
    def is_ready(self) -> bool:
        return self.generation_state == GenerationState.READY

    @property
    def has_order(self) -> bool:
        """Whether it says what it was to be made of: words, or other pictures."""
        return bool(self.prompt or (self.parameters or {}).get("sources"))

    @property
    def awaits_its_picture(self) -> bool:
        """Whether it is a placeholder that a real picture may replace. A part or another size of one, and one that was
        imported, have no order of their own."""
        return self.is_ready and self.is_placeholder and self.source == AssetSource.GENERATED
