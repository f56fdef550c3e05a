"""What the schema says beside addresses and rows: messages to webhooks, events of a stream, examples."""

from __future__ import annotations

from typing import Any

from mediagen.models.outgoing import EVENTS, TEST_EVENT

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "integer"}
FLAG: dict[str, Any] = {"type": "boolean"}
ID: dict[str, Any] = {"type": "string", "format": "uuid"}
TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
USD: dict[str, Any] = {"type": "string", "format": "decimal", "description": "USD."}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**members: dict[str, Any]) -> dict[str, Any]:
    """All of its members are always there."""
    return {"type": "object", "properties": members, "required": list(members)}


LIBRARY = _object(id=ID, name=TEXT, slug=TEXT)
MESSAGES: dict[str, dict[str, Any]] = {
    "asset": _object(
        id=ID,
        library=LIBRARY,
        name=TEXT,
        alt_text=TEXT,
        tags={"type": "array", "items": TEXT},
        source=_ref("AssetSourceEnum"),
        review=_ref("ReviewStatusEnum"),
        state=_ref("AssetStateEnum"),
        failure={"oneOf": [_object(code=_ref("FailureCodeEnum"), detail=TEXT), {"type": "null"}]},
        prompt=TEXT,
        negative_prompt=TEXT,
        seed=_or_null(NUMBER),
        provider=TEXT,
        model=TEXT,
        format=TEXT,
        width=NUMBER,
        height=NUMBER,
        file_size=NUMBER,
        content_hash=TEXT,
        cost=_or_null(USD),
        is_placeholder=FLAG,
        dry_run=FLAG,
        parent=_or_null(ID),
        batch=_or_null(ID),
        row_key=TEXT,
        generation_id=_or_null(ID),
        created_at=TIME,
        generated_at=_or_null(TIME),
    ),
    "batch": _object(
        id=ID,
        name=TEXT,
        state=_ref("BatchStateEnum"),
        total=NUMBER,
        ready=NUMBER,
        placeholders=NUMBER,
        failed=NUMBER,
        cancelled=NUMBER,
        cost=_or_null(USD),
        unsettled=NUMBER,
        possible_cost=_or_null(USD),
        of_unknown_cost=NUMBER,
        created_at=TIME,
        finished_at=_or_null(TIME),
    ),
    "export": _object(
        id=ID,
        asset=ID,
        library=LIBRARY,
        target=TEXT,
        state=_ref("ExportStateEnum"),
        message=TEXT,
        file_key=TEXT,
        page_id=TEXT,
        frame_name=TEXT,
        external_id=TEXT,
        design_id=TEXT,
        url=TEXT,
        dry_run=FLAG,
        created_at=TIME,
        placed_at=_or_null(TIME),
    ),
    "alert": _object(
        id=NUMBER,
        code={**TEXT, "description": "As in the runbook: provider_refused, budget_used_up, ..."},
        about={**TEXT, "description": 'Which thing: "provider:flux", "library:<id>"; empty: the site.'},
        level={"enum": ["error", "warning"]},
        what=TEXT,
        next_step=TEXT,
        command=TEXT,
        since=TIME,
        over_at=_or_null(TIME),
    ),
}
"""by what a message is about: what its `data` has of it"""

COMPONENTS: dict[str, dict[str, Any]] = {
    **{f"{name.capitalize()}Message": schema for name, schema in MESSAGES.items()},
    "AttemptEvent": {"allOf": [_ref("Attempt"), _object(asset=ID)]},
    "StreamEvents": {
        **_object(attempt=_ref("AttemptEvent"), asset=_ref("Asset"), done=_ref("DoneEvent")),
        "description": "By the name of a stream's event: what the JSON in its `data` is.",
    },
    "FitReport": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {"asked": {}, "made": {}, "honoured": FLAG, "why": TEXT},
        },
    },
    "WebhookPayload": {
        **_object(type={"enum": [*EVENTS, TEST_EVENT]}, timestamp=TIME, data={"type": "object"}),
        "description": "As the schema's `webhooks` says of each type.",
    },
    "DoneEvent": _object(state=_ref("GenerationStateEnum"), assets={"type": "array", "items": ID}),
}
OF_EVENTS = {"attempt": "AttemptEvent", "asset": "Asset", "done": "DoneEvent"}
"""events of a generation's stream, and what the JSON in their `data` is"""

ASKED: dict[str, Any] = {
    "prompt": "A lighthouse in the fog",
    "aspect_ratio": "16:9",
    "library": "press",
    "tags": ["sea"],
}
WORKED_ON = "01a204c9-8da1-7f3b-a702-9254e98a762d"
EXAMPLES: dict[str, dict[str, Any]] = {
    "PicturesRequest": ASKED,
    "EditRequest": {"source": WORKED_ON, "prompt": "Make it night", "providers": ["openai_images", "gemini"]},
    "VariationRequest": {"source": WORKED_ON, "count": 4},
    "UpscaleRequest": {"source": WORKED_ON, "factor": 2},
    "BackgroundRemovalRequest": {"source": WORKED_ON, "tags": ["cut-out"]},
    "OutpaintRequest": {"source": WORKED_ON, "left": 256, "right": 256, "prompt": "more sea"},
    "DescribeRequest": {"source": WORKED_ON, "language": "de", "max_chars": 125},
    "AcceptRequest": {"text": "A lighthouse, half hidden by fog.", "replace": False},
    "Problem": {
        "type": "urn:mediagen:problem:invalid",
        "title": "The request asks for something that cannot be.",
        "status": 400,
        "detail": "width: must be between 1 and 16384 pixels, not 0.",
        "field": "width",
        "errors": [{"field": "width", "detail": "must be between 1 and 16384 pixels, not 0."}],
    },
    "Failure": {
        "code": "moderation",
        "message": "The request was refused by a provider's moderation.",
        "hint": "Word the prompt differently.",
        "retryable": False,
        "detail": "generate_image: no provider delivered, 1 attempt(s): ...",
        "attempts_url": "https://site.example/api/v1/assets/01a204c9-8da1-7f3b-a702-9254e98a762d/attempts/",
    },
    "Me": {
        "user": "anna",
        "is_staff": False,
        "may": {"read": True, "generate": True, "change": True, "approve": False, "delete": True},
        "token": None,
        "limits": {
            "requests": {"requests": 1200, "remaining": 1187, "window_s": 60, "reset_s": 12},
            "generations": None,
        },
        "is_dry": True,
    },
    "AssetPatchRequest": {"alt_text": "A lighthouse in thick fog", "tags": ["sea", "press"]},
    "ReviewRequest": {"notes": "Good for the cover."},
    "TagsRequest": {"add": ["sea"], "remove": ["draft"]},
    "CropRequest": {"left": 120, "top": 0, "width": 800, "height": 800},
    "VariantsRequest": {"sizes": ["1200x630", "300x"]},
    "NewLibraryRequest": {"name": "Press", "default_tags": ["press"]},
    "MetricsRequest": {"campaign": "Spring", "channel": "web", "add": {"impressions": 1000, "clicks": 12}},
    "Price": {"provider": "sdxl", "usd": "0.030000", "at_most": ""},
    "DoneEvent": {"state": "ready", "assets": ["01a204c9-8da1-7f3b-a702-9254e98a762d"]},
}
"""by component; a test holds them against their schemas"""


def add_components(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing: what no serializer describes, and examples."""
    schemas = result["components"]["schemas"]
    schemas.update(COMPONENTS)
    # A site's own document may be without our routes, and has objects of its own by these names then.
    for facets in (one["get"] for path, one in result["paths"].items() if path.endswith("/assets/facets/")):
        schemas["AssetFilter"] = _filter(facets["parameters"])
        for schema in schemas.values():
            _say_what_objects_are(schema.get("properties", {}))
    for name, example in EXAMPLES.items():
        for component in (name, f"Patched{name}"):
            if component in schemas:
                schemas[component]["examples"] = [example]
    return result


def _say_what_objects_are(properties: dict[str, Any]) -> None:
    for name, (component, text) in TYPED.items():
        if "additionalProperties" in (found := properties.get(name, {})):
            properties[name] = {**_ref(component), "description": found.get("description", text)}


TYPED = {
    "fit_report": ("FitReport", "What the provider could not honour."),
    "filter": ("AssetFilter", "As in the list of assets."),
    "payload": ("WebhookPayload", "The body that is sent."),
}
"""objects by the names of their fields: the component that each is, which no field of REST framework says"""


def _filter(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """The list's filters, as an object in a body, where what is true or false need not be text."""
    properties = {}
    for one in parameters:
        schema = one["schema"]
        if "true" in schema.get("enum", ()):
            schema = FLAG
        properties[one["name"]] = {**schema, "description": one.get("description", "")}
    return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}


def add_webhooks(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing: the messages that endpoints of the site's are sent."""
    result["webhooks"] = {event: {"post": _webhook(event)} for event in EVENTS}
    return result


def _webhook(event: str) -> dict[str, Any]:
    about = event.partition(".")[0]
    body = _object(type={"const": event}, timestamp=TIME, data=_object(**{about: _ref(f"{about.capitalize()}Message")}))
    signed = [
        {"name": name, "in": "header", "required": True, "schema": TEXT, "description": text}
        for name, text in (
            ("webhook-id", "The message's id, the same in every try."),
            ("webhook-timestamp", "Seconds since 1970, of this try."),
            ("webhook-signature", "Standard Webhooks: v1, and base64 of the HMAC-SHA256 of id.timestamp.body."),
        )
    ]
    return {
        "operationId": f"webhook_{event.replace('.', '_')}",
        "summary": f"{event}: sent to the endpoints that want it",
        "parameters": signed,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"2XX": {"description": "Taken. Anything else is tried again."}},
    }
