"""Figma's REST API, which can only read pictures: files, renders, and the two traces it lets one leave."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from tests.servers.base import ProviderServer
from tests.servers.checks import Field, Problem, problems, words
from tests.servers.faults import DEAD_PORT_URL, METADATA_URL, Fault, FaultKind
from tests.servers.web import Answer, Answered, MalformedBody, Request, json_answer

FILE_KEY = "abcDEF123456ghiJKL7890"
USER = {"id": "1234567890", "handle": "Test Person", "img_url": "https://example.com/person.png"}
NUMBER = Field("number", required=True)
VECTOR = {"x": NUMBER, "y": NUMBER}
SIDES = {"region_width": NUMBER, "region_height": NUMBER}
CORNER = {"comment_pin_corner": Field(choices=("top-left", "top-right", "bottom-left", "bottom-right"))}
NODE = {"node_id": Field(required=True), "node_offset": Field("object", required=True)}
CLIENT_META = (VECTOR, NODE, {**VECTOR, **SIDES, **CORNER}, {**NODE, **SIDES, **CORNER})
COMMENT = {"message": Field(required=True, minimum=1), "comment_id": Field(), "client_meta": Field("object")}
DEV_RESOURCE = {name: Field(required=True, minimum=1) for name in ("name", "url", "file_key", "node_id")}
IMAGE_QUERY = frozenset(
    words(
        "ids version scale format svg_outline_text svg_include_id svg_include_node_id svg_simplify_stroke "
        "contents_only use_absolute_bounds"
    )
)
FILE_QUERY = frozenset(words("version ids depth geometry plugin_data branch_data"))
WORDS = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    429: "Rate limit exceeded",
    500: "Internal server error",
}


def _sample_file() -> dict[str, Any]:
    """A file with two pages; the frame 1:2 is 800x600 pixels."""
    return {
        "name": "Campaign",
        "pages": {"0:1": "Page 1", "0:2": "Ideas"},
        "nodes": {"0:1": (1600, 1200), "0:2": (1600, 1200), "1:2": (800, 600), "1:3": (400, 300)},
        "fills": {"4c0e1a": (640, 480)},
    }


class FigmaServer(ProviderServer):
    """api.figma.com. A wrong token is 403, at dev resources 401."""

    name = "figma_api"
    env_key = "FIGMA_API_TOKEN"
    steps = ("submit", "read", "render", "download", "health", "other")
    picture_step = "download"
    moderation_step = None
    special_faults: ClassVar = {
        "render": (Fault.no_picture(), Fault.foreign_url(METADATA_URL), Fault.foreign_url(DEAD_PORT_URL)),
        "download": (Fault.expired(), Fault.expired(404)),
    }

    def _forget(self) -> None:
        super()._forget()
        self.file_key = FILE_KEY
        self.files: dict[str, dict[str, Any]] = {FILE_KEY: _sample_file()}
        """by key: name, pages {id: name}, nodes {id: (width, height)}, fills {ref: (width, height)}"""
        self.token_kind = "personal"
        """"personal", or "plan", which may neither ask who it is nor comment"""
        self.comments: list[dict[str, Any]] = []
        self.dev_resources: list[dict[str, Any]] = []

    def step_of(self, request: Request) -> str:
        path = request.path
        if path.startswith(("/delivery/",)):
            return "download"
        if path == "/v1/me":
            return "health"
        if request.method == "POST" and (
            path == "/v1/dev_resources" or re.fullmatch(r"/v1/files/[^/]+/comments", path)
        ):
            return "submit"
        if re.fullmatch(r"/v1/images/[^/]+|/v1/files/[^/]+/images", path):
            return "render"
        return "read" if path.startswith("/v1/files/") else "other"

    def handle(self, request: Request) -> Answer:
        if request.step == "download":
            return self._file(request)
        self._check_token(request)
        words = request.path.strip("/").split("/")[1:]
        match (request.method, *words):
            case ("GET", "me"):
                return self._me(request)
            case ("GET", "files", key):
                return self._document(request, key)
            case ("GET", "files", key, "meta"):
                return self._meta(request, key)
            case ("GET", "files", key, "images"):
                return self._fills(request, key)
            case ("GET", "files", key, "comments"):
                self._known(request, key)
                self.admit(request)
                return json_answer({"comments": [one for one in self.comments if one["file_key"] == key]})
            case ("GET", "files", key, "dev_resources"):
                self._known(request, key)
                self.admit(request)
                return json_answer({"dev_resources": [one for one in self.dev_resources if one["file_key"] == key]})
            case ("POST", "files", key, "comments"):
                return self._comment(request, key)
            case ("GET", "images", key):
                return self._render(request, key)
            case ("POST", "dev_resources"):
                return self._link(request)
        raise self.refuse(404, request)

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        text = message or code or WORDS.get(status, "Error")
        is_boolean_form = "dev_resources" in request.path or (request.step == "submit" and status == 400)
        body = (
            {"error": True, "status": status, "message": text} if is_boolean_form else {"status": status, "err": text}
        )
        answer = json_answer(body, status)
        if status == 429:
            answer.headers |= {"x-figma-plan-tier": "starter", "x-figma-rate-limit-type": "low"}
            answer.headers["x-figma-upgrade-link"] = "https://www.figma.com/pricing"
        return answer

    def _check_token(self, request: Request) -> None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = request.headers.get("x-figma-token") or (bearer if scheme == "Bearer" else "")
        if token != self.key:
            raise self.refuse(401 if "dev_resources" in request.path else 403, request, message="Invalid token")

    def _known(self, request: Request, key: str) -> dict[str, Any]:
        if key not in self.files:
            raise self.refuse(404, request)
        return self.files[key]

    def _personal_only(self, request: Request) -> None:
        if self.token_kind != "personal":
            raise self.refuse(403, request, message="Plan tokens cannot be used here")

    # reading
    def _me(self, request: Request) -> Answer:
        self._personal_only(request)
        self.admit(request)
        return json_answer({**USER, "email": "someone@example.com"})

    def _document(self, request: Request, key: str) -> Answer:
        file = self._known(request, key)
        query = request.query
        self._check_query(request, FILE_QUERY)
        if "depth" in query and not re.fullmatch(r"[1-9]\d*", query["depth"]):
            raise self.refuse(400, request, message="depth must be a positive integer")
        self.admit(request)
        pages = [
            {
                "id": node_id,
                "name": name,
                "type": "CANVAS",
                "scrollBehavior": "SCROLLS",
                "children": [] if query.get("depth") == "1" else self._frames(file),
            }
            for node_id, name in file["pages"].items()
        ]
        return json_answer(
            {
                "document": {"id": "0:0", "name": "Document", "type": "DOCUMENT", "children": pages},
                "components": {},
                "componentSets": {},
                "schemaVersion": 0,
                "styles": {},
                "name": file["name"],
                "lastModified": _now(),
                "version": "1234567890",
                "role": "editor",
                "editorType": "figma",
                "linkAccess": "inherit",
            }
        )

    def _frames(self, file: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "id": node_id,
                "name": f"Frame {node_id}",
                "type": "FRAME",
                "absoluteBoundingBox": {"x": 0, "y": 0, "width": width, "height": height},
            }
            for node_id, (width, height) in file["nodes"].items()
            if node_id not in file["pages"]
        ]

    def _meta(self, request: Request, key: str) -> Answer:
        file = self._known(request, key)
        self.admit(request)
        meta = {
            "name": file["name"],
            "folder_name": "Drafts",
            "last_touched_at": _now(),
            "creator": USER,
            "editorType": "figma",
            "role": "editor",
            "link_access": "inherit",
            "url": f"https://www.figma.com/design/{key}",
            "version": "1234567890",
        }
        return json_answer({"file": meta})

    def _fills(self, request: Request, key: str) -> Answer:
        file = self._known(request, key)
        self.admit(request)
        request.leads_to = "download"
        urls = {ref: self._url(request, width, height, "png") for ref, (width, height) in file["fills"].items()}
        return json_answer({"error": False, "status": 200, "meta": {"images": urls}})

    def _render(self, request: Request, key: str) -> Answer:
        file = self._known(request, key)
        query = request.query
        self._check_query(request, IMAGE_QUERY)
        if not query.get("ids"):
            raise self.refuse(400, request, message="ids is required")
        format = query.get("format", "png")
        if format not in ("jpg", "png", "svg", "pdf"):
            raise self.refuse(400, request, message="format must be one of jpg, png, svg, pdf")
        try:
            scale = float(query.get("scale", "1"))
        except ValueError:
            scale = 0.0
        if not 0.01 <= scale <= 4:
            raise self.refuse(400, request, message="scale must be a number between 0.01 and 4")
        self.admit(request)
        request.leads_to = "download"
        urls: dict[str, str | None] = {}
        for node_id in query["ids"].split(","):
            width, height = file["nodes"].get(node_id, (0, 0))
            failed = not width or self.happens(request, FaultKind.NO_PICTURE) is not None
            urls[node_id] = None if failed else self._url(request, round(width * scale), round(height * scale), format)
        return json_answer({"err": None, "images": urls})

    def _check_query(self, request: Request, known: frozenset[str]) -> None:
        unknown = sorted(set(request.query) - known)
        if unknown and self.strict:
            raise self.refuse(400, request, message=f"unknown query parameter {unknown[0]}")

    def _url(self, request: Request, width: int, height: int, format: str) -> str:
        foreign = self.happens(request, FaultKind.FOREIGN_URL)
        return foreign.url if foreign else f"{self.delivery_origin}/delivery/{width}x{height}.{format}"

    def _file(self, request: Request) -> Answer:
        match = re.fullmatch(r"/delivery/([1-9]\d{0,4})x([1-9]\d{0,4})\.(png|jpg)", request.path)
        if request.method != "GET" or match is None:
            raise Answered(self.file_error(404))
        self.admit(request)
        return self.picture_file(request, int(match[1]), int(match[2]), match[3])

    # the traces one may leave
    def _body(self, request: Request, fields: Mapping[str, Field]) -> dict[str, Any]:
        if request.media_type != "application/json":
            raise self.refuse(400, request, message="Send application/json")
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("the body must be a JSON object")
        self._complain(request, problems(asked, fields, strict=self.strict))
        return asked

    def _complain(self, request: Request, found: list[Problem]) -> None:
        if found:
            raise self.refuse(400, request, message="; ".join(f"{one.field} {one.says}" for one in found))

    def _comment(self, request: Request, key: str) -> Answer:
        self._personal_only(request)
        file = self._known(request, key)
        asked = self._body(request, COMMENT)
        meta = asked.get("client_meta", {"x": 0, "y": 0})
        if not any(not problems(meta, form) for form in CLIENT_META):
            raise self.refuse(
                400, request, message="client_meta is none of Vector, FrameOffset, Region, FrameOffsetRegion"
            )
        if "node_offset" in meta and problems(meta["node_offset"], VECTOR):
            raise self.refuse(400, request, message="client_meta.node_offset is no vector")
        if "node_id" in meta and meta["node_id"] not in file["nodes"]:
            raise self.refuse(400, request, message="client_meta.node_id is not in the file (1:23, with a colon)")
        if "comment_id" in asked and asked["comment_id"] not in [one["id"] for one in self.comments]:
            raise self.refuse(404, request)
        self.admit(request)
        comment = {
            "id": str(900_000 + len(self.comments)),
            "uuid": self.new_id(),
            "client_meta": meta,
            "file_key": key,
            "parent_id": asked.get("comment_id", ""),
            "user": USER,
            "created_at": _now(),
            "resolved_at": None,
            "message": asked["message"],
            "order_id": None if "comment_id" in asked else str(len(self.comments) + 1),
            "reactions": [],
        }
        self.comments.append(comment)
        self.buy(request, model="comment", prompt=asked["message"], job_id=comment["id"])
        return json_answer(comment)

    def _link(self, request: Request) -> Answer:
        asked = self._body(request, {"dev_resources": Field("list", required=True, minimum=1)})
        for one in asked["dev_resources"]:
            self._complain(request, problems(one if isinstance(one, dict) else {}, DEV_RESOURCE, strict=self.strict))
        self.admit(request)
        created, errors = [], []
        for one in asked["dev_resources"]:
            if problem := self._why_not(one):
                errors.append({"file_key": one["file_key"], "node_id": one["node_id"], "error": problem})
                continue
            link = {"id": self.new_id(), **one}
            self.dev_resources.append(link)
            created.append(link)
            self.buy(request, model="dev_resource", prompt=one["url"], job_id=link["id"])
        # 200 even when nothing was created.
        return json_answer({"links_created": created, "errors": errors})

    def _why_not(self, one: Mapping[str, str]) -> str:
        file = self.files.get(one["file_key"])
        if file is None:
            return "File not found"
        if one["node_id"] not in file["nodes"]:
            return "Node not found"
        same_node = [
            link
            for link in self.dev_resources
            if (link["file_key"], link["node_id"]) == (one["file_key"], one["node_id"])
        ]
        if any(link["url"] == one["url"] for link in same_node):
            return "A dev resource with this URL already exists on the node"
        return "The node has the maximum of 10 dev resources" if len(same_node) >= 10 else ""


def _now() -> str:
    return datetime.fromtimestamp(int(time.time()), UTC).isoformat().replace("+00:00", "Z")
