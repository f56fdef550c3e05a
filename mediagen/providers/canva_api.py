"""Canva Connect: takes pictures, makes none. The credential is a user's access token, which lives four hours."""

from __future__ import annotations

from typing import Any, ClassVar

from mediagen import http
from mediagen.errors import (
    BadResponse,
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.providers.base import not_honoured
from mediagen.providers.service import ServiceProvider, export_digest
from mediagen.secrets import Secret
from mediagen.types import CanvaExportResult, GeneratedImage, checked_text

MAX_TITLE_CHARS = 255
DEFAULT_TITLE = "mediagen"

# What Canva's error codes mean for us. A code that is not here goes by its HTTP status; "*_not_found" see below.
ERROR_CODES: dict[str, type[ProviderError]] = {
    "invalid_access_token": CredentialsRefused,
    "revoked_access_token": CredentialsRefused,
    "invalid_grant": CredentialsRefused,
    "invalid_client": CredentialsRefused,
    "unauthorized_client": CredentialsRefused,
    "missing_scope": CredentialsRefused,
    "permission_denied": Misconfigured,
    "unauthorized_user": Misconfigured,
    "user_not_eligible": Misconfigured,
    "license_required": Misconfigured,
    "feature_not_available": Misconfigured,
    "quota_exceeded": Misconfigured,
    "ai_credit_quota_exceeded": Misconfigured,
    "endpoint_gone": Misconfigured,
    "input_unsafe": Refused,
    "too_many_requests": RateLimited,
    "ai_credit_quota_cooldown": RateLimited,
    "bad_request_body": UnsupportedRequest,
    "bad_request_params": UnsupportedRequest,
    "bad_query_params": UnsupportedRequest,
    "invalid_field": UnsupportedRequest,
    "missing_field": UnsupportedRequest,
    "invalid_header_value": UnsupportedRequest,
    "invalid_file_format": UnsupportedRequest,
    "unsupported_content_type": UnsupportedRequest,
    "request_too_large": UnsupportedRequest,
    "file_too_big": UnsupportedRequest,
    "import_failed": UnsupportedRequest,
    "fetch_failed": Unavailable,
    "internal_error": Unavailable,
}
_NOT_FOUND = "_not_found"


class CanvaAPIAdapter(ServiceProvider):
    """Export of pictures to Canva, and a check of the token."""

    name = "canva_api"
    label = "Canva"
    default_base_url = "https://api.canva.com/rest"
    default_timeout_s = 30.0
    default_cooldown_s = 60.0
    credential_argument: ClassVar[str] = "access_token"
    credential_env = "CANVA_API_KEY"

    def __init__(
        self,
        access_token: str | Secret | None = None,
        base_url: str | None = None,
        model: str | None = None,
        dry_run: bool = True,
        timeout_s: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(access_token, base_url, model, dry_run, timeout_s, **options)

    async def export_to_canva(
        self, image: GeneratedImage, title: str | None = None, **options: Any
    ) -> CanvaExportResult:
        """A new design that holds `image`. `title` in at most 255 characters.

        Dry: a predictable result whose design id begins with "dry-". Live: `UnsupportedRequest` for now.
        """
        name = _checked_title(title)
        if not self.runs_dry:
            raise UnsupportedRequest(
                f"{self.name}: live export to Canva is not part of this version. Download the picture and upload it in "
                f"Canva, or export in dry run."
            )
        design_id = f"dry-{export_digest(image, name)}"
        why = f"{self.name} has no such option"
        return CanvaExportResult(
            design_id=design_id,
            edit_url=f"https://www.canva.com/design/{design_id}/edit",
            title=name,
            metadata={
                "status": "dry_run",
                "dry_run": True,
                "fit_report": {f"options.{key}": not_honoured(value, why) for key, value in options.items()},
            },
        )

    async def _probe(self) -> str:
        response = await self.service.request("GET", "/v1/users/me", timeout_s=self.probe_timeout_s)
        member = self.checked(response).json_object().get("team_user")
        user = member.get("user_id") if isinstance(member, dict) else None
        if not isinstance(user, str):
            raise BadResponse("answered without a user.", http_status=response.status)
        return f"signed in as user {self.quoted(user)}"

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        code = response.error_object().get("code")
        if not isinstance(code, str):
            return None
        kind = UnsupportedRequest if code.endswith(_NOT_FOUND) else ERROR_CODES.get(code)
        if kind is None:
            return None
        return kind(
            f"{response.status} {self.quoted(code)}: {self._vendor_text(response)}",
            http_status=response.status,
            retry_after_s=http.retry_after_s(response.headers),
        )


def _checked_title(title: str | None) -> str:
    text = checked_text(title or DEFAULT_TITLE, "title").strip() or DEFAULT_TITLE
    if len(text) > MAX_TITLE_CHARS:
        raise InvalidRequest(
            f"title must have at most {MAX_TITLE_CHARS} characters, not {len(text)}. Shorten it.", field="title"
        )
    return text
