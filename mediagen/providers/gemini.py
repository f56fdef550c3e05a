"""Google Gemini: the Nano Banana models. A picture and an edit of pictures are one call, `generateContent`.

Two doors take it: the Developer API with a key, and Vertex AI (the option `location`) with a service account.

An answer carries the picture as base64; there is no job, so an answer that is lost is a picture that is lost.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote

from mediagen import http
from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    CredentialsRefused,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
)
from mediagen.operations import DESCRIBE, EditRequest
from mediagen.providers.base import Generated
from mediagen.providers.data import ProviderData, provider_data
from mediagen.providers.describing import DESCRIBE_OPTIONS, Described, DescribesImages
from mediagen.providers.editing import EditsImages, VariesImages, words_of
from mediagen.providers.gemini_answers import (
    LOCATION,
    REFUSALS,
    USED_UP,
    candidates,
    inline,
    last_picture,
    quota_ids,
    reasons,
    retry_delay_s,
    text_of,
    vertex_host,
)
from mediagen.providers.google_account import ServiceAccount, is_account
from mediagen.providers.inline import json_limit, picture_bytes
from mediagen.providers.options import Option
from mediagen.providers.service import KeyRule
from mediagen.providers.sizes import Size, nearest_ratio, tier_that_covers
from mediagen.secrets import Secret
from mediagen.types import GenerationRequest, utcnow
from mediagen.wording import say as _

_EIGHT_RATIOS: tuple[Size, ...] = ((1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (9, 16), (16, 9), (21, 9))
_FOURTEEN_RATIOS = (*_EIGHT_RATIOS, (4, 5), (5, 4), (1, 4), (4, 1), (1, 8), (8, 1))
_SIDES = {"1K": 1024, "2K": 2048, "4K": 4096}
"""the side of a square of each tier, pixels"""


class _Kind(NamedTuple):
    ratios: tuple[Size, ...]
    tiers: tuple[str, ...]
    """what `imageSize` may be; of one alone nothing is sent"""


_KINDS = {
    "gemini-nano-banana-2.1": _Kind(_FOURTEEN_RATIOS, ("1K", "2K", "4K")),
    "gemini-3-pro-image": _Kind(_EIGHT_RATIOS, ("1K", "2K", "4K")),
    "gemini-3.1-flash-lite-image": _Kind(_EIGHT_RATIOS, ("1K",)),
    "gemini-2.5-flash-image": _Kind(_EIGHT_RATIOS, ("1K",)),
}
_UNKNOWN_KIND = _Kind(_EIGHT_RATIOS, ("1K", "2K", "4K"))

MOST_SOURCES = 14
MOST_TOKENS_OF_A_SOURCE = 2_500
_THOUGHT_TOKENS = {"minimal": 1_000, "medium": 4_000, "high": 8_000}
"""held for what the model thinks, which is charged and not published; medium when nothing is set"""
_IN, _TEXT_OUT, _IMAGE_OUT = "1M-in", "1M-text-out", "1M-image-out"

ACCOUNT_ENV = "GOOGLE_SERVICE_ACCOUNT_JSON"
_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9.\-]{0,99}")
_VERSIONED = re.compile(r"/v\d+(?:alpha|beta)?$")


class GeminiAdapter(DescribesImages, EditsImages, VariesImages, table="gemini"):
    """Google's image models by the Gemini Developer API or Vertex AI. Silent until the picture is done."""

    name = "gemini"
    label = "Google Gemini"
    default_base_url = "https://generativelanguage.googleapis.com/v1beta"
    default_model = "gemini-nano-banana-2.1"
    default_timeout_s = 300.0
    credential_env = "GEMINI_API_KEY"
    billing_url = "https://console.cloud.google.com/billing"
    key_hosts: tuple[str, ...] = ("generativelanguage.googleapis.com",)
    takes_account = True
    options: ClassVar[Mapping[str, Option]] = {
        "thinking": Option(
            kind="choice",
            choices=tuple(_THOUGHT_TOKENS),
            only_models=("gemini-nano-banana-2.1",),
            help=_("How long it thinks before it paints; thoughts are charged. Vendor: medium."),
        ),
        "location": Option(
            kind="text",
            pattern=LOCATION,
            max_length=40,
            config_only=True,
            help=_("Vertex AI: global, us, eu or a region (europe-west1). The credential is a service account's JSON."),
        ),
        "project": Option(
            kind="text",
            pattern=r"[a-z0-9.:\-]+",
            max_length=100,
            config_only=True,
            help=_("Vertex AI: the project that pays, where it is not the service account's own."),
        ),
        **DESCRIBE_OPTIONS,
    }

    def __init__(
        self, api_key: str | Secret | None = None, base_url: str | None = None, model: str | None = None, **rest: Any
    ) -> None:
        rule = self.key_rule(rest)
        self.is_vertex, self.credential_env = bool(rule.vendor), rule.variable
        if self.is_vertex:
            self.default_base_url, self.key_hosts = f"https://{rule.hosts[0]}", rule.hosts
        super().__init__(api_key, base_url or self.default_base_url, model, **rest)
        if not _VERSIONED.search(self.base_url):
            self.base_url += "/v1" if self.is_vertex else "/v1beta"
        self._account: ServiceAccount | None = None
        self._token = Secret("")

    @classmethod
    def key_rule(cls, options: Mapping[str, Any]) -> KeyRule:
        location = str(options.get("location") or "")
        if not location:
            return super().key_rule(options)
        hosts = (vertex_host(location),) if re.fullmatch(LOCATION, location) else ("invalid",)
        return KeyRule("vertex", ACCOUNT_ENV, hosts)

    def wire_size(self, width: int, height: int) -> tuple[str, str]:
        """(aspectRatio, imageSize) to ask for: the nearest shape, and the smallest tier that covers width x height."""
        kind = _KINDS.get(self.model, _UNKNOWN_KIND)
        ratio = nearest_ratio(width, height, kind.ratios)
        tiers = {tier: _SIDES[tier] for tier in kind.tiers}
        return f"{ratio[0]}:{ratio[1]}", tier_that_covers(width, height, ratio, tiers)

    def price_keys(self, request: GenerationRequest) -> list[str]:
        return [f"{self.model}/{self.wire_size(request.width, request.height)[1]}", *super().price_keys(request)]

    def at_most(self, request: GenerationRequest) -> tuple[Decimal | None, str]:
        price, why = super().at_most(request)
        text_out, text_in = (self.prices.get(f"{self.model}/{kind}") for kind in (_TEXT_OUT, _IN))
        if price is None or text_out is None or text_in is None:
            return price, why
        thoughts = _THOUGHT_TOKENS[request.options.get("thinking", "medium")] if self.knows_option("thinking") else 1000
        # A character is at most a token or two, and mostly a quarter of one.
        price += (thoughts * text_out + len(request.prompt) * text_in) / 1_000_000
        return price, f"{why}, and {thoughts:,} tokens of thoughts, which are charged as they come"

    @property
    def most_sources(self) -> int:
        return MOST_SOURCES

    def _most_of(self, operation: str, asked: dict[str, Any]) -> tuple[Decimal | None, str]:
        """What is handed over costs as well."""
        (made, why), per_token = super()._most_of(operation, asked), self.prices.get(f"{self.model}/{_IN}")
        if made is None or per_token is None:
            return made, why
        return made + len(asked["images"]) * MOST_TOKENS_OF_A_SOURCE * per_token / 1_000_000, why

    async def _generate_image(self, request: GenerationRequest) -> Generated:
        ratio, tier = self.wire_size(request.width, request.height)
        shape = {"aspectRatio": ratio}
        if len(_KINDS.get(self.model, _UNKNOWN_KIND).tiers) > 1:
            shape["imageSize"] = tier
        config: dict[str, Any] = {"responseModalities": ["IMAGE"], "imageConfig": shape}
        if "thinking" in request.options:
            config["thinkingConfig"] = {"thinkingLevel": request.options["thinking"].upper()}
        sources = request.images if isinstance(request, EditRequest) else ()
        text = words_of(request)
        parts = [{"text": text}, *map(inline, sources)]
        path = await self._path_of(self.model)
        response = await self.service.request(
            "POST",
            f"{path}:generateContent",
            json={"contents": [{"role": "user", "parts": parts}], "generationConfig": config},
            max_bytes=json_limit(),
            purchase=True,
        )
        answer, encoded = self.checked(response).json_object_and("data")
        if (error := self.error_inside(answer, response)) is not None:
            raise error
        found = last_picture(answer)
        cost = self._cost(answer.get("usageMetadata"), made=found is not None)
        if found is None:
            raise self._without_result(answer, response, cost)
        metadata = {
            "request_id": self.quoted(answer.get("responseId")),
            "model_version": self.quoted(answer.get("modelVersion")),
            "aspect_ratio": ratio,
            "image_size": tier,
        }
        return Generated(
            content=picture_bytes(http.taken(found.get("data"), encoded), cost=cost),
            cost=cost,
            metadata={key: value for key, value in metadata.items() if value},
        )

    async def _describe(self, instruction: str, jpeg: bytes) -> Described:
        data = base64.b64encode(jpeg).decode()
        parts = [{"text": instruction}, {"inlineData": {"mimeType": "image/jpeg", "data": data}}]
        path = await self._path_of(self.model_asked_for(DESCRIBE))
        response = await self.service.request(
            "POST",
            f"{path}:generateContent",
            json={"contents": [{"role": "user", "parts": parts}]},
            purchase=True,
        )
        answer = self.checked(response).json_object()
        if (error := self.error_inside(answer, response)) is not None:
            raise error
        usage = answer.get("usageMetadata")
        usage = usage if isinstance(usage, dict) else {}
        said, thought = usage.get("candidatesTokenCount", 0), usage.get("thoughtsTokenCount", 0)
        out = said + thought if type(said) is int and type(thought) is int else None
        tokens_in = usage.get("promptTokenCount")
        first = candidates(answer)[0] if candidates(answer) else {}
        reason = first.get("finishReason")
        text = text_of(first)
        if reason in REFUSALS or not text.strip():
            raise self._without_result(answer, response, self._cost_of_words(tokens_in, out), "description")
        metadata = {"request_id": self.quoted(answer.get("responseId")), "finish": self.quoted(reason, 60)}
        return Described(
            text=text,
            tokens_in=tokens_in,
            tokens_out=out,
            model=self.quoted(answer.get("modelVersion"), 100),
            metadata={name: value for name, value in metadata.items() if value},
        )

    def _without_result(
        self, answer: Mapping[str, Any], response: http.Response, cost: Decimal | None, what: str = "picture"
    ) -> ProviderError:
        """What an answer that holds no picture, or no description of one, means."""
        feedback = answer.get("promptFeedback")
        blocked = self.quoted(feedback.get("blockReason"), 60) if isinstance(feedback, dict) else ""
        if blocked and blocked != "BLOCK_REASON_UNSPECIFIED":
            said = self.quoted(feedback.get("blockReasonMessage"), 200) if isinstance(feedback, dict) else ""
            return Refused(f"moderation refused the prompt ({blocked}). {said}".rstrip(), http_status=200, cost=cost)
        candidate = candidates(answer)[0] if candidates(answer) else {}
        reason = self.quoted(candidate.get("finishReason"), 60)
        said = self.quoted(candidate.get("finishMessage"), 200) or self.quoted(text_of(candidate), 200)
        if reason in REFUSALS:
            return Refused(f"moderation refused the {what} ({reason}). {said}".rstrip(), http_status=200, cost=cost)
        instead = f"text in place of a picture: {said}" if said else f"no {what} in it"
        return BadResponse(f"answered 200 ({reason or 'no reason'}) with {instead}", http_status=200, cost=cost)

    def _cost(self, usage: Any, *, made: bool) -> Decimal | None:
        """USD by the tokens that the answer counts; None when a count or a price is missing, or where a picture came
        and none was counted."""
        if not isinstance(usage, dict):
            return None
        details = usage.get("candidatesTokensDetails")
        details = details if isinstance(details, list) else []
        out = usage.get("candidatesTokenCount", 0)
        image = [d.get("tokenCount") for d in details if isinstance(d, dict) and d.get("modality") == "IMAGE"]
        counted = image[0] if image else out if made else 0  # without details all of it counts as picture, the dearer
        thoughts = usage.get("thoughtsTokenCount", 0)
        counts: tuple[Any, ...] = (usage.get("promptTokenCount"), out, counted, thoughts)
        if any(type(count) is not int or not 0 <= count < 10**9 for count in counts) or (made and not counted):
            return None
        prompt, out, counted, thoughts = map(int, counts)
        known = (self.prices.get(f"{self.model}/{kind}") for kind in (_IN, _TEXT_OUT, _IMAGE_OUT))
        prices = [price for price in known if price is not None]
        if len(prices) < 3:
            return None
        per_in, per_text, per_image = prices
        text = max(0, out - counted) + thoughts
        return Decimal(prompt * per_in + text * per_text + counted * per_image) / 1_000_000

    async def _probe(self) -> str:
        path = await self._path_of(self.model)
        if self.is_vertex:  # which call would tell of the model, and cost nothing, is not known
            return f"Google takes the service account; {self.model} itself was not asked"
        response = await self.service.request("GET", path, timeout_s=self.probe_timeout_s)
        answer = self.checked(response).json_object()
        if not isinstance(answer.get("name"), str):
            raise BadResponse("answered without a model.", http_status=response.status)
        if end := self.announced_ends.get(self.model):
            return f"{self.model} answers; WARNING: it is shut down on {end}. Choose another model before."
        return f"{self.model} answers"

    async def fetched_data(self) -> ProviderData:
        """The present table with the image models that Google lists for this key. Costs nothing."""
        if self.is_vertex:
            raise Misconfigured("the list of models is that of the Developer API: ask it with an entry that has a key.")
        response = await self.service.request(
            "GET", "/models", params={"pageSize": "1000"}, timeout_s=self.probe_timeout_s
        )
        listed = self.checked(response).json_object().get("models")
        if not isinstance(listed, list):
            raise BadResponse("answered without a list of models.", http_status=response.status)
        names = [str(entry.get("name", "")).rpartition("/")[2] for entry in listed if isinstance(entry, dict)]
        known = provider_data(type(self).name)
        new = [n for n in names if _MODEL_NAME.fullmatch(n) and ("image" in n or "nano-banana" in n)]
        models = (*known.models, *sorted(n for n in new if n not in known.models and not n.startswith("imagen")))
        return known.renewed(f"{self.base_url}/models", utcnow().date(), models=models)

    async def _path_of(self, name: str) -> str:
        """A model's place below `base_url`. On Vertex a token is in hand then, for the next `service`. Nothing is
        bought by it."""
        model = quote(name, safe="")
        if not self.is_vertex:
            return f"/models/{model}"
        account = self._account or ServiceAccount.read(self._credential)
        project = str(self.default_options.get("project") or account.project)
        if not project:
            raise Misconfigured("the service account's JSON file names no project: set the option project.")
        self._token = await account.token()
        location = self.default_options["location"]
        return f"/projects/{quote(project, safe=':')}/locations/{location}/publishers/google/models/{model}"

    def _auth(self) -> Mapping[str, str]:
        if self.is_vertex:
            return {"authorization": f"Bearer {self._token.reveal()}"}
        return {"x-goog-api-key": self.credential}

    @property
    def secrets(self) -> tuple[Secret, ...]:
        own = (self._token, self._account.private_key) if self._account else (self._token,)
        return (*super().secrets, *(secret for secret in own if secret))

    def _require_credential(self) -> None:
        if not self.is_vertex and is_account(self.credential):
            raise Misconfigured("the credential is a service account, for Vertex AI: set the option location.")
        if self.is_vertex and self._credential:  # it goes into no header
            self._account = self._account or ServiceAccount.read(self._credential)
        else:
            super()._require_credential()

    def _checked_model(self, model: str) -> str:
        model = model.removeprefix("models/")
        if not _MODEL_NAME.fullmatch(model):
            raise ConfigurationError(
                f"{self.name}: {model!r:.80} cannot be a model's name. It has: {', '.join(self.models)}."
            )
        if model.startswith("imagen"):
            raise ConfigurationError(f"{self.name}: {model} was shut down by Google. Take {self.default_model}.")
        return super()._checked_model(model)

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        error = response.error_object().get("error")
        if not isinstance(error, dict):
            return None
        code, status = self.quoted(error.get("status"), 60), response.status
        text = f"{status} {code}".strip() + f": {self._vendor_text(response)}"
        if code == "UNAUTHENTICATED" and self._account:
            self._account.forget_token()
        if code == "UNAUTHENTICATED" or "API_KEY_INVALID" in reasons(error) or "api key not valid" in text.lower():
            return CredentialsRefused(text, http_status=status)
        if code in ("FAILED_PRECONDITION", "NOT_FOUND"):  # billing or region; a model that is not there
            return Misconfigured(text, http_status=status)
        if code == "PERMISSION_DENIED":
            return CredentialsRefused(text, http_status=status)
        if code == "DEADLINE_EXCEEDED" or status == 504:
            return OutcomeUnknown(f"{text} The picture may be made and charged all the same.", http_status=status)
        if code == "RESOURCE_EXHAUSTED" or status == 429:
            if USED_UP.search(f"{text} {quota_ids(error)}"):
                text += " It is a quota of nothing, or of a day: waiting seconds does not help."
                return Misconfigured(text, http_status=status)
            wait_s = retry_delay_s(error)
            if wait_s is None:
                wait_s = http.retry_after_s(response.headers)
            return RateLimited(text, http_status=status, retry_after_s=wait_s)
        return None
