"""Canva Connect: takes pictures and gives designs back. Speaks for one user, whose access token lives four hours.

An export is an upload job, then a design with the picture inside, then a move into a folder. Each step that is done is
told at once (see `_Journey`), so that a process that comes later goes on where this one died, and uploads nothing
twice.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from mediagen import http, images
from mediagen.errors import (
    BadResponse,
    CredentialsRefused,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.providers.base import inspected, not_honoured
from mediagen.providers.canva_inputs import (
    ID,
    MAX_TITLE_CHARS,
    checked_page,
    checked_title,
    design_size,
    dry_result,
    edit_address,
    parse_design,
    parse_folder,
    prepared,
    web_address,
)
from mediagen.providers.canva_oauth import AUTHORIZE_URL
from mediagen.providers.options import Option
from mediagen.providers.service import ServiceProvider
from mediagen.secrets import Secret
from mediagen.types import CanvaExportResult, GeneratedImage, ProviderJob, current_call
from mediagen.wording import say as _

MAX_NAME_CHARS = 50
POLL_INTERVAL_S = 1.0
POLL_SETTLE_S = 3.0
STEP_BACKOFF_S = 2.0
ENDED = "ended"
"""in a job's data: it failed at Canva, and only another upload helps"""
_EXPIRED = frozenset({"invalid_access_token", "revoked_access_token"})

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
    "approval_required": Misconfigured,
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
    "internal_failure": Unavailable,
    "internal_error": Unavailable,
}
_NOT_FOUND = "_not_found"


class TokenSource(Protocol):
    """Gives the access token of an account that was connected by OAuth."""

    @property
    def fingerprint(self) -> str:
        """Changes when the account was connected anew."""

    async def __call__(self, refused: Secret | None = None) -> Secret:
        """A token that lives; another one than `refused`, which Canva did not take.

        `CredentialsRefused` when the account must be connected again, `Unavailable` when nothing can be said now.
        """


class CanvaAPIAdapter(ServiceProvider):
    """Export of pictures to Canva, pictures of Canva's designs, and a check of the token."""

    name = "canva_api"
    label = "Canva"
    default_base_url = "https://api.canva.com/rest"
    default_timeout_s = 120.0
    default_cooldown_s = 60.0
    credential_argument: ClassVar[str] = "access_token"
    is_healthy_without_key = False
    credential_env = "CANVA_API_KEY"
    can_resume = True
    connects_by_oauth: ClassVar[bool] = True
    """an account can be connected to it in the admin; the factory then sets `token_source`"""
    options: ClassVar[Mapping[str, Option]] = {
        "authorize_url": Option(
            kind="text",
            config_only=True,
            pattern=r"https?://\S+",
            help=_(
                "Where people are sent to connect their account. Empty: %(authorize_url)s", authorize_url=AUTHORIZE_URL
            ),
        ),
    }

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
        self.token_source: TokenSource | None = None
        """where tokens come from that renew themselves; it goes before `access_token`"""
        self._tokens: list[Secret] = []

    # ------------------------------------------------------------------ operations

    async def export_to_canva(
        self,
        image: GeneratedImage,
        title: str | None = None,
        create_design: bool = True,
        folder: str | None = None,
        **options: Any,
    ) -> CanvaExportResult:
        """Upload `image` and, unless told not to, make a design of its size with it inside.

        `title` of design and upload, at most 255 characters (an upload's name keeps 50). `folder`: id or address of
        the folder that it is moved into. A picture Canva does not take is converted, and that is reported; a folder
        that refuses it is reported too, and does not undo the export. Dry: a predictable result, ids begin with "dry-".
        A lost answer is `OutcomeUnknown` with the job, and is never sent again.
        """
        name, where = checked_title(title), parse_folder(folder)
        report = {
            f"options.{key}": not_honoured(value, f"{self.name} has no such option") for key, value in options.items()
        }
        if self.runs_dry:
            return dry_result(image, name, create_design, where, report)
        with self._told_apart():
            self._require_credential()
            async with http.session():
                return await self._export(image, name, create_design, where, report)

    async def import_from_canva(self, design_id: str, page: int = 1, **options: Any) -> GeneratedImage:
        """A page of a design as a PNG of the design's size. `design_id` may be the design's address; pages from 1."""
        design, number = parse_design(design_id), checked_page(page)
        if self.runs_dry:
            return await self._dry_picture(design, number)
        with self._told_apart():
            self._require_credential()
            async with http.session():
                return await self._render(design, number)

    # ------------------------------------------------------------------ export

    async def _export(
        self, image: GeneratedImage, title: str, create_design: bool, folder: str, report: dict[str, Any]
    ) -> CanvaExportResult:
        content, picture = await prepared(image, report)
        job = current_call().resume
        if job is None or job.data.get(ENDED):
            job = await self._upload(content, title)
            await current_call().job_submitted(job)
        trip = _Journey(job)
        asset_id = trip.get("asset_id") or await self._uploaded(trip)
        if create_design and not trip.get("design_id"):
            await self._design(trip, asset_id, title, picture, report)
        design_id, edit_url = trip.get("design_id"), trip.get("edit_url")
        if folder and trip.get("folder") != folder:
            await self._move(trip, design_id or asset_id, folder, report)
        return CanvaExportResult(
            design_id=design_id,
            edit_url=edit_url,
            title=title,
            metadata={
                "status": "placed",
                "dry_run": False,
                "asset_id": asset_id,
                "job_id": job.id,
                "folder": trip.get("folder"),
                "fit_report": report,
            },
        )

    async def _upload(self, content: bytes, title: str) -> ProviderJob:
        """Send the bytes; the job under which Canva takes them in."""
        name = base64.b64encode(title[:MAX_NAME_CHARS].strip().encode()).decode()
        headers = {
            "content-type": "application/octet-stream",
            "asset-upload-metadata": json.dumps({"name_base64": name}),
        }
        # A lost answer must not lead to a second upload: nobody could tell the two apart.
        response = await self._ask("POST", "/v1/asset-uploads", headers=headers, content=content, purchase=True)
        return ProviderJob(_id_in(_job_in(response), "took the upload and named no job"))

    async def _uploaded(self, trip: _Journey) -> str:
        """The id of the uploaded asset, when the job is done. A job that failed is noted: nobody need ask for it."""
        job = trip.job

        async def look() -> str | None:
            response = await self._ask("GET", f"/v1/asset-uploads/{job.id}", timeout_s=self.service.poll_timeout_s)
            state = self._ended(response)
            return None if state is None else _id_in(state.get("asset"), "says the upload is done and names no asset")

        try:
            asset_id = await self._polled(look, job)
        except OutcomeUnknown:
            raise
        except ProviderError as exc:
            await trip.note(**{ENDED: exc.outcome.value})
            raise
        await trip.note(asset_id=asset_id)
        return asset_id

    async def _design(
        self, trip: _Journey, asset_id: str, title: str, picture: images.Picture, report: dict[str, Any]
    ) -> None:
        """Make the design. What may have been made already is not made again."""
        if trip.get("design"):
            raise OutcomeUnknown(
                f"the picture is uploaded (asset {asset_id}), and a design may have been made: the answer was lost. "
                "Look into Canva; to have another design made, retry the export.",
                job=trip.job,
            )
        width, height = design_size(picture.width, picture.height)
        if (width, height) != (picture.width, picture.height):
            report["design_size"] = {"asked": [picture.width, picture.height], "made": [width, height]}
        body = {
            "type": "type_and_asset",
            "design_type": {"type": "custom", "width": width, "height": height},
            "asset_id": asset_id,
            "title": title,
        }

        async def create() -> http.Response:
            await trip.note(design="asked")
            try:
                return await self._ask("POST", "/v1/designs", json=body, purchase=True)
            except (OutcomeUnknown, BadResponse):
                raise  # it may have been made
            except ProviderError:
                await trip.note(design="")
                raise

        response = await self._until_taken(create, trip)
        try:
            design = response.json_object().get("design")
            design_id = _id_in(design, "made a design and did not name it")
        except BadResponse as exc:
            exc.job = trip.job
            raise
        urls = design.get("urls") if isinstance(design, dict) else None
        edit_url = urls.get("edit_url") if isinstance(urls, dict) else None
        await trip.note(design="made", design_id=design_id, edit_url=web_address(edit_url) or edit_address(design_id))

    async def _move(self, trip: _Journey, item_id: str, folder: str, report: dict[str, Any]) -> None:
        """Into the folder. Moving it there twice changes nothing; not to get there undoes nothing."""

        async def move() -> http.Response:
            return await self._ask("POST", "/v1/folders/move", json={"to_folder_id": folder, "item_id": item_id})

        try:
            await self._until_taken(move, trip)
        except ProviderError as exc:
            report["folder"] = not_honoured(folder, self.quoted(str(exc), 300))
            return
        await trip.note(folder=folder)

    async def _until_taken(self, ask: Callable[[], Awaitable[http.Response]], trip: _Journey) -> http.Response:
        """What `ask` answers, which is asked again while Canva says "later" and there is time.

        The upload is done by now: an error that would have the chain ask us once more from the start is turned into
        one that keeps the job.
        """
        give_up_at = time.monotonic() + self.poll_timeout_s
        wait_s = STEP_BACKOFF_S
        while True:
            try:
                return await ask()
            except (RateLimited, Unavailable) as exc:
                pause_s = exc.retry_after_s if exc.retry_after_s is not None else wait_s
                if time.monotonic() + pause_s >= give_up_at:
                    exc.job = trip.job
                    if isinstance(exc, RateLimited):
                        raise
                    text = f"the picture is uploaded; the next step was not taken: {exc}"
                    raise OutcomeUnknown(text, http_status=exc.http_status, job=trip.job) from None
                await asyncio.sleep(pause_s)
                wait_s = min(wait_s * 2, 15.0)
            except ProviderError as exc:
                exc.job = trip.job
                raise

    # ------------------------------------------------------------------ import

    async def _render(self, design_id: str, page: int) -> GeneratedImage:
        call = current_call()
        title = await self._title_of(design_id)
        job = call.resume
        if job is None:
            body = {"design_id": design_id, "format": {"type": "png", "pages": [page]}}
            response = await self._ask("POST", "/v1/exports", json=body)
            job = ProviderJob(_id_in(_job_in(response), "took the export and named no job"))
            await call.job_submitted(job)
        content, picture = await self._fetched(await self._rendered(job))
        return GeneratedImage(
            content=content,
            format=picture.format,
            width=picture.width,
            height=picture.height,
            metadata={"design_id": design_id, "title": title, "page": page, "dry_run": False},
            provider_name=self.name,
            provider_job_id=job.id,
            sha256=picture.sha256,
        )

    async def _title_of(self, design_id: str) -> str:
        response = await self._ask("GET", f"/v1/designs/{design_id}")
        design = response.json_object().get("design")
        return self.quoted(design.get("title"), MAX_TITLE_CHARS) if isinstance(design, dict) else ""

    async def _rendered(self, job: ProviderJob) -> str:
        """The address of the picture, when the job is done."""

        async def look() -> str | None:
            response = await self._ask("GET", f"/v1/exports/{job.id}", timeout_s=self.service.poll_timeout_s)
            state = self._ended(response)
            if state is None:
                return None
            urls = state.get("urls")
            if not isinstance(urls, list) or not urls or not isinstance(urls[0], str):
                raise http.JobEnded(BadResponse("says the export is done and gives no picture."))
            return urls[0]

        return await self._polled(look, job)

    async def _fetched(self, url: str) -> tuple[bytes, images.Picture]:
        found: list[images.Picture] = []
        # Without our token: the address carries its own right.
        content = await self.service.download(url, check=lambda body: found.append(inspected(body)))
        return content, found[-1]

    async def _dry_picture(self, design_id: str, page: int) -> GeneratedImage:
        words = f"Canva {design_id} {page}"
        content = await asyncio.to_thread(
            images.placeholder, provider=self.name, prompt=words, width=1024, height=1024, seed=None
        )
        picture = images.inspect(content)
        return GeneratedImage(
            content=content,
            format=picture.format,
            width=picture.width,
            height=picture.height,
            metadata={"design_id": design_id, "title": words, "page": page, "dry_run": True},
            provider_name=self.name,
            is_placeholder=True,
            dry_run=True,
            sha256=picture.sha256,
        )

    # ------------------------------------------------------------------ jobs

    async def _polled(self, look: Callable[[], Awaitable[str | None]], job: ProviderJob) -> str:
        return await http.poll(
            look, job=job, timeout_s=self.poll_timeout_s, interval_s=POLL_INTERVAL_S, settle_s=POLL_SETTLE_S
        )

    def _ended(self, response: http.Response) -> dict[str, Any] | None:
        """The job when it has succeeded, None while it runs. `JobEnded` with what Canva's code means when it failed."""
        job = _job_in(response)
        match job.get("status"):
            case "in_progress":
                return None
            case "success":
                return job
            case "failed":
                error = job.get("error")
                said = error if isinstance(error, dict) else {}
                code, text = self.quoted(said.get("code")), self.quoted(said.get("message"), 300)
                kind = ERROR_CODES.get(code, UnsupportedRequest)
                raise http.JobEnded(kind(f"the job failed: {code or 'without a code'}: {text}"))
        raise BadResponse(f"the job has the status {self.quoted(job.get('status'))!r}, which we do not know.")

    # ------------------------------------------------------------------ token

    async def _ask(self, method: str, path: str, **how: Any) -> http.Response:
        """A checked answer. A token that has just died is renewed once: what answers 401 has done nothing."""
        token = await self._token()
        response = await self._with(token).request(method, path, **how)
        if self.token_source is not None and response.status == 401 and _code_of(response) in _EXPIRED:
            token = await self._token(refused=token)
            response = await self._with(token).request(method, path, **how)
        return self.checked(response)

    async def _token(self, refused: Secret | None = None) -> Secret:
        if self.token_source is None:
            return self._credential
        token = await self.token_source(refused)
        self._tokens = [token, *self._tokens[:3]]  # so that none of them gets into a text
        return token

    def _with(self, token: Secret) -> http.Service:
        auth = {"authorization": f"Bearer {token.reveal()}"}
        return http.Service(self.base_url, auth=auth, timeout_s=self.timeout_s)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (*super().secrets, *self._tokens)

    @property
    def is_configured(self) -> bool:
        return self.token_source is not None or super().is_configured

    @property
    def config_digest(self) -> str:
        source = self.token_source
        return super().config_digest if source is None else f"{super().config_digest[:8]}{source.fingerprint[:8]}"

    @property
    def credential_hint(self) -> str:
        if self.token_source is not None:
            return f"press “Connect Canva” on the page of provider '{self.name}' in the admin."
        return f"{super().credential_hint.rstrip('.')}, or connect an account on the provider's page in the admin."

    def _require_credential(self) -> None:
        if self.token_source is None:
            super()._require_credential()

    # ------------------------------------------------------------------ health, errors

    async def _probe(self) -> str:
        response = await self._ask("GET", "/v1/users/me", timeout_s=self.probe_timeout_s)
        member = response.json_object().get("team_user")
        user = member.get("user_id") if isinstance(member, dict) else None
        if not isinstance(user, str):
            raise BadResponse("answered without a user.", http_status=response.status)
        return f"signed in as user {self.quoted(user)}"

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        code = _code_of(response)
        kind = UnsupportedRequest if code.endswith(_NOT_FOUND) else ERROR_CODES.get(code)
        if kind is None:
            return None
        text = f"{response.status} {self.quoted(code)}: {self._vendor_text(response)}"
        if code in _EXPIRED and self.token_source is None:
            text = (
                f"{text.rstrip('.')}. The access token has died: one that is set by hand lives four hours and cannot "
                "renew itself"
            )
        return kind(text, http_status=response.status, retry_after_s=http.retry_after_s(response.headers))


@dataclass(slots=True)
class _Journey:
    """How far an export has come. Every `note` is recorded before the next step begins."""

    job: ProviderJob
    _data: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._data = {key: str(value) for key, value in self.job.data.items()}

    def get(self, key: str) -> str:
        return self._data.get(key, "")

    async def note(self, **more: str) -> None:
        self._data |= more
        self.job = ProviderJob(self.job.id, dict(self._data))
        await current_call().job_submitted(self.job)


def _code_of(response: http.Response) -> str:
    code = response.error_object().get("code")
    return code if isinstance(code, str) else ""


def _job_in(response: http.Response) -> dict[str, Any]:
    job = response.json_object().get("job")
    if not isinstance(job, dict):
        raise BadResponse("answered without a job.", http_status=response.status)
    return job


def _id_in(data: Any, otherwise: str) -> str:
    """The id that stands in an object of an answer and may become part of a path; `BadResponse` when there is none."""
    value = data.get("id") if isinstance(data, dict) else None
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise BadResponse(f"{otherwise}.")
    return value
