"""The contract that is shipped, held by three providers of three kinds, and failed by those that break it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from mediagen import http
from mediagen.errors import JobFailed, ProviderError, Unavailable
from mediagen.http import JobEnded
from mediagen.providers import Generated, JobProvider
from mediagen.testing import Answer, CannedServer, KeyedAdapter, ProviderContract, png
from mediagen.testing.contract import Kept
from mediagen.testing.keyed import ROUTE
from mediagen.types import Call, GeneratedImage, ProviderJob, current_call, reset_current_call, set_current_call

PICTURE = Answer(content=png(512, 512), headers={"content-type": "image/png"})


class TestOneWithPurchaseKeys(ProviderContract):
    adapter = KeyedAdapter
    answers: ClassVar = {ROUTE: PICTURE, "GET /v2/account": Answer(json={"credits": 3})}
    health = "GET /v2/account"
    idempotency_header = "Idempotency-Key"


@pytest.mark.whole
class TestTwoHundredKills(TestOneWithPurchaseKeys):
    kills = 200


class SlowAdapter(JobProvider):
    name = "slow"
    default_base_url = "https://slow.example"
    default_model = "slow-1"
    credential_env = "SLOW_API_KEY"

    async def _submit(self, request: Any) -> ProviderJob:
        response = await self.service.request("POST", "/jobs", json={"prompt": request.prompt}, purchase=True)
        return ProviderJob(self._job_id(self.checked(response).json_object().get("id")))

    async def _collect(self, request: Any, job: ProviderJob) -> Generated:
        async def ask() -> Any:
            answer = self.checked(await self.service.request("GET", f"/jobs/{job.id}")).json_object()
            if answer.get("status") == "failed":
                raise JobEnded(Unavailable("the job failed."))
            return answer if answer.get("status") == "done" else None

        content, picture = await self._fetched((await self._polled(ask, job))["url"])
        return Generated(content=content, picture=picture, job_id=job.id)

    async def _probe(self) -> str:
        self.checked(await self.service.request("GET", "/account")).json_object()
        return "it answers"


class TestOneWithJobs(ProviderContract):
    adapter = SlowAdapter
    answers: ClassVar = {
        "POST /jobs": Answer(json={"id": "job-1"}),
        "GET /jobs/*": [
            Answer(json={"status": "running"}),
            Answer(json={"status": "done", "url": "{origin}/files/1.png"}),
        ],
        "GET /files/*": PICTURE,
        "GET /account": Answer(json={}),
    }
    health = "GET /account"


class Plain:
    """Without our base class, its own way to the service, and a cost as people write it."""

    cost: Any = "0.02"

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def get_name(self) -> str:
        return "plain"

    async def check_health(self) -> bool:
        return True

    async def generate_image(self, prompt: str, width: int = 1024, height: int = 1024, **options: Any) -> Any:
        service = http.Service(self.base_url, auth={"x-key": "made-up-key-0123456789"}, timeout_s=2.0)
        response = await service.request("POST", "/pictures", json={"prompt": prompt}, purchase=True)
        if not response.is_success:
            raise http.error_for_status(response, "no")
        return GeneratedImage(content=bytes(response.body), cost=self.cost)


class TestAPlainClass(ProviderContract):
    adapter = Plain
    answers: ClassVar = {"POST /pictures": PICTURE}

    def build(self, server: CannedServer, **more: Any) -> Plain:
        return Plain(server.base_url)


# --- it can fail


def failing(contract: type[ProviderContract], test: str, *arguments: Any) -> str:
    """Why `test` of `contract` fails; it has to."""
    made = contract()
    with CannedServer(made.answers, health=made.health, idempotency_header=made.idempotency_header) as server:
        with pytest.raises(AssertionError) as caught:
            getattr(made, test)(server, *arguments)
        return str(caught.value)


class Forgetful(KeyedAdapter):
    """Sends another key each time."""

    async def _generate_image(self, request: Any) -> Any:
        current_call().purchase_key = str(uuid.uuid4())
        return await super()._generate_image(request)


class Eager(KeyedAdapter):
    """Asks again by itself when nothing came."""

    async def _generate_image(self, request: Any) -> Any:
        with contextlib.suppress(ProviderError):
            return await super()._generate_image(request)
        token = set_current_call(Call())
        try:
            return await super()._generate_image(request)
        finally:
            reset_current_call(token)


def broken(adapter: type[Any]) -> type[ProviderContract]:
    return type("Broken", (TestOneWithPurchaseKeys,), {"adapter": adapter, "__test__": False})


def test_another_key_each_time_is_found_out():
    why = failing(broken(Forgetful), "test_killed_between_request_and_answer_it_buys_nothing_twice")
    assert "bought again" in why


def test_buying_again_by_itself_is_found_out():
    why = failing(broken(Eager), "test_a_fault_of_the_purchase_is_named_and_buys_no_second_picture", "reset")
    assert "bought again" in why


# --- costs of other people's


@pytest.mark.parametrize(("said", "kept"), [("0.02", "0.02"), (0.1, "0.1"), (3, "3"), (None, None)])
def test_a_cost_is_taken_as_people_write_it(said, kept):
    made = TestAPlainClass()
    with CannedServer(made.answers) as server:
        plain = Plain(server.base_url)
        plain.cost = said
        cost = made.check(made.ask(plain)).cost
    assert cost == (None if kept is None else Decimal(kept))


def test_the_server_has_idempotency_keys_as_vendors_describe_them():
    async def ask(server: CannedServer, key: str, prompt: str) -> int:
        service = http.Service(server.base_url, auth={"x-key": server.key}, timeout_s=2.0)
        headers = {"idempotency-key": key}
        return (await service.request("POST", "/pictures", json={"prompt": prompt}, headers=headers)).status

    with CannedServer({"POST /pictures": PICTURE}, idempotency_header="Idempotency-Key") as server:
        assert [asyncio.run(ask(server, *asked)) for asked in (("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"))] == [
            *(200, 200),
            *(409, 200),
        ]
        assert len(server.purchases) == 2


class WithJobs(Plain):
    """Says what the job costs as people write it."""

    async def generate_image(self, prompt: str, width: int = 1024, height: int = 1024, **options: Any) -> Any:
        await current_call().job_submitted(ProviderJob("job-1", cost=self.cost))
        if self.cost == "0.04":
            raise JobFailed("no picture", cost=self.cost)
        self.cost = None
        return await super().generate_image(prompt, width, height, **options)

    def estimate(self, **request: Any) -> Any:
        return 0.1


@pytest.mark.parametrize(("said", "kept"), [("0.02", "0.02"), (0.3, "0.3"), ("0.04", "0.04"), ("free", None)])
def test_a_jobs_cost_is_taken_too_and_nonsense_loses_no_picture(said, kept):
    made = TestAPlainClass()
    with CannedServer(made.answers) as server:
        provider = WithJobs(server.base_url)
        provider.cost = said
        kept_by = Kept()
        outcome = made.ask(provider, recorder=kept_by)
    [attempt] = kept_by.attempts
    assert attempt.price == Decimal("0.1")
    assert attempt.cost == (None if kept is None else Decimal(kept))
    assert type(attempt.cost) in (Decimal, type(None))
    assert (outcome.result is None) == (said == "0.04")
