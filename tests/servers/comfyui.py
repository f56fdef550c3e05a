"""ComfyUI: a workflow is queued under an id of the client's choice, history and queue say what became of it."""

from __future__ import annotations

import re
import uuid
from http import HTTPStatus
from typing import Any, ClassVar

from tests.servers.base import ProviderServer
from tests.servers.books import Job
from tests.servers.checks import Field, problems
from tests.servers.faults import Fault, FaultKind
from tests.servers.web import Answer, MalformedBody, Request, json_answer

BODY = {
    "prompt": Field("object", required=True),
    "prompt_id": Field(),
    "client_id": Field(),
    "extra_data": Field("object"),
    "number": Field("number"),
    "front": Field("bool"),
}
CHECKPOINTS = ("sd_xl_base_1.0.safetensors", "flux1-dev.safetensors")
# What a node wants of its inputs; a link to another node's output is [node id, number].
NODES: dict[str, dict[str, Field]] = {
    "CheckpointLoaderSimple": {"ckpt_name": Field(required=True, choices=CHECKPOINTS)},
    "CLIPTextEncode": {"text": Field(required=True), "clip": Field("any", required=True)},
    "EmptyLatentImage": {
        "width": Field("int", required=True, minimum=16, maximum=16384),
        "height": Field("int", required=True, minimum=16, maximum=16384),
        "batch_size": Field("int", required=True, minimum=1, maximum=4096),
    },
    "KSampler": {
        "seed": Field("int", required=True, minimum=0, maximum=2**64 - 1),
        "steps": Field("int", required=True, minimum=1, maximum=10000),
        "cfg": Field("number", required=True, minimum=0, maximum=100),
        "sampler_name": Field(required=True),
        "scheduler": Field(required=True),
        "denoise": Field("number", required=True, minimum=0, maximum=1),
        **dict.fromkeys(("model", "positive", "negative", "latent_image"), Field("any", required=True)),
    },
    "VAEDecode": {"samples": Field("any", required=True), "vae": Field("any", required=True)},
    "SaveImage": {"images": Field("any", required=True), "filename_prefix": Field()},
    "PreviewImage": {"images": Field("any", required=True)},
}
WORKFLOW: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            **{"seed": "{seed}", "steps": 20, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1},
            **{"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]},
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base_1.0.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": "{width}", "height": "{height}", "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "{prompt}", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry, {negative_prompt}", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "mediagen"}},
}
"""one with a slot for everything"""
KINDS = {
    "missing": "required_input_missing",
    "choice": "value_not_in_list",
    "minimum": "value_smaller_than_min",
    "maximum": "value_bigger_than_max",
    "type": "invalid_input_type",
}


class ComfyUIServer(ProviderServer):
    """A server as people run it, behind a proxy that wants a bearer token."""

    name = "comfyui"
    env_key = "COMFYUI_API_KEY"
    steps = ("submit", "poll", "queue", "cancel", "download", "health", "other")
    generate_steps = ("submit", "poll", "download")
    picture_step = "download"
    moderation_step = None
    delivery_takes_key = True
    delivers_elsewhere = False
    special_faults: ClassVar = {
        "submit": (
            Fault.http(400, code="value_not_in_list"),
            Fault.http(400, code="value_bigger_than_max"),
        ),
        "poll": (
            Fault.no_picture(),
            Fault.job_never_ends(),
            Fault.task_not_found(),
            Fault.job_failed("CUDA out of memory"),
            Fault.job_failed("", status="interrupted"),
        ),
        "download": (Fault.expired(404),),
    }

    def _forget(self) -> None:
        super()._forget()
        self.takes_ids = True
        """False: an older server that gives ids of its own"""
        self.batch = 1
        """pictures that a workflow makes"""

    def step_of(self, request: Request) -> str:
        path = request.path.removeprefix("/api")
        if path == "/queue":
            return "cancel" if request.method == "POST" else "queue"
        known = {"/prompt": "submit", "/interrupt": "cancel", "/view": "download", "/system_stats": "health"}
        return known.get(path, "poll" if path.startswith("/history/") else "other")

    def handle(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            raise self.refuse(401, request)
        route = (request.method, request.step)
        if route == ("POST", "submit"):
            return self._queue(request)
        if route == ("GET", "poll"):
            return self._history(request)
        if route == ("GET", "queue"):
            self.admit(request)
            running = [job for job in self.jobs.values() if not job.ended]
            entries = [[number, job.id, job.data, {}, ["9"]] for number, job in enumerate(running)]
            return json_answer({"queue_running": entries[:1], "queue_pending": entries[1:]})
        if route == ("POST", "cancel"):
            return self._cancel(request)
        if route == ("GET", "download"):
            return self._view(request)
        if route == ("GET", "health"):
            self.admit(request)
            device = {"name": "cuda:0 NVIDIA GeForce RTX 4090", "type": "cuda", "vram_total": 25_000_000_000}
            return json_answer({"system": {"os": "posix", "comfyui_version": "0.3.66"}, "devices": [device]})
        raise self.refuse(405 if request.step != "other" else 404, request)

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        if request.step != "submit" or status != 400:
            return Answer(status, f"{status}: {HTTPStatus(status).phrase}".encode(), "text/plain")
        if code in KINDS.values():
            fault = {"type": code, "message": code.replace("_", " ").capitalize(), "details": message, "extra_info": {}}
            nodes = {"4": {"errors": [fault], "dependent_outputs": ["9"], "class_type": "CheckpointLoaderSimple"}}
            return _invalid("prompt_outputs_failed_validation", "Prompt outputs failed validation", nodes)
        return _invalid(code or "bad_request", message or "Bad request", {})

    def _queue(self, request: Request) -> Answer:
        if request.media_type != "application/json":
            raise self.refuse(400, request, message="Send JSON.")
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("the body must be an object")
        if found := problems(asked, BODY, strict=self.strict):
            raise self.refuse(400, request, code="no_prompt", message=f"{found[0].field} {found[0].says}")
        nodes = self._node_errors(request, asked["prompt"])
        if nodes:
            refusal = self.refuse(400, request)
            refusal.answer = _invalid("prompt_outputs_failed_validation", "Prompt outputs failed validation", nodes)
            raise refusal
        prompt_id = asked.get("prompt_id", "")
        if prompt_id and str(uuid.UUID(prompt_id)) != prompt_id:
            raise self.refuse(400, request, code="invalid_prompt_id")
        self.admit(request)
        graph = asked["prompt"]
        size, sampler = _first(graph, "EmptyLatentImage"), _first(graph, "KSampler")
        positive = graph[sampler["positive"][0]]["inputs"]["text"]
        job = Job(
            prompt_id if prompt_id and self.takes_ids else self.new_id(),
            prompt=positive,
            width=size["width"] // 8 * 8,
            height=size["height"] // 8 * 8,
            seed=sampler["seed"],
            data=graph,
        )
        self.jobs[job.id] = job
        self.buy(request, prompt=job.prompt, width=job.width, height=job.height, job_id=job.id)
        request.leads_to = "poll"
        return json_answer({"prompt_id": job.id, "number": len(self.jobs), "node_errors": {}})

    def _node_errors(self, request: Request, graph: dict[str, Any]) -> dict[str, Any]:
        for node_id, node in graph.items():
            if not isinstance(node, dict) or node.get("class_type") not in NODES:
                raise self.refuse(400, request, code="missing_node_type", message=f"Node {node_id} does not exist.")
        if not any(node["class_type"] in ("SaveImage", "PreviewImage") for node in graph.values()):
            raise self.refuse(400, request, code="prompt_no_outputs", message="Prompt has no outputs")
        found = {}
        for node_id, node in graph.items():
            faults = [
                {"type": KINDS.get(one.trouble, "custom"), "message": one.says, "details": one.field, "extra_info": {}}
                for one in problems(node["inputs"], NODES[node["class_type"]])
            ]
            if faults:
                found[node_id] = {"errors": faults, "dependent_outputs": ["9"], "class_type": node["class_type"]}
        return found

    def _history(self, request: Request) -> Answer:
        self.admit(request)
        job = self.jobs.get(request.path.rpartition("/")[2])
        fault = request.fault
        kind = fault.kind if fault is not None else None
        if job is not None and kind is FaultKind.TASK_NOT_FOUND:
            del self.jobs[job.id]  # as after a restart
            job = None
        if job is None:
            return json_answer({})
        if fault is not None and kind is FaultKind.JOB_FAILED:
            job.ended, job.error = fault.code or "error", fault.text
        if not job.ended and kind is not FaultKind.JOB_NEVER_ENDS:
            job.polls += 1
            job.ended = "success" if job.polls >= self.polls_until_ready else ""
        if not job.ended:
            return json_answer({})
        if job.ended != "success":
            data = {"node_type": "KSampler", "exception_message": job.error, "exception_type": "RuntimeError"}
            message = ["execution_interrupted", {}] if job.ended == "interrupted" else ["execution_error", data]
            status = {"status_str": "error", "completed": False, "messages": [["execution_start", {}], message]}
            return json_answer({job.id: {"outputs": {}, "status": status}})
        request.leads_to = "download"
        saves = next((number for number, node in job.data.items() if node["class_type"] == "SaveImage"), "")
        images = [
            {"filename": f"mediagen_{job.id}_{number}_.png", "subfolder": "", "type": "output" if saves else "temp"}
            for number in range(0 if kind is FaultKind.NO_PICTURE else self.batch)
        ]
        status = {"status_str": "success", "completed": True, "messages": []}
        return json_answer({job.id: {"outputs": {saves or "9": {"images": images}}, "status": status}})

    def _cancel(self, request: Request) -> Answer:
        asked = request.json() if request.body else {}
        ids = [asked["prompt_id"]] if "prompt_id" in asked else asked.get("delete", [])
        if not ids:
            raise self.refuse(400, request, message="Name what is to be stopped: nothing else may be hit.")
        self.admit(request)
        for job_id in ids:
            job = self.jobs.get(job_id)
            if job is not None and not job.ended:
                job.ended = "interrupted"
                self.cancelled.append(job_id)
        return Answer(200, b"{}")

    def _view(self, request: Request) -> Answer:
        found = re.fullmatch(r"mediagen_(.{36})_(\d+)_\.png", request.query.get("filename", ""))
        job = self.jobs.get(found[1]) if found else None
        if found is None or job is None or request.query.get("type") not in ("output", "temp"):
            raise self.refuse(404, request)
        self.admit(request)
        return self.picture_file(request, job.width, job.height, "png", seed=job.seed + int(found[2]))


def _first(graph: dict[str, Any], kind: str) -> dict[str, Any]:
    inputs = next(node["inputs"] for node in graph.values() if node["class_type"] == kind)
    assert isinstance(inputs, dict)
    return inputs


def _invalid(kind: str, message: str, nodes: dict[str, Any]) -> Answer:
    error = {"type": kind, "message": message, "details": "", "extra_info": {}}
    return json_answer({"error": error, "node_errors": nodes}, 400)
