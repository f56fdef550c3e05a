"""Assets: the list, one of them, uploads, the review, tags, trash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from django.utils.decorators import method_decorator
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen import conf
from mediagen.api.addresses import Addresses
from mediagen.api.asset_rows import AssetRow, read_rows, with_related
from mediagen.api.base import APIBase, demand_version, etag_of
from mediagen.api.fields import StrictSerializer, Text
from mediagen.api.pagination import paged
from mediagen.api.parsing import Body
from mediagen.api.problems import CONFLICT, FORBIDDEN, IN_USE, INVALID, NOT_A_PICTURE, Problem, not_found
from mediagen.api.schema import IF_MATCH, PAGING, Parameter, describe, page_of
from mediagen.api.shown import PICTURE_FORMATS, SHOWN, AssetSerializer, shown_asset, shown_assets
from mediagen.conf import FALSE_WORDS, TRUE_WORDS
from mediagen.engine.files import similar_to, upload_from, uploads
from mediagen.engine.library import (
    AssetFilters,
    Right,
    bulk,
    facets,
    find_library,
    get_or_create_library,
    narrowed,
    review,
    trash,
)
from mediagen.errors import AssetInUse, InvalidRequest
from mediagen.models import AssetSource, GenerationState, LabelRule, MediaAsset, MediaLibrary, ReviewStatus
from mediagen.models.routing import atomic, outside_transactions
from mediagen.wording import say as _
from mediagen.wording import translated

LONGEST_TEXT = 32_000
BOOL = {"type": "string", "enum": ["true", "false"]}
FLAG = {"type": "string", "enum": ["true", "false", "1", "0", "yes", "no", "on", "off"]}
PIXELS = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
ID = {"type": "string", "format": "uuid"}


def _words(choices: Iterable[str]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "enum": list(choices)}}


FILTERS = (
    Parameter("q", "Words of prompt, name, description, alt text or tags; all have to fit. Quotes hold together."),
    Parameter("library", "Id, slug or name.", {"type": "string", "maxLength": 200}),
    Parameter("state", "How far it is; one of several, with commas or repeated.", _words(GenerationState.values)),
    Parameter(
        "review", "Of the review; one of several. Without it all but the deleted ones.", _words(ReviewStatus.values)
    ),
    Parameter("source", "Where it came from; one of several.", _words(AssetSource.values)),
    Parameter("unlabelled", "Made by a model and published, and pages show no label with it.", FLAG),
    Parameter("provider", "Who served it."),
    Parameter("model", "Which model did."),
    Parameter("tag", "Has this tag; repeated: all of them.", {"type": "array", "items": {"type": "string"}}),
    Parameter("format", "Of its file.", enum=PICTURE_FORMATS),
    Parameter("min_width", "Pixels.", PIXELS),
    Parameter("max_width", "Pixels.", PIXELS),
    Parameter("min_height", "Pixels.", PIXELS),
    Parameter("max_height", "Pixels.", PIXELS),
    Parameter("created_from", "A date or a time (ISO 8601)."),
    Parameter("created_to", "A date, which is within, or a time, which is not."),
    Parameter("is_placeholder", "Stands in for a real picture.", FLAG),
    Parameter("dry_run", "Made without asking a provider.", FLAG),
    Parameter("min_cost", "USD."),
    Parameter("max_cost", "USD."),
    Parameter("parent", "Made from this asset.", ID),
    Parameter("batch", "Of this batch.", ID),
    Parameter("generation_id", "Asked for by this request.", ID),
    Parameter("created_by", "Asked for or uploaded by this user, by name."),
    Parameter("mine", "By yourself.", FLAG),
    Parameter("content_hash", "SHA-256 of the file, hex."),
)
ORDERS = ("-created_at", "created_at")
ORDERING = Parameter("ordering", "The newest first, or the oldest.", enum=ORDERS)
FIELDS = Parameter("fields", "Only these fields, with commas between: fields=id,name,thumbnail_url.")


class AssetPatchSerializer(StrictSerializer):
    """What people may write; everything else is known from the generation."""

    name = Text(max_length=255, required=False, allow_blank=True)
    description = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True)
    alt_text = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True)
    credit = Text(max_length=255, required=False, allow_blank=True)
    licence = Text(max_length=255, required=False, allow_blank=True)
    expires_on = serializers.DateField(required=False, allow_null=True, help_text="The last day of its use.")
    rating = serializers.IntegerField(min_value=1, max_value=5, required=False, allow_null=True)
    ai_label = serializers.ChoiceField(choices=["", *LabelRule.values], required=False)
    ai_label_reason = Text(max_length=255, required=False, allow_blank=True, help_text="Needed to hide the label.")
    focal_x = serializers.FloatField(min_value=0, max_value=1, required=False, help_text="0: left, 1: right.")
    focal_y = serializers.FloatField(min_value=0, max_value=1, required=False, help_text="0: top, 1: bottom.")
    library = Text(max_length=200, required=False, help_text="Moves it there. Id, slug or name.")
    tags = serializers.ListField(
        child=Text(max_length=100), required=False, max_length=100, help_text="All that it has afterwards."
    )


class UploadSerializer(StrictSerializer):
    """A picture of one's own."""

    file = serializers.FileField(help_text="PNG, JPEG, WebP, AVIF or GIF.")
    library = serializers.CharField(max_length=200, required=False, help_text="Id, slug or name; else the default one.")
    name = serializers.CharField(max_length=255, required=False, allow_blank=True, help_text="The file's name.")
    description = serializers.CharField(max_length=LONGEST_TEXT, required=False, allow_blank=True)
    alt_text = serializers.CharField(max_length=LONGEST_TEXT, required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=100), required=False, max_length=100)


class UploadByAddressSerializer(StrictSerializer):
    """A picture that is on the web."""

    address = Text(max_length=2000, help_text="https, of a host on the public internet.")
    library = Text(max_length=200, required=False, help_text="Id, slug or name; else the default one.")
    name = Text(max_length=255, required=False, allow_blank=True, help_text="The file's name.")
    description = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True)
    alt_text = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True)
    tags = serializers.ListField(child=Text(max_length=100), required=False, max_length=100)


class UploadedSerializer(AssetSerializer):
    duplicates = serializers.ListField(
        child=serializers.UUIDField(),
        help_text="Assets with the very same file, of those that you may see; 20 at most.",
    )
    similar = serializers.ListField(
        child=serializers.UUIDField(), help_text="Assets that look like it, of those as well; the nearest first."
    )


class TagsSerializer(StrictSerializer):
    add = serializers.ListField(child=Text(max_length=100), required=False, max_length=100)
    remove = serializers.ListField(child=Text(max_length=100), required=False, max_length=100)


class ReviewSerializer(StrictSerializer):
    notes = Text(max_length=LONGEST_TEXT, required=False, allow_blank=True, help_text="Replace the earlier ones.")


class Multipart(MultiPartParser):
    """Files go to Django's upload handlers; how large they may be is asked of the file."""


class AssetsBase(APIBase):
    """What the views of assets have in common."""

    def found(self, pk: UUID, right: Right = Right.READ, *, deleted: bool = False) -> MediaAsset:
        """The asset; 404 for one that may not be seen as for one that is not there, 403 where only this right lacks."""
        everything = self.access.all_assets if deleted else self.access.assets
        asset = everything().select_related("library").prefetch_related("tags").filter(pk=pk).first()
        if asset is None:
            raise not_found()
        if right is not Right.READ and not everything(right).filter(pk=pk).exists():
            raise _only_to_look_at()
        return asset

    def answer(self, asset: MediaAsset, status: int = 200) -> Response:
        fresh = MediaAsset.objects.select_related("library").prefetch_related("tags").get(pk=asset.pk)
        answer = shown_asset(fresh, Addresses.of(self.request))
        return Response(answer, status=status, headers={"ETag": etag_of(fresh)})

    def library(self, word: str | None, right: Right) -> MediaLibrary:
        """The library of this id, slug or name, if it may be used so; the token's, or the default one, without."""
        if not word:
            own = self.access.token.library if self.access.token else None
            library: MediaLibrary | None = own or get_or_create_library(conf.get("DEFAULT_LIBRARY"))
        else:
            library = find_library(word, self.access)
        if library is None or not (word or self.access.may(Right.READ, library)):
            raise Problem(
                INVALID, _("There is no library %(word)s that you may see.", word=f"{word!r:.80}"), field="library"
            )
        if not self.access.may(right, library):
            raise _only_to_look_at()
        return library


def _only_to_look_at() -> Problem:
    return Problem(FORBIDDEN, _("You may look into this library, and not change what is in it."))


def wanted_fields(request: Request) -> list[str] | None:
    """The names in `fields`, in our order; None for all."""
    text = request.query_params.get("fields", "")
    if not text.strip():
        return None
    asked = {name.strip() for name in text.split(",") if name.strip()}
    if unknown := sorted(asked - set(SHOWN)):
        raise Problem(
            INVALID,
            _(
                "There is no field %(unknown)s. There are: %(shown)s.",
                unknown=f"{unknown[0]!r:.60}",
                shown=", ".join(SHOWN),
            ),
            field="fields",
        )
    return [name for name in SHOWN if name in asked]


def filters_of(request: Request) -> AssetFilters:
    """The query's filters. `InvalidRequest` with the field at fault, by its name here."""
    return filters_from(request, request.query_params.copy())


def filters_from(request: Request, query: Any) -> AssetFilters:
    """The same of a query of one's own, which is changed."""
    if "review" in query:
        query.setlist("status", query.pop("review"))
    if "mine" in query:
        word = query.pop("mine")[-1].strip().lower()
        if word not in (*TRUE_WORDS, *FALSE_WORDS):
            raise Problem(INVALID, _("mine must be true or false."), field="mine")
        if word in TRUE_WORDS:
            query["created_by"] = request.user.get_username()
    try:
        return AssetFilters.of(query)
    except InvalidRequest as exc:
        if exc.field != "status":
            raise
        raise Problem(INVALID, translated(exc).replace("status", "review"), field="review") from None


def page_of_assets(
    request: Request, assets: Any, names: list[str] | None = None, *, oldest_first: bool = False
) -> dict[str, Any]:
    """A page of these assets: all fields, or only these."""
    addresses, fields = Addresses.of(request), list(SHOWN) if names is None else names

    def shown(rows: list[AssetRow]) -> list[dict[str, Any]]:
        return shown_assets(with_related(rows, fields), addresses, fields)

    return paged(request, assets, shown, read=lambda found: read_rows(found, fields), oldest_first=oldest_first)


@method_decorator(outside_transactions, name="dispatch")
class AssetsView(AssetsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "POST": Right.GENERATE}
    parser_classes: Any = (Multipart, Body)

    @describe(
        "List assets",
        operation_id="assets_list",
        parameters=[*PAGING, ORDERING, FIELDS, *FILTERS],
        responses={200: page_of(AssetSerializer)},
        description="The newest first. Quick at any depth; nothing is counted, unless you ask for it.",
    )
    def get(self, request: Request) -> Response:
        filters = filters_of(request)
        names = wanted_fields(request)
        order = request.query_params.get("ordering", ORDERS[0])
        if order not in ORDERS:
            raise Problem(
                INVALID,
                _("ordering can be %(orders)s, not %(order)s.", orders=" or ".join(ORDERS), order=f"{order!r:.40}"),
                field="ordering",
            )
        assets: Any = self.access.all_assets() if filters.status else self.access.assets()
        assets = narrowed(assets, filters, self.access)
        return Response(page_of_assets(request, assets, names, oldest_first=order == ORDERS[1]))

    @describe(
        "Upload a picture",
        operation_id="assets_upload",
        request={"multipart/form-data": UploadSerializer, "application/json": UploadByAddressSerializer},
        responses={201: UploadedSerializer},
        description=(
            "What it is counts, not what it is called. It is decoded, turned upright, and loses EXIF and other private "
            "metadata. 415 for what is no whole picture: SVG, HTML, archives, half files, files with something behind. "
            "With `address` it is fetched from there, within 20 s, if that and all that it redirects to is public."
        ),
    )
    def post(self, request: Request) -> Response:
        is_file = (request.content_type or "").startswith("multipart/")
        sent: Any = request.data
        if is_file and isinstance(sent.get("file"), str):
            raise Problem(INVALID, _("file must be sent as a file, with a filename."), field="file")
        body = self.read(UploadSerializer if is_file else UploadByAddressSerializer)
        library = self.library(body.pop("library", None), Right.GENERATE)
        take: Any = uploads.upload if is_file else upload_from
        try:
            asset = take(body.pop("file" if is_file else "address"), library=library, by=request.user, **body)
        except InvalidRequest as exc:
            kind = NOT_A_PICTURE if exc.field == "file" else INVALID
            field = "address" if exc.field == "file" and not is_file else exc.field
            raise Problem(kind, translated(exc), field=field) from exc
        same = uploads.duplicates(asset, self.access.assets())
        answer = self.answer(asset, 201)
        answer.data["duplicates"] = [str(pk) for pk in same.values_list("pk", flat=True)[:20]]
        answer.data["similar"] = [str(one.pk) for one, _ in similar_to(asset, self.access.assets())]
        answer["Location"] = answer.data["url"]
        return answer


class FacetSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    count = serializers.IntegerField()


class FacetsSerializer(serializers.Serializer[Any]):
    """What is in use among these assets, the most frequent first."""

    counted = serializers.IntegerField(help_text="Assets that were looked at: the newest 10,000.")
    is_capped = serializers.BooleanField(help_text="There are more.")
    tags = FacetSerializer(many=True, help_text="The 200 most frequent.")
    providers = FacetSerializer(many=True)
    models = FacetSerializer(many=True)
    formats = FacetSerializer(many=True)
    states = FacetSerializer(many=True)
    reviews = FacetSerializer(many=True)


class FacetsView(AssetsBase):
    @describe(
        "What there is to filter by",
        operation_id="assets_facets",
        parameters=FILTERS,
        responses={200: FacetsSerializer},
        description="Tags, providers, models and formats in use, with how many assets have them; filters narrow it.",
    )
    def get(self, request: Request) -> Response:
        filters = filters_of(request)
        assets: Any = self.access.all_assets() if filters.status else self.access.assets()
        found = facets.of(narrowed(assets, filters, self.access))
        counts = {
            name: [{"name": word, "count": number} for word, number in rows] for name, rows in found.counts.items()
        }
        return Response({"counted": found.counted, "is_capped": found.is_capped, **counts})


class AssetView(AssetsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {
        "GET": Right.READ,
        "PATCH": Right.CHANGE,
        "DELETE": Right.DELETE,
    }

    @describe("One asset", operation_id="assets_read", parameters=[FIELDS], responses={200: AssetSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        names = wanted_fields(request)
        asset = self.found(pk)
        answer = shown_assets([asset], Addresses.of(request), names)[0]
        return Response(answer, headers={"ETag": etag_of(asset)})

    @describe(
        "Describe it, or move it",
        operation_id="assets_update",
        request=AssetPatchSerializer,
        parameters=[IF_MATCH],
        responses={200: AssetSerializer},
        problems=[412],
    )
    @atomic()
    def patch(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk, Right.CHANGE)
        demand_version(request, MediaAsset.objects.select_for_update().only("updated_at").get(pk=pk))
        body = self.read(AssetPatchSerializer)
        word = body.pop("library", None)
        if word is not None:
            bulk.move([asset.pk], self.library(word, Right.CHANGE))
        tags = body.pop("tags", None)
        if tags is not None:
            bulk.set_tags(asset, tags)
        for name, value in body.items():
            setattr(asset, name, value)
        review.describe(asset, set(body), by=request.user)
        return self.answer(asset)

    @describe(
        "Delete it",
        operation_id="assets_delete",
        parameters=[Parameter("even_if_used", "Also when it is in use.", BOOL)],
        responses={204: None},
        problems=[409],
        description=(
            "It can be had back for 30 days, as the site has set it. 409 with `used` when it is in use, unless "
            "even_if_used=true. A picture that is being paid for is waited for."
        ),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk, Right.DELETE)
        word = request.query_params.get("even_if_used", "false")
        if word not in ("true", "false"):
            raise Problem(INVALID, _("even_if_used must be true or false."), field="even_if_used")
        try:
            trash.delete([asset.pk], request.user, even_if_used=word == "true")
        except AssetInUse as exc:
            raise Problem(IN_USE, translated(exc), field=exc.field, extra={"used": exc.used[asset.asset_id]}) from exc
        return Response(status=204)


class UndeleteView(AssetsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.DELETE}

    @describe(
        "Have a deleted one back",
        operation_id="assets_undelete",
        request=None,
        responses={200: AssetSerializer},
        problems=[409],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk, Right.DELETE, deleted=True)
        if not trash.undelete([asset.pk], request.user):
            raise Problem(CONFLICT, _("The asset is not deleted."))
        return self.answer(asset)


class StepView(AssetsBase):
    """One step of the review."""

    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.APPROVE}
    step = ""

    def post(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk, Right.APPROVE)
        notes = self.read(ReviewSerializer).get("notes", "")
        done = review.review([asset.pk], self.step, by=request.user, notes=notes)
        if done.without_picture:
            raise Problem(
                CONFLICT,
                _(
                    "The asset is %(state)s: there is no picture to %(step)s.",
                    state=asset.generation_state,
                    step=self.step,
                ),
            )
        if done.without_alt_text:
            raise Problem(CONFLICT, _("The asset has no alt text, which its library wants before it is published."))
        if not done.changed:
            raise Problem(
                CONFLICT,
                _("The asset is %(status)s; from there is no way to %(step)s.", status=asset.status, step=self.step),
            )
        return self.answer(asset)


def _step_view(step: str) -> type[StepView]:
    summary = {"approve": "Approve it", "publish": "Publish it", "archive": "Archive it", "restore": "Make it a draft"}
    described = describe(
        summary[step],
        operation_id=f"assets_{step}",
        request=ReviewSerializer,
        responses={200: AssetSerializer},
        problems=[409],
        description="409 when its status or its state does not lead there.",
    )

    def post(self: StepView, request: Request, pk: UUID) -> Response:
        return StepView.post(self, request, pk)

    return type(f"{step.capitalize()}View", (StepView,), {"step": step, "post": described(post)})


class TagsView(AssetsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.CHANGE}

    @describe(
        "Add and remove tags", operation_id="assets_tags", request=TagsSerializer, responses={200: AssetSerializer}
    )
    def post(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk, Right.CHANGE)
        body = self.read(TagsSerializer)
        bulk.tag([asset.pk], add=body.get("add", ()), remove=body.get("remove", ()))
        return self.answer(asset)


routes = [
    path("assets/", AssetsView.as_view(), name="assets"),
    path("assets/facets/", FacetsView.as_view(), name="assets-facets"),
    path("assets/<uuid:pk>/", AssetView.as_view(), name="asset"),
    path("assets/<uuid:pk>/undelete/", UndeleteView.as_view(), name="asset-undelete"),
    path("assets/<uuid:pk>/tags/", TagsView.as_view(), name="asset-tags"),
    *(path(f"assets/<uuid:pk>/{step}/", _step_view(step).as_view(), name=f"asset-{step}") for step in review.STEPS),
]
