"""Pictures for a site's own tests: no network, at once, counted; everything else of the site is as in earnest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from mediagen import factory
from mediagen.descriptions import DescribeRequest
from mediagen.errors import ProviderError
from mediagen.models import ProviderConfig
from mediagen.operations import DESCRIBE, GENERATE, OPERATIONS, EditRequest
from mediagen.testing.pictures import png
from mediagen.types import ARE_BOUGHT, GeneratedImage, GenerationRequest, ImageDescription


@dataclass(frozen=True, slots=True)
class Asked:
    """One picture that was asked for."""

    provider: str
    operation: str
    request: GenerationRequest | DescribeRequest


@dataclass
class InstantPictures:
    """What was asked for while `instantly()` lasts, and what is to be answered.

    ```python
    def test_a_campaign_makes_three_pictures(instant_pictures):
        start_campaign()
        assert instant_pictures.count == 3
        assert "lighthouse" in instant_pictures.asked[0].request.prompt
    ```
    """

    cost: Decimal = Decimal(0)
    """USD that each picture costs; budgets and ledger count it"""
    asked: list[Asked] = field(default_factory=list)
    failures: list[ProviderError] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Pictures that were made."""
        return len(self.asked)

    @property
    def prompts(self) -> list[str]:
        return [asked.request.prompt for asked in self.asked if isinstance(asked.request, GenerationRequest)]

    def fail(self, *errors: ProviderError) -> None:
        """The next providers to be asked raise these, one each: `fail(Refused("not that"))`."""
        self.failures.extend(errors)

    def describe(self, provider: str, request: DescribeRequest) -> ImageDescription:
        if self.failures:
            raise self.failures.pop(0)
        self.asked.append(Asked(provider, DESCRIBE, request))
        return ImageDescription(
            text=f"A picture of {request.image.width}x{request.image.height} pixels.",
            language=request.language,
            provider_name=provider,
            model_name="instant",
            cost=self.cost,
        )

    def make(self, provider: str, operation: str, request: GenerationRequest) -> GeneratedImage:
        if self.failures:
            raise self.failures.pop(0)
        self.asked.append(Asked(provider, operation, request))
        return GeneratedImage(
            content=png(request.width, request.height, mark=f"{request} {self.count}"),
            metadata={"prompt": request.prompt, "provider": provider, **request.options},
            provider_name=provider,
            model_name="instant",
            seed=request.seed,
            cost=self.cost,
        )


class InstantProvider:
    """Stands where an entry of the chain stands."""

    is_configured = True

    def __init__(self, name: str, made: InstantPictures, config: ProviderConfig) -> None:
        self.name = name
        self.model = "instant"
        self.after_unknown, self.after_refusal = config.after_unknown, config.after_refusal
        self.limits = (None, None)
        self.budget = (config.budget_limit, config.budget_period)
        self.dry_run = False
        self._made = made

    @property
    def runs_dry(self) -> bool:
        return False

    def get_name(self) -> str:
        return self.name

    async def check_health(self) -> bool:
        return True

    def estimate(self, **request: Any) -> Decimal:
        return self._made.cost

    async def generate_image(self, **request: Any) -> GeneratedImage:
        return self._made.make(self.name, GENERATE, GenerationRequest.checked(**request))

    async def describe_image(self, **request: Any) -> ImageDescription:
        return self._made.describe(self.name, DescribeRequest.checked(**request))

    def __getattr__(self, name: str) -> Any:
        if name in OPERATIONS:
            return partial(self._work, name)
        if name in ARE_BOUGHT.values():
            return self.estimate
        raise AttributeError(name)

    async def _work(self, operation: str, **request: Any) -> GeneratedImage:
        return self._made.make(self.name, operation, EditRequest.of(operation, **request))


@contextmanager
def instantly(cost: Decimal | str = "0") -> Iterator[InstantPictures]:
    """Every provider of the site that makes pictures is stood in for while this lasts, dry run or not. `cost` is USD a
    picture. For a TestCase: `self.pictures = self.enterContext(instantly())`."""
    made = InstantPictures(Decimal(cost))

    def make(config: ProviderConfig) -> InstantProvider:
        return InstantProvider(config.name, made, config)

    with factory.providers_instead(make):
        yield made
