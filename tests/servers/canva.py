"""Canva Connect: asset uploads as jobs, designs, folders, exports, consent, and tokens whose refresh works once."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import json
import re
import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from PIL import Image

from tests.servers.base import ProviderServer
from tests.servers.books import Job
from tests.servers.checks import Field, problems
from tests.servers.faults import DEAD_PORT_URL, METADATA_URL, Fault, FaultKind
from tests.servers.web import Answer, Answered, MalformedBody, Part, Request, json_answer

MAX_UPLOAD_BYTES = 50 * 1024 * 1024
PRESETS = ("doc", "email", "presentation", "whiteboard")
ID = re.compile(r"[a-zA-Z0-9_-]{1,50}")
DESIGN_FIELDS = {
    "type": Field(required=True, choices=("type_and_asset",)),
    "design_type": Field("object"),
    "asset_id": Field(),
    "title": Field(minimum=1, maximum=255),
}
CUSTOM_FIELDS = {
    "type": Field(required=True, choices=("custom",)),
    "width": Field("int", required=True, minimum=40, maximum=8000),
    "height": Field("int", required=True, minimum=40, maximum=8000),
}
PRESET_FIELDS = {"type": Field(required=True, choices=("preset",)), "name": Field(required=True, choices=PRESETS)}
_QUALITY = Field(choices=("regular", "pro"))
_SIDE = Field("int", minimum=40, maximum=25_000)
_ANY_EXPORT = {"type": Field(required=True), "export_quality": _QUALITY, "pages": Field("list")}
_PICTURE_EXPORT = {**_ANY_EXPORT, "width": _SIDE, "height": _SIDE}
EXPORT_FIELDS = {
    "png": {
        **_PICTURE_EXPORT,
        "lossless": Field("bool"),
        "as_single_image": Field("bool"),
        "transparent_background": Field("bool"),
    },
    "jpg": {**_PICTURE_EXPORT, "quality": Field("int", required=True, minimum=1, maximum=100)},
    "gif": _PICTURE_EXPORT,
    "pdf": {**_ANY_EXPORT, "size": Field(choices=("a4", "a3", "letter", "legal"))},
}
TOKEN_FIELDS = {
    "authorization_code": ("grant_type", "code", "code_verifier", "redirect_uri"),
    "refresh_token": ("grant_type", "refresh_token"),
}
SCOPES = {
    "submit": "asset:write",
    "poll": "asset:read",
    "design": "design:content:write",
    "design_meta": "design:meta:read",
    "export": "design:content:read",
    "export_poll": "design:content:read",
    "move": "folder:write",
}
"""what a step needs, by the vendor's document; a step that is not here needs none"""
MOVE_FIELDS = {"to_folder_id": Field(required=True, minimum=1, maximum=50), "item_id": Field(required=True)}
AUTHORIZE_FIELDS = (
    "code_challenge",
    "code_challenge_method",
    "scope",
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
)
CODES = {
    400: "bad_request_body",
    401: "invalid_access_token",
    402: "quota_exceeded",
    403: "permission_denied",
    404: "not_found",
    408: "internal_error",
    413: "request_too_large",
    415: "unsupported_content_type",
    429: "too_many_requests",
}


class CanvaServer(ProviderServer):
    """api.canva.com/rest. An upload takes submit, poll, then design; `purchases` has uploads and designs."""

    name = "canva_api"
    env_key = "CANVA_API_KEY"
    base_path = "/rest"
    steps = (
        "submit",
        "poll",
        "design",
        "design_meta",
        "move",
        "export",
        "export_poll",
        "download",
        "token",
        "revoke",
        "health",
        "other",
    )
    generate_steps = ("submit", "poll", "design")
    picture_step = "download"
    moderation_step = "submit"
    special_faults: ClassVar = {
        "submit": (Fault.moderation(), Fault.http(403, code="missing_scope"), Fault.http(403, code="quota_exceeded")),
        "poll": (
            Fault.job_never_ends(),
            Fault.unknown_status("paused"),
            Fault.task_not_found(),
            Fault.job_failed("The file could not be read.", status="import_failed"),
            Fault.job_failed("The file is too big.", status="file_too_big"),
            Fault.job_failed("The file could not be fetched.", status="fetch_failed"),
        ),
        "export_poll": (
            Fault.job_never_ends(),
            Fault.task_not_found(),
            Fault.no_picture(),
            Fault.job_failed("The export failed.", status="internal_failure"),
            Fault.job_failed("A licence is needed.", status="license_required"),
            Fault.foreign_url(METADATA_URL),
            Fault.foreign_url(DEAD_PORT_URL),
        ),
        "download": (Fault.expired(), Fault.expired(404)),
        "token": (Fault.http(400, code="invalid_grant"),),
    }

    def _forget(self) -> None:
        super()._forget()
        self.client_id = "OC-test-client"
        self.client_secret = "test-secret-canva-0123456789"
        self.refresh_token = "test-refresh-canva-1"
        """the one that works now; each works once"""
        self.authorization_code = "test-code-canva-1"
        self.access_tokens = {self.key}
        self.scopes = set(SCOPES.values())
        """what the person has said yes to"""
        self.folders: dict[str, list[str]] = {"root": [], "FAtest": []}
        """ids of what lies in each folder"""
        self.granted: dict[str, dict[str, str]] = {}
        """what was asked of the consent page, by the code that it gave"""
        self.assets: dict[str, dict[str, Any]] = {}
        self.designs: dict[str, dict[str, Any]] = {}
        self._spent_refresh_tokens: set[str] = set()

    @classmethod
    def faults_for(cls, step: str) -> list[Fault]:
        """As for all; an answer without a body can neither trickle nor break off."""
        of_a_body = (FaultKind.TRICKLE, FaultKind.TRUNCATED_BODY) if step == "move" else ()
        return [fault for fault in super().faults_for(step) if fault.kind not in of_a_body]

    def expire_access_token(self) -> None:
        """From now on the present access tokens answer 401, until a refresh gives a new one."""
        self.access_tokens.clear()

    def step_of(self, request: Request) -> str:
        path = request.path.removeprefix("/rest/v1/")
        if request.path.startswith("/delivery/"):
            return "download"
        steps = {
            "users/me": "health",
            "asset-uploads": "submit",
            "designs": "design",
            "exports": "export",
            "folders/move": "move",
            "oauth/token": "token",
            "oauth/revoke": "revoke",
            "/api/oauth/authorize": "authorize",
        }
        if path in steps:
            return steps[path]
        head = path.partition("/")[0]
        return {"asset-uploads": "poll", "exports": "export_poll", "designs": "design_meta"}.get(head, "other")

    def handle(self, request: Request) -> Answer:
        if request.step == "download":
            return self._file(request)
        words = request.path.removeprefix("/rest/v1/").split("/")
        if request.step == "authorize":
            return self._authorize(request)
        if request.method == "POST" and words == ["oauth", "token"]:
            return self._token(request)
        if request.method == "POST" and words == ["oauth", "revoke"]:
            return self._revoke(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.access_tokens:
            raise self.refuse(401, request, message="Access token is invalid or expired")
        if (scope := SCOPES.get(request.step)) is not None and scope not in self.scopes:
            raise self.refuse(403, request, code="missing_scope", message=f"Missing scopes: [{scope}]")
        match (request.method, *words):
            case ("GET", "users", "me"):
                self.admit(request)
                return json_answer({"team_user": {"user_id": "auTest", "team_id": "oiTest"}})
            case ("POST", "asset-uploads"):
                return self._upload(request)
            case ("GET", "asset-uploads", job_id):
                return self._upload_job(request, job_id)
            case ("POST", "designs"):
                return self._design(request)
            case ("GET", "designs", design_id):
                if design_id not in self.designs:
                    raise self.refuse(404, request, code="design_not_found")
                self.admit(request)
                return json_answer({"design": self.designs[design_id]["design"]})
            case ("POST", "folders", "move"):
                return self._move(request)
            case ("POST", "exports"):
                return self._export(request)
            case ("GET", "exports", job_id):
                return self._export_job(request, job_id)
        raise self.refuse(404, request, code="endpoint_not_found")

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        name = code or CODES.get(status, "internal_error")
        text = message or name.replace("_", " ").capitalize() + "."
        if request.step in ("token", "revoke"):
            return json_answer({"error": name, "error_description": text}, status)
        return json_answer({"code": name, "message": text}, status)

    def refused(self, request: Request, fault: Fault) -> Answer | None:
        return self.error(400, request, code=fault.code or "input_unsafe", message="The content was found unsafe.")

    # uploads
    def _upload(self, request: Request) -> Answer:
        if request.media_type != "application/octet-stream":
            raise self.refuse(415, request, message="The content type must be application/octet-stream")
        name = self._upload_name(request)
        if not request.body:
            raise self.refuse(400, request, message="The body is empty")
        if len(request.body) >= MAX_UPLOAD_BYTES:
            raise self.refuse(413, request)
        self.admit(request)
        job = Job(self.new_id(), prompt=name, created_at=time.time(), data=request.body)
        try:
            with Image.open(BytesIO(request.body), formats=("PNG", "JPEG", "WEBP", "GIF", "TIFF")) as image:
                job.width, job.height = image.size
        except OSError:
            job.ended, job.error = "import_failed", "The file is no picture we can read."
        self.jobs[job.id] = job
        self.buy(request, model="asset", prompt=name, width=job.width, height=job.height, job_id=job.id)
        request.leads_to = "poll"
        return json_answer({"job": {"id": job.id, "status": "in_progress"}})

    def _upload_name(self, request: Request) -> str:
        header = request.headers.get("asset-upload-metadata")
        if header is None:
            raise self.refuse(400, request, code="missing_field", message="Asset-Upload-Metadata header is required")
        try:
            metadata = json.loads(header)
            name = base64.b64decode(metadata["name_base64"], validate=True).decode()
            if set(metadata) != {"name_base64"} or not 1 <= len(name) <= 50:
                raise ValueError(name)
        except (ValueError, KeyError, TypeError, binascii.Error):
            text = 'Asset-Upload-Metadata must be {"name_base64": ...} with a name of 1 to 50 characters in Base64'
            raise self.refuse(400, request, code="invalid_header_value", message=text) from None
        return name

    def _upload_job(self, request: Request, job_id: str) -> Answer:
        job = self._job(request, job_id)
        status = self._progress(request, job)
        answer: dict[str, Any] = {"id": job.id, "status": status}
        if status == "failed":
            answer["error"] = {"code": job.ended, "message": job.error}
        elif status == "success":
            request.leads_to = "design"
            asset = {
                "type": "image",
                "id": "Ms" + job.id[:8],
                "name": job.prompt,
                "tags": [],
                "created_at": int(job.created_at),
                "updated_at": int(job.created_at),
                "thumbnail": {"width": 100, "height": 100, "url": f"{self.delivery_origin}/delivery/100x100.png"},
            }
            self.assets[str(asset["id"])] = asset
            answer["asset"] = asset
        return json_answer({"job": answer})

    def _job(self, request: Request, job_id: str) -> Job:
        if not ID.fullmatch(job_id) or job_id not in self.jobs:
            raise self.refuse(404, request)
        self.admit(request)
        if self.happens(request, FaultKind.TASK_NOT_FOUND):
            raise self.refuse(404, request)
        return self.jobs[job_id]

    def _progress(self, request: Request, job: Job) -> str:
        """The job's status in the vendor's words; `job.ended` holds "success" or the code of the failure."""
        fault = request.fault
        if fault is not None and fault.kind is FaultKind.JOB_FAILED:
            job.ended, job.error = fault.code or "import_failed", fault.text
            return "failed"
        if fault is not None and fault.kind is FaultKind.UNKNOWN_STATUS:
            return fault.text
        if self.happens(request, FaultKind.JOB_NEVER_ENDS):
            return "in_progress"
        job.polls += 1
        if job.polls < self.polls_until_ready:
            return "in_progress"
        job.ended = job.ended or "success"
        return "success" if job.ended == "success" else "failed"

    # designs
    def _design(self, request: Request) -> Answer:
        asked = self._body(request, DESIGN_FIELDS)
        kind = asked.get("design_type")
        if kind is None and "asset_id" not in asked:
            raise self.refuse(
                400, request, code="missing_field", message="One of 'design_type' or 'asset_id' is required"
            )
        width, height = 1024, 1024
        if kind is not None:
            is_custom = kind.get("type") == "custom"
            self._complain(request, kind, CUSTOM_FIELDS if is_custom else PRESET_FIELDS, "design_type.")
            if is_custom:
                width, height = kind["width"], kind["height"]
        if width * height > 25_000_000:
            raise self.refuse(400, request, code="invalid_field", message="The design is larger than 25,000,000 pixels")
        if "asset_id" in asked and asked["asset_id"] not in self.assets:
            raise self.refuse(404, request, code="asset_not_found")
        self.admit(request)
        design_id = "DA" + self.new_id()[:9]
        now = int(time.time())
        design = {
            "id": design_id,
            "title": asked.get("title", "Untitled design"),
            "owner": {"user_id": "auTest", "team_id": "oiTest"},
            "urls": {
                "edit_url": f"https://www.canva.com/api/design/{design_id}/edit",
                "view_url": f"https://www.canva.com/api/design/{design_id}/view",
            },
            "thumbnail": {"width": 100, "height": 100, "url": f"{self.delivery_origin}/delivery/100x100.png"},
            "created_at": now,
            "updated_at": now,
            "page_count": 1,
        }
        self.designs[design_id] = {"design": design, "size": (width, height)}
        self.buy(request, model="design", prompt=design["title"], width=width, height=height, job_id=design_id)
        return json_answer({"design": design})

    def _move(self, request: Request) -> Answer:
        asked = self._body(request, MOVE_FIELDS)
        if asked["to_folder_id"] not in self.folders:
            raise self.refuse(404, request, code="folder_not_found")
        if asked["item_id"] not in {*self.designs, *self.assets}:
            raise self.refuse(404, request, code="item_not_found")
        self.admit(request)
        for items in self.folders.values():
            if asked["item_id"] in items:
                items.remove(asked["item_id"])
        self.folders[asked["to_folder_id"]].append(asked["item_id"])
        return Answer(204, b"", "")

    # exports
    def _export(self, request: Request) -> Answer:
        asked = self._body(request, {"design_id": Field(required=True), "format": Field("object", required=True)})
        format = asked["format"]
        if format.get("type") not in EXPORT_FIELDS:
            raise self.refuse(400, request, code="invalid_field", message="'format.type' is not a known format")
        self._complain(request, format, EXPORT_FIELDS[format["type"]], "format.")
        if asked["design_id"] not in self.designs:
            raise self.refuse(404, request, code="design_not_found")
        self.admit(request)
        width, height = self.designs[asked["design_id"]]["size"]
        if "width" in format or "height" in format:
            scale = min(format.get(side, 25_000) / old for side, old in (("width", width), ("height", height)))
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
        job = Job(self.new_id(), format=format["type"], width=width, height=height, created_at=time.time())
        self.jobs[job.id] = job
        request.leads_to = "export_poll"
        return json_answer({"job": {"id": job.id, "status": "in_progress"}})

    def _export_job(self, request: Request, job_id: str) -> Answer:
        job = self._job(request, job_id)
        status = self._progress(request, job)
        answer: dict[str, Any] = {"id": job.id, "status": status}
        if status == "failed":
            answer["error"] = {"code": job.ended, "message": job.error}
        elif status == "success":
            request.leads_to = "download"
            foreign = self.happens(request, FaultKind.FOREIGN_URL)
            url = f"{self.delivery_origin}/delivery/{job.width}x{job.height}.{job.format}"
            answer["urls"] = [] if self.happens(request, FaultKind.NO_PICTURE) else [foreign.url if foreign else url]
        return json_answer({"job": answer})

    def _file(self, request: Request) -> Answer:
        match = re.fullmatch(r"/delivery/([1-9]\d{0,4})x([1-9]\d{0,4})\.(png|jpg)", request.path)
        if request.method != "GET" or match is None:
            raise Answered(self.file_error(404))
        self.admit(request)
        return self.picture_file(request, int(match[1]), int(match[2]), match[3])

    # consent
    def _authorize(self, request: Request) -> Answer:
        """The page on which a person says yes or no. What is wrong with the address is said in plain text, as 400."""
        pairs = parse_qsl(request.raw_query, keep_blank_values=True)
        asked = dict(pairs)
        wrong = [name for name in AUTHORIZE_FIELDS if not asked.get(name)]
        wrong += sorted({name for name, _ in pairs} - set(AUTHORIZE_FIELDS))
        if asked.get("code_challenge_method") != "S256" or asked.get("response_type") != "code":
            wrong.append("method or type")
        if not re.fullmatch(r"[A-Za-z0-9_-]{43}", asked.get("code_challenge", "")):
            wrong.append("code_challenge")
        if asked.get("client_id") != self.client_id or not set(asked.get("scope", "").split()) <= {*SCOPES.values()}:
            wrong.append("client_id or scope")
        if wrong or len(pairs) != len(asked):
            raise Answered(Answer(400, f"Wrong: {', '.join(wrong)}".encode(), "text/plain"))
        self.admit(request)
        code = f"test-code-canva-{self.new_id()[:8]}"
        self.granted[code] = asked
        joint = "&" if "?" in asked["redirect_uri"] else "?"
        yes = asked["redirect_uri"] + joint + urlencode({"code": code, "state": asked["state"]})
        no = asked["redirect_uri"] + joint + urlencode({"error": "access_denied", "state": asked["state"]})
        page = (
            "<!doctype html><html lang=en><title>Canva</title><h1>Connect your account</h1>"
            f'<p><a id="allow" href="{html.escape(yes)}">Allow</a> <a id="deny" href="{html.escape(no)}">Deny</a></p>'
        )
        return Answer(200, page.encode(), "text/html; charset=utf-8")

    # tokens
    def _check_client(self, request: Request) -> None:
        if request.media_type != "application/x-www-form-urlencoded":
            raise self.refuse(400, request, code="invalid_request", message="Send application/x-www-form-urlencoded")
        pair = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            raise self.refuse(401, request, code="invalid_client", message="Client authentication failed")

    def _revoke(self, request: Request) -> Answer:
        self._check_client(request)
        form = request.form()
        if set(form) != {"token"}:
            raise self.refuse(400, request, code="invalid_request", message="revoke takes exactly token")
        self.admit(request)
        if form["token"].text in {self.refresh_token, *self.access_tokens}:
            self.access_tokens.clear()
            self.refresh_token = ""
        return json_answer({})

    def _token(self, request: Request) -> Answer:
        self._check_client(request)
        form = request.form()
        grant = form.get("grant_type", Part("grant_type", b"")).text
        if grant not in TOKEN_FIELDS:
            raise self.refuse(400, request, code="unsupported_grant_type")
        if set(form) != set(TOKEN_FIELDS[grant]):
            text = f"{grant} takes exactly {', '.join(TOKEN_FIELDS[grant])}"
            raise self.refuse(400, request, code="invalid_request", message=text)
        self._spend(request, grant, form)
        number = len(self._spent_refresh_tokens) + 2
        access = f"test-access-canva-{number}"
        self.access_tokens = {access}
        self.refresh_token = f"test-refresh-canva-{number}"
        return json_answer(
            {
                "access_token": access,
                "refresh_token": self.refresh_token,
                "token_type": "Bearer",
                "expires_in": 14_400,
                "scope": " ".join(sorted(self.scopes)),
            }
        )

    def _spend(self, request: Request, grant: str, form: Mapping[str, Part]) -> None:
        """Admit the request and use up its code or refresh token. A spent refresh token ends the whole line."""
        if grant == "authorization_code":
            if (asked := self.granted.get(form["code"].text)) is not None:
                digest = hashlib.sha256(form["code_verifier"].content).digest()
                challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
                if (challenge, form["redirect_uri"].text) != (asked["code_challenge"], asked["redirect_uri"]):
                    raise self.refuse(400, request, code="invalid_grant", message="Verifier or redirect_uri is wrong")
                self.admit(request)
                del self.granted[form["code"].text]
                return
            if form["code"].text != self.authorization_code or not 43 <= len(form["code_verifier"].content) <= 128:
                raise self.refuse(400, request, code="invalid_grant", message="The code or its verifier is wrong")
            self.admit(request)
            self.authorization_code = ""
            return
        token = form["refresh_token"].text
        if token in self._spent_refresh_tokens:
            self.access_tokens.clear()
            self.refresh_token = ""
        if not token or token != self.refresh_token:
            raise self.refuse(
                400, request, code="invalid_grant", message="The refresh token is invalid or was used before"
            )
        self.admit(request)
        self._spent_refresh_tokens.add(token)

    def _body(self, request: Request, fields: Mapping[str, Field]) -> dict[str, Any]:
        if request.media_type != "application/json":
            raise self.refuse(415, request, message="The content type must be application/json")
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("The body must be a JSON object")
        self._complain(request, asked, fields)
        return asked

    def _complain(
        self, request: Request, data: Mapping[str, Any], fields: Mapping[str, Field], prefix: str = ""
    ) -> None:
        for problem in problems(data, fields, strict=self.strict):
            code = "missing_field" if problem.trouble == "missing" else "invalid_field"
            raise self.refuse(400, request, code=code, message=f"'{prefix}{problem.field}' {problem.says}")
