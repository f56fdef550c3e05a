"""fal: a queue for some thousand models. A request is submitted, asked for at the addresses it answers, and fetched.

An answer that was lost is looked for in the account's list of requests before anything is bought again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from mediagen import http
from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    JobFailed,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    Refused,
    UnsupportedRequest,
)
from mediagen.http import JobEnded
from mediagen.providers import webhooks
from mediagen.providers.base import Generated, JobProvider
from mediagen.providers.data import ProviderData, provider_data
from mediagen.providers.fal_account import VENDOR, FalAccount
from mediagen.providers.fal_answers import Result, billed_units, is_refused, said
from mediagen.providers.inline import json_limit
from mediagen.providers.options import Option
from mediagen.providers.sizes import nearest_ratio, snap_to_grid, tier_that_covers
from mediagen.types import GenerationRequest, ProviderJob, current_call, utcnow
from mediagen.wording import say as _

RESULT_LIVES_S = 3600
"""results are public, and for ever unless told otherwise"""
ONE_MEGAPIXEL = 1024 * 1024
RATIOS = ((21, 9), (16, 9), (3, 2), (4, 3), (5, 4), (1, 1), (4, 5), (3, 4), (2, 3), (9, 16))
RESOLUTIONS = {"1K": 1024, "2K": 2048, "4K": 4096}
IMAGE_SIZE, RATIO, RATIO_AND_TIER = "image_size", "aspect_ratio", "aspect_ratio_and_resolution"
_SIZE_BY: Mapping[str, str] = {
    "fal-ai/nano-banana-pro": RATIO_AND_TIER,
    "fal-ai/nano-banana-2": RATIO_AND_TIER,
    "fal-ai/nano-banana": RATIO,
    "fal-ai/flux-pro/v1.1-ultra": RATIO,
    "fal-ai/flux-pro/kontext": RATIO,
}
"""(beginning of a model's name) how it is told a size; the others take `image_size`"""
_WITHOUT_SEED = ("fal-ai/nano-banana",)
_MODEL = re.compile(r"[a-z0-9][\w.\-]*(/[\w.\-]+){1,6}", re.ASCII | re.IGNORECASE)
# A gateway that gave up does not know what became of the request behind it.
_GATEWAY_GAVE_UP = frozenset({502, 504, 520, 521, 522, 523, 524})


class FalAdapter(JobProvider, table="fal"):
    """Any text-to-image model of fal. No hidden retries, no other model in its place, no results that stay for ever."""

    name = "fal"
    label = "fal"
    default_base_url = VENDOR
    default_model = "fal-ai/flux/dev"
    # What the account really pays is read from fal, and goes before these.
    # Requests over the account's limit wait in the queue, they are not refused.
    default_timeout_s = 300.0
    credential_env = "FAL_KEY"
    billing_url = "https://fal.ai/dashboard/billing"
    supports_seed = True
    key_hosts = (".fal.run", "api.fal.ai")
    find_for_s: ClassVar[float] = 12.0
    """how long a lost request is looked for, seconds: it may not be listed at once"""
    options: ClassVar[Mapping[str, Option]] = {
        "num_inference_steps": Option(kind="int", minimum=1, maximum=100, help=_("For models that have it.")),
        "guidance_scale": Option(kind="float", minimum=0, maximum=20, help=_("For models that have it.")),
        "output_format": Option(
            kind="choice", choices=("png", "jpeg"), help=_("What the service sends. Default: png.")
        ),
        "enable_safety_checker": Option(
            kind="bool", config_only=True, help=_("For models that have it; they say yes.")
        ),
        "size_by": Option(
            kind="choice",
            choices=(IMAGE_SIZE, RATIO, RATIO_AND_TIER),
            config_only=True,
            help=_("How the model is told a size. Not set: what is known of it, or image_size."),
        ),
        "input": Option(
            kind="object",
            config_only=True,
            help=_("Further fields of the model's input, as its page at fal names them."),
        ),
        "billing_events": Option(
            kind="bool", config_only=True, help=_("Ask the account what a picture cost; needs an admin key.")
        ),
    }

    async def _submit(self, request: GenerationRequest) -> ProviderJob:
        response = await self.service.request(
            "POST",
            f"/{self.model}",
            json=self._input(request, current_call().purchase_key),
            params={"fal_webhook": self.webhook_url} if self.webhook_url else None,
            headers={
                "x-fal-no-retry": "1",
                "x-app-fal-disable-fallback": "true",
                "x-fal-request-timeout": str(math.ceil(max(self.poll_timeout_s, 1.0))),
                "x-fal-store-io": "0",
                "x-fal-object-lifecycle-preference": json.dumps({"expiration_duration_seconds": RESULT_LIVES_S}),
            },
            timeout_s=min(self.submit_timeout_s, self.timeout_s),
            purchase=True,
        )
        if response.status in _GATEWAY_GAVE_UP:
            raise OutcomeUnknown(
                f"a gateway answered {response.status}; the request may be in the queue all the same.",
                http_status=response.status,
            )
        answer = self.checked(response).json_object()
        job_id = self._job_id(answer.get("request_id"))
        # By the addresses it names: under which of an app's names a request lives is the service's own affair.
        named = {key: answer[key] for key in ("status_url", "response_url", "cancel_url") if _is_text(answer.get(key))}
        return ProviderJob(job_id, {**self._addresses(job_id), **named, "model": self.model})

    async def _collect(self, request: GenerationRequest, job: ProviderJob) -> Generated:
        service = self.service
        addresses = {**self._addresses(job.id), **job.data}

        async def ask() -> Result | None:
            response = await service.get_url(addresses["status_url"])
            status = self.checked(response).json_object().get("status")
            if not isinstance(status, str):
                raise BadResponse("answered a poll without a status.", http_status=response.status)
            if status != "COMPLETED":
                return None
            answer = response.error_object()
            if answer.get("error") or answer.get("error_type"):
                raise JobEnded(self._failure(200, answer, None))
            found = await service.get_url(addresses["response_url"], max_bytes=json_limit())
            units = billed_units(found)
            if not found.is_success and (found.status in (400, 422) or found.headers.get("x-fal-error-type")):
                raise JobEnded(self._failure(found.status, found.error_object(), await self._cost(units)))
            result = Result(self.checked(found).json_object(), units)
            return self._ended(result, await self._cost(units) if result.is_black or not result.url else None)

        async def cancel() -> None:
            address = str(addresses["cancel_url"])
            if address.startswith(f"{self.base_url}/"):
                with suppress(ProviderError):  # only what has not begun can be cancelled
                    await service.request("PUT", address.removeprefix(self.base_url), timeout_s=10.0)

        result = await self._polled(ask, job, on_deadline=cancel)
        cost = await self._cost(result.units, job)
        try:
            content, picture = await self._fetched(result.url)
        except BadResponse as exc:
            exc.cost = cost
            raise
        model = job.data.get("model")
        return Generated(
            content=content,
            picture=picture,
            model=model if isinstance(model, str) else "",
            seed=result.seed,
            cost=cost,
            job_id=job.id,
            metadata={} if result.units is None else {"billable_units": float(result.units)},
        )

    # ------------------------------------------------------------------ a lost answer

    async def find_purchase(self, purchase_key: str, **request: Any) -> ProviderJob | None:
        """The request that this purchase became, out of the account's list; None when it is not there.

        It is ours when it was sent what we send for this key (payloads are kept only where the account has it so), or
        when its result has the seed that follows from the key.
        """
        with self._told_apart():
            async with http.session():
                prepared, _ = self.prepared(GenerationRequest.checked(**request))
                return await self._looked_for(self._input(prepared, purchase_key), is_drawn=prepared.seed is None)

    async def _looked_for(self, sent: Mapping[str, Any], *, is_drawn: bool) -> ProviderJob | None:
        attempt = current_call().attempt
        since = (attempt.started_at if attempt else None) or utcnow() - timedelta(hours=1)
        until = time.monotonic() + current_call().seconds_left(self.find_for_s)
        others: set[str] = set()
        while True:
            found = await self._account.requests(self.model, since)
            for job_id in found.keys() - others:
                is_ours = await self._is_ours(self._job_id(job_id), found[job_id], sent, is_drawn=is_drawn)
                if is_ours:
                    return ProviderJob(job_id, {**self._addresses(job_id), "model": self.model})
                if is_ours is False:
                    others.add(job_id)
            if time.monotonic() >= until:
                return None
            await asyncio.sleep(self.poll_max_interval_s)

    async def _is_ours(self, job_id: str, payload: Any, sent: Mapping[str, Any], *, is_drawn: bool) -> bool | None:
        """None: not to be told yet."""
        if "seed" not in sent:
            return False  # somebody else may have asked for the same
        if isinstance(payload, dict):
            return all(payload.get(name) == value for name, value in sent.items())
        response = await self.service.get_url(self._addresses(job_id)["response_url"], max_bytes=json_limit())
        if not response.is_success:
            return None
        result = response.error_object()
        # A seed that somebody chose may be another picture's as well.
        prompt = result.get("prompt", sent["prompt"] if is_drawn else None)
        return bool(result.get("seed") == sent["seed"] and prompt == sent["prompt"])

    def _addresses(self, job_id: str) -> dict[str, str]:
        """Where a request lives: under owner and app, without the rest of the model's name."""
        app = "/".join(self.model.split("/")[:2])
        address = f"{self.base_url}/{app}/requests/{job_id}"
        return {"status_url": f"{address}/status", "response_url": address, "cancel_url": f"{address}/cancel"}

    # ------------------------------------------------------------------ webhooks

    def _pushed(self, answer: http.Response) -> Result | None:
        delivered = answer.error_object()
        payload = delivered.get("payload")
        if delivered.get("status") == "ERROR":
            raise JobEnded(self._failure(200, {**delivered, **(payload if isinstance(payload, dict) else {})}, None))
        return (
            self._ended(Result(payload)) if isinstance(payload, dict) and not delivered.get("payload_error") else None
        )

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> webhooks.Delivery:
        """A pushed result; `WebhookRefused` unless fal has signed it, in the last five minutes."""
        named = [headers.get(f"x-fal-webhook-{part}", "") for part in ("request-id", "user-id", "timestamp")]
        if not all(named) or not named[2].isdecimal() or len(named[2]) > 12:
            raise webhooks.WebhookRefused("its headers are missing.")
        if abs(time.time() - int(named[2])) > webhooks.TOLERANCE_S:
            raise webhooks.WebhookRefused("the message is too old, or from the future.")
        signed = "\n".join([*named, hashlib.sha256(body).hexdigest()]).encode()
        webhooks.check_ed25519(await self._account.signing_keys(), signed, headers.get("x-fal-webhook-signature", ""))
        payload = webhooks.payload_of(body)
        return webhooks.Delivery(named[0], self._pushed_id(payload.get("request_id")), payload)

    # ------------------------------------------------------------------ the model's input

    def _input(self, request: GenerationRequest, purchase_key: str) -> dict[str, Any]:
        """What the model is sent. The same for the same request and key, so that it can be recognised."""
        own = {"size_by", "input", "billing_events"}
        payload: dict[str, Any] = {
            "prompt": request.prompt,
            **self._size(request.width, request.height),
            "num_images": 1,
            "output_format": "png",
            **{name: value for name, value in request.options.items() if name not in own},
        }
        if not self.model.startswith(_WITHOUT_SEED):
            drawn = int.from_bytes(hashlib.sha256(purchase_key.encode()).digest()[:4], "big") >> 1
            payload["seed"] = drawn if request.seed is None else request.seed
        return {**payload, **self.default_options.get("input", {})}

    @property
    def size_by(self) -> str:
        known = (way for model, way in _SIZE_BY.items() if self.model.startswith(model))
        return str(self.default_options.get("size_by") or next(known, IMAGE_SIZE))

    def _size(self, width: int, height: int) -> dict[str, Any]:
        if self.size_by == IMAGE_SIZE:
            w, h = snap_to_grid(width, height, multiple=16, min_side=256, max_side=4096, max_area=4 * ONE_MEGAPIXEL)
            return {"image_size": {"width": w, "height": h}}
        ratio = nearest_ratio(width, height, RATIOS)
        fields = {"aspect_ratio": f"{ratio[0]}:{ratio[1]}"}
        if self.size_by == RATIO_AND_TIER:
            fields["resolution"] = tier_that_covers(width, height, ratio, RESOLUTIONS)
        return fields

    @property
    def seed_range(self) -> tuple[int, int]:
        return 0, 2**31 - 1

    def _checked_model(self, model: str) -> str:
        if not _MODEL.fullmatch(model):
            raise ConfigurationError(f'{self.name}: model must be "owner/app" or longer, not {model!r:.80}.')
        return super()._checked_model(model)

    # ------------------------------------------------------------------ money

    def price_keys(self, request: GenerationRequest) -> list[str]:
        size = self._size(request.width, request.height)
        keys = super().price_keys(request)
        if "image_size" in size:
            pixels = size["image_size"]["width"] * size["image_size"]["height"]
            keys.insert(1, f"{self.model}/{math.ceil(pixels / ONE_MEGAPIXEL)}MP")
        elif "resolution" in size:
            keys.insert(1, f"{self.model}/{size['resolution']}")
        return keys

    def price(self, request: GenerationRequest) -> Decimal | None:
        """The operator's price, the account's own as it was last read, or the published one."""
        keys = self.price_keys(request)
        table = next((self.prices[key] for key in keys if key in self.prices), None)
        if any(key in self.prices and str(self.prices[key]) != self.default_prices.get(key) for key in keys):
            return table
        price, unit = self._account.known_price(self.model)
        if price is None or unit not in ("image", "images", "megapixel", "megapixels"):
            return table
        size = self._size(request.width, request.height).get("image_size")
        if unit.startswith("megapixel"):
            pixels = size["width"] * size["height"] if size else request.width * request.height
            return price * math.ceil(pixels / ONE_MEGAPIXEL)
        # A price a picture says nothing of the dearer tiers.
        return price if table is None else max(price, table)

    async def _cost(self, units: Decimal | None, job: ProviderJob | None = None) -> Decimal | None:
        """USD that was billed: units at the account's own price, or what the account's books say; else None."""
        with suppress(ProviderError):
            if units is not None:
                price, _ = await self._account.unit_price(self.model)
                return None if price is None else (price * units).quantize(Decimal("0.000001"))
            if job is not None and self.default_options.get("billing_events"):
                return await self._account.billed(job.id)
        return None

    @property
    def _account(self) -> FalAccount:
        return FalAccount(
            base_url=self.base_url,
            auth=self._auth(),
            key_hosts=self.key_hosts,
            timeout_s=self.probe_timeout_s,
            checked=self.checked,
        )

    # ------------------------------------------------------------------ what the service says

    def _ended(self, result: Result, cost: Decimal | None = None) -> Result:
        """A result with a picture; raises how it ended otherwise. `cost` is USD that were paid for none."""
        if result.is_black:
            raise JobEnded(Refused("moderation refused the picture, and sent a black one.", cost=cost))
        if not result.url:
            raise JobEnded(BadResponse("the request is completed, and its result names no picture.", cost=cost))
        return result

    def _failure(self, status: int, answer: Mapping[str, Any], cost: Decimal | None) -> ProviderError:
        """Why a request that ran, or was to run, came to nothing."""
        text = self._said(answer)
        if is_refused(answer):
            return Refused(f"moderation refused it: {text}", http_status=status, cost=cost)
        if status in (400, 422):
            # Charged when the model had begun: then its units stand in the answer.
            return UnsupportedRequest(f"{status}: {text}", http_status=status, cost=cost)
        return JobFailed(f"the request failed: {text or 'without saying why'}", http_status=status, cost=cost)

    async def fetched_data(self) -> ProviderData:
        """The present table with this account's prices of its models. Costs nothing."""
        known = provider_data(type(self).name)
        prices = dict(known.prices)
        for model in dict.fromkeys((*known.models, self.model)):
            price, unit = await self._account.unit_price(model)
            if price is not None and unit.startswith("megapixel"):
                prices |= {f"{model}/{mp}MP": str(price * mp) for mp in range(1, 5)}
            elif price is not None and unit.startswith("image") and not any(k.startswith(f"{model}/") for k in prices):
                prices[model] = str(price)
        return known.renewed("https://api.fal.ai/v1/models/pricing", utcnow().date(), prices=prices)

    async def _probe(self) -> str:
        account = self._account
        try:
            balance = await account.balance()
        except ProviderError as exc:
            if exc.http_status != 403:
                raise
            price, unit = await account.unit_price(self.model)  # not an admin's key: good for pictures
            return (
                "the key is accepted" if price is None else f"{self.model} costs ${price}, by {self.quoted(unit, 20)}"
            )
        if balance is None:
            raise BadResponse("answered without a balance.")
        if balance <= 0:
            raise Misconfigured(f"${balance:g} left. Buy credits at fal, or nothing can be generated.")
        with suppress(ProviderError):
            await account.unit_price(self.model)
        return f"${balance:g} left"

    def _auth(self) -> Mapping[str, str]:
        return {"authorization": f"Key {self.credential}"}

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        answer = response.error_object()
        text = self._said(answer)
        if is_refused(answer) and response.status in (400, 403, 422):
            return Refused(f"{response.status}: {text}", http_status=response.status)
        if response.status in (400, 403, 422) and "balance" in text.lower():
            return Misconfigured(f"{response.status}: {text}", http_status=response.status)
        return None

    def _vendor_text(self, response: http.Response) -> str:
        return self._said(response.error_object()) or super()._vendor_text(response)

    def _said(self, answer: Mapping[str, Any]) -> str:
        return self.quoted(said(answer), 300)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""
