"""What other people's adapters say of money: text, floats and nonsense cost no picture that is paid for."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mediagen.errors import BadResponse
from mediagen.models import GenerationAttempt, MediaAsset
from mediagen.types import ProviderJob, current_call
from tests.engine.work.working import batch_of, use_local, work
from tests.fakes import picture
from tests.management.test_commands import run

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("said", "cost"),
    [("0.04", "0.04"), (0.04, "0.04"), (1, "1"), ("four cents", None), (-1, None), (float("nan"), None), (1e9, None)],
)
@pytest.mark.parametrize("is_set_afterwards", [False, True])
def test_a_picture_is_kept_whatever_its_cost(settings, said, cost, is_set_afterwards):
    async def answer(prompt):
        if not is_set_afterwards:
            return picture(16, 16, cost=said)
        image = picture(16, 16)
        image.cost = said
        return image

    local = use_local(settings, answer)
    code, out, _ = run("generate_assets", "a cat", "--size", "16x16", "--live")
    assert (code, local.asked) == (0, ["a cat"]), out
    asset, attempt = MediaAsset.objects.get(), GenerationAttempt.objects.get()
    assert (asset.cost, attempt.state) == (None if cost is None else Decimal(cost), "succeeded")


@pytest.mark.parametrize(("price", "bought"), [("0.10", 3), (0.10, 3), ("a dime", 0)])
def test_a_limit_understands_a_price_in_any_form(settings, tmp_path, price, bought):
    local = use_local(settings, price=price)
    batch = batch_of(tmp_path, 5, max_cost=Decimal("0.35"))
    work(batch)
    assert len(local.asked) == bought, "without a price that is known, nobody is asked under a limit"


def test_errors_and_jobs_may_cost_text_and_floats(settings):
    async def answer(prompt):
        await current_call().job_submitted(ProviderJob("job-1", cost=0.05))
        raise BadResponse("no picture", cost="0.02")

    use_local(settings, answer)
    code, _, said = run("generate_assets", "a cat", "--size", "16x16", "--live")
    assert code == 1, said
    assert GenerationAttempt.objects.get().cost == Decimal("0.02")
