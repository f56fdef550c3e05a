"""A provider whose service knows idempotency keys, as Comfy Router, Higgsfield and Argil describe theirs. For tests."""

from __future__ import annotations

from mediagen import conf, http
from mediagen.errors import OutcomeUnknown, ProviderError
from mediagen.providers.base import Generated, MediaGeneratorProvider
from mediagen.types import GenerationRequest, current_call

ROUTE = "POST /v2/pictures"


class KeyedAdapter(MediaGeneratorProvider):
    """`POST /v2/pictures` answers with the bytes of a picture; the same `Idempotency-Key` with the same body answers
    with the first one's again, for a day."""

    name = "keyed"
    label = "Pictures with purchase keys"
    default_base_url = "https://keyed.example"
    default_model = "keyed-1"
    credential_env = "KEYED_API_KEY"
    default_prices = {"keyed-1": "0.05"}
    supports_seed = True
    purchase_keys_live_s = 24 * 3600.0

    async def _generate_image(self, request: GenerationRequest) -> Generated:
        payload = {"prompt": request.prompt, "width": request.width, "height": request.height, "seed": request.seed}
        response = await self.service.request(
            "POST",
            "/v2/pictures",
            json=payload,
            headers={"idempotency-key": current_call().purchase_key},
            max_bytes=conf.get("MAX_IMAGE_BYTES"),
            purchase=True,
        )
        return Generated(content=self.checked(response).body)

    async def _probe(self) -> str:
        response = await self.service.request("GET", "/v2/account", timeout_s=self.probe_timeout_s)
        return f"{self.checked(response).json_object().get('credits')} credits left"

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        # A conflict of keys, or work that goes on behind a gateway: it may be bought, and is asked for by its key.
        if response.status in (409, 504):
            wait_s = http.retry_after_s(response.headers)
            return OutcomeUnknown(
                f"{response.status}: {self._vendor_text(response)}", http_status=response.status, retry_after_s=wait_s
            )
        return None
