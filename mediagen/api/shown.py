"""How assets, attempts and estimates are written in answers and events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rest_framework import serializers

from mediagen import conf
from mediagen.api.addresses import Addresses
from mediagen.api.asset_rows import AssetRow
from mediagen.api.fields import Choice, Time, Usd, iso
from mediagen.engine.files import links
from mediagen.engine.generation import Estimate, failures
from mediagen.engine.library import Right
from mediagen.images.credentials import INVALID, NOT_CHECKED, VALID
from mediagen.models import GenerationAttempt, GenerationState, LabelRule, MediaAsset
from mediagen.models.asset import AltTextState, AssetSource, FailureCode, ReviewStatus, failure_code_of, origin_of
from mediagen.models.attempt import OUTCOMES

THUMBNAIL_PX = 400
PICTURE_FORMATS = ("png", "jpeg", "webp", "avif", "gif")


class FailureSerializer(serializers.Serializer[Any]):
    """Why there is no picture."""

    code = Choice(choices=FailureCode.choices, help_text="For programs. Take one that you do not know for `error`.")
    message = serializers.CharField(help_text="For people, in the language that they accept.")
    hint = serializers.CharField(help_text="What they can do; may be empty.")
    retryable = serializers.BooleanField(help_text="Asking again as it is may help.")
    detail = serializers.CharField(help_text="What each provider said, for those who run the site. English.")
    attempts_url = serializers.URLField()


class CredentialsSerializer(serializers.Serializer[Any]):
    """What came signed with a picture (C2PA)."""

    generator = serializers.CharField(help_text="The program that says so; empty when it cannot be read.")
    signer = serializers.CharField(help_text="Whom the certificate names; empty when it cannot be read.")
    validation = serializers.ChoiceField(
        choices=[VALID, INVALID, NOT_CHECKED],
        help_text="Whether the file was as it was signed when it came. Who the signer is, is asked of nobody.",
    )


class MaySerializer(serializers.Serializer[Any]):
    """What whoever asks may do with an asset."""

    change = serializers.BooleanField()
    approve = serializers.BooleanField()
    delete = serializers.BooleanField()
    export = serializers.BooleanField()
    generate = serializers.BooleanField(help_text="Have it made again, or others made of it.")


class AssetSerializer(serializers.Serializer[MediaAsset]):
    """A picture: what was asked, what came, and where it is."""

    # Of rows whose `library` was read and whose `tags` were prefetched: no query is made here.

    id = serializers.UUIDField(read_only=True)
    url = serializers.URLField(read_only=True, help_text="Of this asset in the API.")
    file_url = serializers.URLField(
        read_only=True, allow_null=True, help_text="Of the picture, signed: good for a while. Null while there is none."
    )
    thumbnail_url = serializers.URLField(
        read_only=True, allow_null=True, help_text="Of a rendition 400 pixels wide, signed as well."
    )
    state = Choice(
        choices=GenerationState.choices, source="generation_state", read_only=True, help_text="How far it is."
    )
    failure = FailureSerializer(read_only=True, allow_null=True, help_text="Why there is no picture; null: nothing.")
    review = Choice(choices=ReviewStatus.choices, source="status", read_only=True, help_text="What people decided.")
    may = MaySerializer(read_only=True, help_text="What whoever asks may do with it now.")
    source = Choice(  # type: ignore[assignment]
        choices=AssetSource.choices, read_only=True
    )
    origin = serializers.ChoiceField(
        choices=["generated", "edited", "uploaded", "imported", ""],
        read_only=True,
        help_text="How it came to be; empty of a variant: see its parent.",
    )
    digital_source_type = serializers.CharField(
        read_only=True,
        help_text="The IPTC's word for where it comes from: trainedAlgorithmicMedia ...; empty when nothing says it.",
    )
    content_credentials = CredentialsSerializer(
        read_only=True, allow_null=True, help_text="What came signed (C2PA); null: nothing."
    )
    credit = serializers.CharField(read_only=True, help_text="Whom pages name for it.")
    licence = serializers.CharField(read_only=True, help_text="Under which terms it may be used.")
    expires_on = serializers.DateField(read_only=True, allow_null=True, help_text="The last day of its use.")
    rating = serializers.IntegerField(read_only=True, allow_null=True, help_text="1 to 5, by people.")
    ai_label = serializers.ChoiceField(
        choices=["", *LabelRule.values],
        read_only=True,
        help_text="Whether pages say that a model made it; empty: as its library says.",
    )
    ai_label_reason = serializers.CharField(read_only=True, help_text="Why pages show no label.")
    library = serializers.UUIDField(source="library_id", read_only=True)
    library_name = serializers.CharField(source="library.name", read_only=True)
    name = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    alt_text = serializers.CharField(read_only=True)
    alt_text_suggestion = serializers.CharField(read_only=True, help_text="By a model, until a person accepts it.")
    alt_text_state = serializers.ChoiceField(
        choices=["", *AltTextState.values], read_only=True, help_text="What became of the last suggestion."
    )
    tags = serializers.ListField(child=serializers.CharField(), source="tag_names", read_only=True)
    prompt = serializers.CharField(read_only=True)
    negative_prompt = serializers.CharField(read_only=True)
    seed = serializers.IntegerField(read_only=True, allow_null=True)
    parameters = serializers.DictField(read_only=True, help_text="What was asked besides: size, options, providers.")
    format = serializers.ChoiceField(
        choices=["", *PICTURE_FORMATS], read_only=True, help_text="Empty without a picture."
    )
    width = serializers.IntegerField(read_only=True, help_text="Pixels of the picture; 0 without one.")
    height = serializers.IntegerField(read_only=True)
    file_size = serializers.IntegerField(read_only=True, help_text="Bytes.")
    content_hash = serializers.CharField(read_only=True, help_text="SHA-256 of the file, hex.")
    color = serializers.CharField(
        read_only=True,
        help_text='The dominant one, "#a0b1c2", for its place on a page; empty until it was first shown.',
    )
    blur_hash = serializers.CharField(
        read_only=True, help_text="Its blur as a BlurHash of 28 characters; empty until a size of the whole was made."
    )
    provider = serializers.CharField(source="provider_name", read_only=True, help_text="Who served it.")
    model = serializers.CharField(source="model_name", read_only=True)
    cost = Usd(read_only=True, allow_null=True, help_text="USD; null: not known, which is not nothing.")
    fit_report = serializers.DictField(read_only=True, help_text="What the provider could not honour.")
    is_placeholder = serializers.BooleanField(read_only=True)
    dry_run = serializers.BooleanField(read_only=True)
    generation_id = serializers.UUIDField(read_only=True, allow_null=True)
    parent = serializers.UUIDField(  # type: ignore[assignment]
        source="parent_id", read_only=True, allow_null=True
    )
    batch = serializers.UUIDField(source="batch_id", read_only=True, allow_null=True)
    focal_x = serializers.FloatField(read_only=True)
    focal_y = serializers.FloatField(read_only=True)
    usage_count = serializers.IntegerField(read_only=True)
    original_name = serializers.CharField(read_only=True, help_text="Of an uploaded file.")
    created_by = serializers.CharField(read_only=True, allow_null=True, help_text="User name.")
    reviewed_by = serializers.CharField(read_only=True, allow_null=True, help_text="User name.")
    reviewed_at = Time(allow_null=True)
    review_notes = serializers.CharField(read_only=True)
    deleted_by = serializers.CharField(read_only=True, allow_null=True, help_text="User name.")
    deleted_at = Time(allow_null=True)
    created_at = Time()
    updated_at = Time()
    generated_at = Time(allow_null=True)


class _Page:
    """What the assets of one answer have in common."""

    def __init__(self, addresses: Addresses) -> None:
        self.addresses = addresses
        self.before_id, self.behind_id = addresses.around("asset")
        self.is_of_storage = conf.get("SERVE_FILES") == "storage"
        self.thumbnail = links.rendition_query(width=THUMBNAIL_PX)
        self._sign = links.steady_url_maker()
        self._signed: tuple[Any, str] = (None, "")
        self.known = addresses.known

    def signed(self, asset: Any) -> str:
        """The signed address of the asset's file, without the host; the picture and its thumbnail have the same."""
        if self._signed[0] is not asset:
            self._signed = (asset, self._sign(asset) if asset.file and asset.content_hash else "")
        return self._signed[1]


def _file_url(asset: Any, page: _Page) -> str | None:
    if page.is_of_storage and asset.file and asset.content_hash:
        return page.addresses.whole(links.picture_url(asset))
    return page.addresses.whole(page.signed(asset))


def _thumbnail_url(asset: Any, page: _Page) -> str | None:
    signed = page.signed(asset)
    return page.addresses.whole(signed and signed + page.thumbnail)


def _failure(asset: Any, page: _Page) -> dict[str, Any] | None:
    code = failure_code_of(asset)
    if not code:
        return None
    attempts = f"{page.before_id}{asset.pk}{page.behind_id}attempts/"
    return {**failures.told(code), "detail": asset.failure, "attempts_url": attempts}


def _may(asset: Any, page: _Page) -> dict[str, bool]:
    rights = page.known.rights.get(asset.library_id, frozenset())
    return {name: right in rights for name, right in MAY.items()}


MAY = {
    "change": Right.CHANGE,
    "approve": Right.APPROVE,
    "delete": Right.DELETE,
    "export": Right.CHANGE,
    "generate": Right.GENERATE,
}


def _time(value: Any) -> str | None:
    return None if value is None else iso(value)


SHOWN: Mapping[str, Callable[[Any, _Page], Any] | None] = {
    "id": lambda asset, _: str(asset.pk),
    "url": lambda asset, page: f"{page.before_id}{asset.pk}{page.behind_id}",
    "file_url": _file_url,
    "thumbnail_url": _thumbnail_url,
    "state": lambda asset, _: asset.generation_state,
    "failure": _failure,
    "review": lambda asset, _: asset.status,
    "may": _may,
    "source": None,
    "origin": lambda asset, _: origin_of(asset),
    "digital_source_type": None,
    "content_credentials": lambda asset, _: asset.content_credentials or None,
    "credit": None,
    "licence": None,
    "expires_on": lambda asset, _: None if asset.expires_on is None else asset.expires_on.isoformat(),
    "rating": None,
    "ai_label": None,
    "ai_label_reason": None,
    "library": lambda asset, _: str(asset.library_id),
    "library_name": lambda asset, _: asset.library.name,
    "name": None,
    "description": None,
    "alt_text": None,
    "alt_text_suggestion": None,
    "alt_text_state": None,
    "tags": lambda asset, _: asset.tag_names,
    "prompt": None,
    "negative_prompt": None,
    "seed": None,
    "parameters": None,
    "format": None,
    "width": None,
    "height": None,
    "file_size": None,
    "content_hash": None,
    "color": None,
    "blur_hash": None,
    "provider": lambda asset, _: asset.provider_name,
    "model": lambda asset, _: asset.model_name,
    "cost": lambda asset, _: None if asset.cost is None else f"{asset.cost:f}",
    "fit_report": None,
    "is_placeholder": None,
    "dry_run": None,
    "generation_id": lambda asset, _: _text(asset.generation_id),
    "parent": lambda asset, _: _text(asset.parent_id),
    "batch": lambda asset, _: _text(asset.batch_id),
    "focal_x": None,
    "focal_y": None,
    "usage_count": None,
    "original_name": None,
    "created_by": lambda asset, page: page.known.users.get(asset.created_by_id),
    "reviewed_by": lambda asset, page: page.known.users.get(asset.reviewed_by_id),
    "reviewed_at": lambda asset, _: _time(asset.reviewed_at),
    "review_notes": None,
    "deleted_by": lambda asset, page: page.known.users.get(asset.deleted_by_id),
    "deleted_at": lambda asset, _: _time(asset.deleted_at),
    "created_at": lambda asset, _: iso(asset.created_at),
    "updated_at": lambda asset, _: iso(asset.updated_at),
    "generated_at": lambda asset, _: _time(asset.generated_at),
}
"""The fields of `AssetSerializer`, which describes them, by functions, None for what is shown as it is: a list of many
rows is written many times as fast. A test holds the two together."""


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def shown_assets(
    assets: Iterable[MediaAsset | AssetRow], addresses: Addresses, names: Iterable[str] | None = None
) -> list[dict[str, Any]]:
    """Plain data of the assets: all fields, or only these. In a coroutine `addresses.known` must have learned before
    what it says of libraries and people."""
    fields = SHOWN if names is None else {name: SHOWN[name] for name in names}
    as_they_are = [name for name, show in fields.items() if show is None]
    made = [(name, show) for name, show in fields.items() if show is not None]
    assets = list(assets)
    if fields.keys() & OF_OTHERS and not _in_event_loop():
        addresses.known.learn(assets, addresses.access)
    page, blank = _Page(addresses), dict.fromkeys(fields)
    results = []
    for asset in assets:
        # In one go, and in the order of the fields.
        result: dict[str, Any] = {**blank, **{name: getattr(asset, name) for name in as_they_are}}
        for name, show in made:
            result[name] = show(asset, page)
        results.append(result)
    return results


OF_OTHERS = {"may", "created_by", "reviewed_by", "deleted_by"}


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def shown_asset(asset: MediaAsset, addresses: Addresses) -> dict[str, Any]:
    return shown_assets([asset], addresses)[0]


class AttemptSerializer(serializers.ModelSerializer[GenerationAttempt]):
    """One provider asked once."""

    provider = serializers.CharField(source="provider_name", read_only=True)
    model = serializers.CharField(source="model_name", read_only=True)
    outcome = serializers.ChoiceField(
        choices=["", *(value for value, _ in OUTCOMES)], read_only=True, help_text="Empty while it is being asked."
    )
    cost = Usd(read_only=True, allow_null=True)
    started_at = Time()
    finished_at = Time(allow_null=True)
    settled_at = Time(allow_null=True)

    class Meta:
        model = GenerationAttempt
        fields = (
            "id",
            "provider",
            "model",
            "operation",
            "position",
            "state",
            "outcome",
            "http_status",
            "message",
            "dry_run",
            "cost",
            "started_at",
            "finished_at",
            "latency_s",
            "settled_at",
            "settled_by",
        )
        read_only_fields = fields


class CostSerializer(serializers.Serializer[Any]):
    """What some attempts cost, USD."""

    cost = Usd(
        allow_null=True,
        help_text="Billed, for pictures that did not come too; null: nothing is known, and not nothing.",
    )
    unsettled = serializers.IntegerField(help_text="Attempts that may have been billed, and nobody knows what.")
    possible_cost = Usd(allow_null=True, help_text="What those may have cost; null: the price of one is not known.")
    of_unknown_cost = serializers.IntegerField(help_text="Those of them whose price is not known.")


class PriceSerializer(serializers.Serializer[Any]):
    provider = serializers.CharField()
    usd = Usd(allow_null=True, help_text="USD of one picture; null: not known.")
    at_most = serializers.CharField(help_text="Why it is no exact price, but the most; empty: it is exact.")


class EstimateSerializer(serializers.Serializer[Any]):
    """What pictures may cost, USD: when the cheapest provider that would be asked serves each, and the dearest."""

    pictures = serializers.IntegerField()
    is_free = serializers.BooleanField(help_text="Nothing that costs money would be asked: dry run, placeholders.")
    cheapest = Usd()
    dearest = Usd()
    without_price = serializers.IntegerField(help_text="Pictures for which no price is known; in neither sum.")
    prices = PriceSerializer(many=True)


def shown_estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "pictures": estimate.pictures,
        "is_free": estimate.is_free,
        "cheapest": f"{estimate.cheapest:f}",
        "dearest": f"{estimate.dearest:f}",
        "without_price": estimate.without_price,
        "prices": [
            {
                "provider": name,
                "usd": None if price is None else f"{price:f}",
                "at_most": estimate.reasons.get(name, ""),
            }
            for name, price in estimate.prices.items()
        ],
    }


GENERATION_STATES = ("pending", "running", "ready", "partial", "failed", "cancelled", "interrupted")


def state_of(assets: Sequence[MediaAsset]) -> str:
    """Of all that one request asked for: "pending" or "running" while something is to come, then "ready" (all),
    "partial" (some), "failed", "interrupted" (waits for a person) or "cancelled" (none)."""
    states = {asset.generation_state for asset in assets}
    if states == {GenerationState.PENDING}:
        return "pending"
    if states & {GenerationState.PENDING, GenerationState.RUNNING}:
        return "running"
    if GenerationState.READY in states:
        return "ready" if len(states) == 1 else "partial"
    for state in (GenerationState.FAILED, GenerationState.INTERRUPTED):
        if state in states:
            return state.value
    return "cancelled"


class GenerationSerializer(serializers.Serializer[Any]):
    """What one request asked for."""

    id = serializers.UUIDField()
    state = Choice(choices=GENERATION_STATES)
    url = serializers.URLField()
    events_url = serializers.URLField(help_text="A stream of what happens (server-sent events).")
    stream_url = serializers.URLField(
        allow_null=True,
        help_text="The same with a ticket for an hour, for a browser's EventSource; null when all is over.",
    )
    assets = AssetSerializer(many=True)
    estimate = EstimateSerializer(allow_null=True, help_text="In the first answer only.")
    billing = CostSerializer(allow_null=True, help_text="What it has cost so far; not in the first answer.")
