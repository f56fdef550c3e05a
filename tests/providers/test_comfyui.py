"""A ComfyUI server of one's own: slots, ids of ours, and jobs that are never unknown."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from mediagen.chain import MediaGeneratorChain
from mediagen.errors import ConfigurationError, Misconfigured, Outcome
from mediagen.providers import ComfyUIAdapter
from mediagen.providers.comfyui_workflow import filled, slots_in
from tests.fakes import ListRecorder
from tests.providers.cases import hurry
from tests.servers import Fault
from tests.servers.comfyui import WORKFLOW, ComfyUIServer

__all__ = ["hurry"]

pytestmark = pytest.mark.usefixtures("hurry")

ASKED = {"prompt": "A lighthouse", "width": 512, "height": 256}


def workflow(**changes: Any) -> dict[str, Any]:
    """WORKFLOW with the whole of some slots replaced: workflow(seed=7)."""
    return filled(
        copy.deepcopy(WORKFLOW),
        {name: changes.get(name, f"{{{name}}}") for name in ("prompt", "negative_prompt", "width", "height", "seed")},
    )


@pytest.fixture
def server(provider_servers, settings) -> ComfyUIServer:
    settings.MEDIAGEN = {"FIT": "keep", "BACKOFF_S": 0.001}
    return provider_servers["comfyui"]


def adapter(server, **more: Any) -> ComfyUIAdapter:
    values = {"api_key": server.key, "base_url": server.base_url, "dry_run": False, "timeout_s": 5.0}
    return ComfyUIAdapter(**{**values, "workflow": WORKFLOW, **more})


async def test_the_slots_are_filled_and_it_costs_nothing(server):
    image = await adapter(server).generate_image(**ASKED, negative_prompt="rain", seed=42)
    [request] = server.requests_for("submit")
    body = request.json()
    graph = body["prompt"]
    assert graph["6"]["inputs"]["text"] == "A lighthouse"
    assert graph["7"]["inputs"]["text"] == "blurry, rain"
    assert (graph["5"]["inputs"]["width"], graph["5"]["inputs"]["height"]) == (512, 256)
    assert graph["3"]["inputs"]["seed"] == 42
    assert graph["9"] == WORKFLOW["9"]
    assert body["prompt_id"] == image.provider_job_id
    assert (image.cost, image.seed, image.metadata["paid_by"]) == (Decimal(0), 42, "own hardware")
    assert adapter(server).estimate(**ASKED) == Decimal(0)
    assert "workflow" not in image.metadata


async def test_the_id_is_the_purchase_key_and_is_told_before_the_request(server):
    recorder = ListRecorder()
    sent_before: list[int] = []
    told = recorder.job_submitted

    async def job_submitted(attempt):
        sent_before.append(len(server.requests))
        await told(attempt)

    recorder.job_submitted = job_submitted
    outcome = await MediaGeneratorChain([adapter(server)]).execute("generate_image", recorder=recorder, **ASKED)
    [attempt] = outcome.attempts
    assert sent_before == [0]
    assert attempt.purchase_key == attempt.provider_job_id == server.purchases[0].job_id
    assert attempt.cost == Decimal(0)


async def test_a_lost_submit_is_found_and_one_that_never_came_is_sent_again(server):
    server.fault("submit", Fault.reset_after_body_read())
    outcome = await MediaGeneratorChain([adapter(server)]).execute("generate_image", **ASKED)
    assert [a.outcome for a in outcome.attempts] == [Outcome.SUCCEEDED]
    server.fault("submit", Fault.reset_before_body_read())
    outcome = await MediaGeneratorChain([adapter(server)]).execute("generate_image", **ASKED)
    assert [a.outcome for a in outcome.attempts] == [Outcome.UNAVAILABLE, Outcome.SUCCEEDED]
    assert len(server.purchases) == 2


async def test_an_older_server_that_gives_ids_of_its_own(server):
    server.takes_ids = False
    image = await adapter(server).generate_image(**ASKED)
    assert image.provider_job_id == server.purchases[0].job_id


async def test_several_pictures_and_a_seed_of_its_own(server):
    server.batch = 2
    image = await adapter(server).generate_image(**ASKED)
    assert "2" in image.fit_report["pictures"]["why"]
    assert image.seed == server.jobs[image.provider_job_id].seed


async def test_a_workflow_that_cannot_run_there_is_the_operators_affair(server):
    graph = workflow()
    graph["4"]["inputs"]["ckpt_name"] = "gone.safetensors"
    with pytest.raises(Misconfigured, match="CheckpointLoaderSimple: must be one of sd_xl_base"):
        await adapter(server, workflow=graph).generate_image(**ASKED)


async def test_a_negative_prompt_without_a_slot_is_reported(server):
    graph = workflow(negative_prompt="text")
    image = await adapter(server, workflow=graph).generate_image(**ASKED, negative_prompt="rain")
    assert image.fit_report["negative_prompt"]["why"] == "the workflow has no such slot"
    assert (await adapter(server, workflow=graph).probe()).detail.endswith("the workflow has no slot {negative_prompt}")


async def test_health_names_version_and_device(server):
    report = await adapter(server).probe()
    assert report.detail == "ComfyUI 0.3.66 on cuda:0 NVIDIA GeForce RTX 4090"


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (workflow(seed=7), "no slot {seed}"),
        (workflow(seed=7, prompt="a cat"), "no slot {prompt} and {seed}"),
        ({"nodes": [], "links": []}, "editor's format"),
        ({"1": {"inputs": {}}}, "class_type"),
        ("no json", "must be a JSON object"),
    ],
)
def test_a_workflow_that_is_none(graph, said):
    with pytest.raises(ConfigurationError, match=said.replace("{", r"\{").replace("}", r"\}")):
        ComfyUIAdapter(workflow=graph)


async def test_without_a_workflow_nobody_is_asked(server):
    outcome = await MediaGeneratorChain([adapter(server, workflow=None)]).execute("generate_image", **ASKED)
    [attempt] = outcome.attempts
    assert (attempt.outcome, server.requests) == (Outcome.MISCONFIGURED, [])
    assert "set the option workflow of ProviderConfig 'comfyui'" in attempt.message
    assert "no workflow is set" in (await adapter(server, workflow=None).probe()).detail


def test_slots():
    assert slots_in(WORKFLOW) == {"prompt", "negative_prompt", "width", "height", "seed"}
    assert filled({"a": ["{seed}", "x {seed} {a|b} {prompt}"]}, {"seed": 3, "prompt": "{seed}"}) == {
        "a": [3, "x 3 {a|b} {seed}"]
    }
