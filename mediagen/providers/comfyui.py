"""ComfyUI: a server of one's own. A workflow with slots is queued under an id of ours, looked for, and fetched.

The id is with the recorder before the workflow leaves, so nothing is ever unknown: whatever became of the request, the
server's history and queue say it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from mediagen import http
from mediagen.errors import (
    BadResponse,
    JobFailed,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.http import JobEnded
from mediagen.providers.base import Generated, JobProvider, not_honoured
from mediagen.providers.comfyui_workflow import SLOTS, check_workflow, filled, slots_in
from mediagen.providers.inline import json_limit
from mediagen.providers.options import Option
from mediagen.providers.sizes import snap_to_grid
from mediagen.secrets import scrub
from mediagen.types import GenerationRequest, ProviderJob, current_call
from mediagen.wording import say as _

MAX_SEED = 2**53 - 1
"""the largest that the server's own pages can show exactly"""
CANCEL_TIMEOUT_S = 10.0
_FILE = {"filename": "", "subfolder": "", "type": "output"}
"""what names a file of the server's, with what is meant where it says nothing"""
# What is wrong with a node's input: a value of ours that it does not take, or a workflow that cannot run there.
_OF_A_VALUE = frozenset({"value_smaller_than_min", "value_bigger_than_max", "invalid_input_type"})
_OF_THE_WORKFLOW = frozenset(
    {
        *("value_not_in_list", "required_input_missing", "missing_node_type", "invalid_prompt", "prompt_no_outputs"),
        *("return_type_mismatch", "bad_linked_input", "custom_validation_failed", "exception_during_validation"),
        *("exception_during_inner_validation", "dependency_cycle", "no_prompt"),
    }
)


class ComfyUIAdapter(JobProvider):
    """Pictures by a workflow on a ComfyUI server. They cost nothing: the hardware is the operator's own."""

    name = "comfyui"
    label = "ComfyUI (own server)"
    default_base_url = "http://127.0.0.1:8188"
    default_model = "workflow"
    # A model may have to be read from disk first, and others may be in the queue before us.
    default_timeout_s = 600.0
    credential_env = "COMFYUI_API_KEY"
    lacks = "no workflow is set"
    supports_seed = True
    supports_negative_prompt = True
    options: ClassVar[Mapping[str, Option]] = {
        "workflow": Option(
            kind="object",
            config_only=True,
            help=_(
                "The workflow as ComfyUI exports it for its API, with {prompt}, {negative_prompt}, "
                "{width}, {height} and {seed} where those belong."
            ),
        ),
        "output_node": Option(
            kind="text",
            max_length=64,
            config_only=True,
            help=_("Id of the node whose picture is taken. Not set: the first that is saved."),
        ),
    }

    async def _generate_image(self, request: GenerationRequest) -> Generated:
        call = current_call()
        job = call.resume
        if job is None:
            job = ProviderJob(call.purchase_key, cost=Decimal(0))
            await call.job_submitted(job)
            job = await self._queued(request, job)
        try:
            return await self._collect(request, job)
        except ProviderError as exc:
            exc.job = exc.job or job
            raise

    async def _queued(self, request: GenerationRequest, job: ProviderJob) -> ProviderJob:
        """Put the workflow into the queue. What becomes of a request whose answer is lost, the queue knows."""
        body = {"prompt": self._filled(request, job.id), "prompt_id": job.id, "client_id": job.id}
        try:
            response = await self.service.request(
                "POST", "/prompt", json=body, timeout_s=min(self.submit_timeout_s, self.timeout_s), purchase=True
            )
        except (OutcomeUnknown, BadResponse):
            return job
        named = self.checked(response).error_object().get("prompt_id")
        if isinstance(named, str) and named != job.id:  # an older server gives ids of its own
            job = ProviderJob(self._job_id(named), cost=Decimal(0))
            await current_call().job_submitted(job)
        return replace(job, data={"queued": True})

    async def _collect(self, request: GenerationRequest, job: ProviderJob) -> Generated:
        service = self.service
        absent_since: float | None = None

        async def ask() -> dict[str, Any] | None:
            nonlocal absent_since
            response = await service.request(
                "GET",
                f"/history/{quote(job.id, safe='')}",
                timeout_s=service.poll_timeout_s,
                max_bytes=json_limit(),
            )
            entry = self.checked(response).json_object().get(job.id)
            if isinstance(entry, dict):
                return self._ended(entry)
            if await self._place_of(job):
                absent_since = None
                return None
            # Between the queue and the history there is a moment; a request that never arrived stays away.
            absent_since = absent_since or time.monotonic()
            if time.monotonic() - absent_since >= self.poll_settle_s:
                if job.data.get("queued"):
                    raise JobEnded(JobFailed("the server has lost the job: it was restarted.", cost=Decimal(0)))
                raise JobEnded(Unavailable("the server has no such job: it never came there, or it was restarted."))
            return None

        try:
            entry = await self._polled(ask, job)
        except OutcomeUnknown as exc:
            if current_call().looks_for_s is not None or not await self._cancelled(job):
                raise  # who only has a look stops nothing
            raise JobFailed(f"{exc} It was taken out of the queue.", job=job, cost=Decimal(0)) from None
        pictures = self._pictures(entry)
        content, picture = await self._fetched(
            f"{self.base_url}/view?{urlencode(pictures[0])}",
            with_key=True,
        )
        others = len(pictures) - 1
        surplus = {"pictures": not_honoured(1, f"the workflow made {others + 1}; the first was kept")} if others else {}
        return Generated(
            content=content,
            picture=picture,
            seed=self._seed(request, job.id),
            cost=Decimal(0),
            job_id=job.id,
            metadata={"paid_by": "own hardware"},
            not_honoured=surplus,
        )

    async def _place_of(self, job: ProviderJob) -> str:
        """ "running", "pending", or "" when the job is not in the queue."""
        response = await self.service.request("GET", "/queue", timeout_s=self.service.poll_timeout_s)
        queue = self.checked(response).json_object()
        for place in ("running", "pending"):
            entries = queue.get(f"queue_{place}")
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, list) and len(entry) > 1 and entry[1] == job.id:
                    return place
        return ""

    async def _cancelled(self, job: ProviderJob) -> bool:
        """Take the job out of the queue, or stop it; whether the server said yes."""
        seconds = min(CANCEL_TIMEOUT_S, self.timeout_s)
        try:
            # Older servers stop whatever runs: only when that is ours.
            runs = await self._place_of(job) == "running"
            body: dict[str, Any] = {"prompt_id": job.id} if runs else {"delete": [job.id]}
            path = "/interrupt" if runs else "/queue"
            return (await self.service.request("POST", path, json=body, timeout_s=seconds)).is_success
        except ProviderError:
            return False

    def _ended(self, entry: Mapping[str, Any]) -> dict[str, Any] | None:
        """A history entry that has a picture; raises how it ended otherwise."""
        status = entry.get("status")
        status = status if isinstance(status, dict) else {}
        if status.get("status_str") == "error":
            raise JobEnded(JobFailed(f"the workflow failed{self._why(status.get('messages'))}", cost=Decimal(0)))
        if not self._pictures(entry):
            if status and status.get("completed") is False:
                return None
            raise JobEnded(
                BadResponse(
                    "the workflow ended without a picture that is saved: let it end in a SaveImage node, and give its "
                    "sampler the slot {seed}.",
                    cost=Decimal(0),
                )
            )
        return dict(entry)

    def _pictures(self, entry: Mapping[str, Any]) -> list[dict[str, str]]:
        """The pictures of an entry; those that were saved, where some were."""
        outputs = entry.get("outputs")
        nodes = outputs if isinstance(outputs, dict) else {}
        wanted = self.default_options.get("output_node")
        found = [
            {key: str(image.get(key) or default) for key, default in _FILE.items()}
            for node, output in nodes.items()
            if wanted in (None, node) and isinstance(output, dict) and isinstance(output.get("images"), list)
            for image in output["images"]
            if isinstance(image, dict) and isinstance(image.get("filename"), str) and image["filename"]
        ]
        # Names become part of an address, and addresses are logged.
        found = [image for image in found if all(scrub(value, self.secrets) == value for value in image.values())]
        return [image for image in found if image["type"] == "output"] or found

    def _why(self, messages: Any) -> str:
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, list) and len(message) > 1 and isinstance(message[1], dict):
                said = message[1]
                if message[0] == "execution_error":
                    node = self.quoted(str(said.get("node_type", "")), 60)
                    return f" in {node}: {self.quoted(said.get('exception_message'), 300)}"
                if message[0] == "execution_interrupted":
                    return ": it was interrupted at the server."
        return "."

    # ------------------------------------------------------------------ the workflow

    def prepared(self, request: GenerationRequest) -> tuple[GenerationRequest, dict[str, Any]]:
        prepared, report = super().prepared(request)
        missing = self._missing(SLOTS) if self.is_configured else []
        if "negative_prompt" in missing and prepared.negative_prompt:
            report["negative_prompt"] = not_honoured(prepared.negative_prompt, "the workflow has no such slot")
            prepared = replace(prepared, negative_prompt="")
        return prepared, report

    def price(self, request: GenerationRequest) -> Decimal | None:
        return Decimal(0)

    @property
    def seed_range(self) -> tuple[int, int]:
        return 0, MAX_SEED

    @property
    def is_configured(self) -> bool:
        return bool(self.default_options.get("workflow"))

    @property
    def credential_hint(self) -> str:
        if self.is_configured:
            return super().credential_hint
        return f"set the option workflow of ProviderConfig '{self.name}' to your workflow, exported for the API."

    def _auth(self) -> Mapping[str, str]:
        return super()._auth() if self._credential else {}

    def _check_options(self, options: Mapping[str, Any]) -> None:
        if workflow := options.get("workflow"):
            check_workflow(workflow)

    def _missing(self, slots: tuple[str, ...]) -> list[str]:
        found = slots_in(self.default_options["workflow"])
        return [slot for slot in slots if slot not in found]

    def _filled(self, request: GenerationRequest, job_id: str) -> Any:
        width, height = snap_to_grid(request.width, request.height, multiple=8, min_side=64, max_side=16384)
        return filled(
            self.default_options["workflow"],
            {
                "prompt": request.prompt,
                "negative_prompt": request.negative_prompt,
                "width": width,
                "height": height,
                "seed": self._seed(request, job_id),
            },
        )

    def _seed(self, request: GenerationRequest, job_id: str) -> int:
        """The one that was asked for, or one that follows from the job's id, so that it is known after a crash too."""
        drawn = int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:6], "big")
        return drawn if request.seed is None else request.seed

    # ------------------------------------------------------------------ what the server says

    async def _probe(self) -> str:
        response = await self.service.request("GET", "/system_stats", timeout_s=self.probe_timeout_s)
        stats = self.checked(response).json_object()
        system, devices = stats.get("system"), stats.get("devices")
        if not isinstance(system, dict):
            raise BadResponse(
                "answered without system statistics: is it a ComfyUI server?", http_status=response.status
            )
        device = devices[0] if isinstance(devices, list) and devices and isinstance(devices[0], dict) else {}
        version = self.quoted(str(system.get("comfyui_version", "")), 40)
        said = f"ComfyUI {version} on {self.quoted(device.get('name'), 80) or 'an unnamed device'}"
        lacks = [f"{{{slot}}}" for slot in self._missing(SLOTS)]
        return f"{said}; the workflow has no slot {', '.join(lacks)}" if lacks else said

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        data = response.error_object()
        error, nodes = data.get("error"), data.get("node_errors")
        kinds = {error.get("type")} if isinstance(error, dict) else set()
        for node in nodes.values() if isinstance(nodes, dict) else ():
            found = node.get("errors") if isinstance(node, dict) else None
            kinds |= {fault.get("type") for fault in found or () if isinstance(fault, dict)}
        if response.status == 400 and kinds & _OF_THE_WORKFLOW:
            return Misconfigured(f"400: the workflow cannot run there: {self._vendor_text(response)}", http_status=400)
        if response.status == 400 and kinds & _OF_A_VALUE:
            return UnsupportedRequest(f"400: {self._vendor_text(response)}", http_status=400)
        return None

    def _vendor_text(self, response: http.Response) -> str:
        data = response.error_object()
        nodes = data.get("node_errors")
        said = [
            f"{node.get('class_type')}: {fault.get('message')} {fault.get('details')}"
            for node in (nodes.values() if isinstance(nodes, dict) else ())
            if isinstance(node, dict)
            for fault in node.get("errors") or ()
            if isinstance(fault, dict)
        ]
        return self.quoted("; ".join(said), 300) or super()._vendor_text(response)
