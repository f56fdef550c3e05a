"""pytest plugin of an installed mediagen: the fixtures `instant_pictures` and `canned_server`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mediagen.testing.instant import InstantPictures
    from mediagen.testing.server import CannedServer

# Heavy things are imported by the fixtures: the plugin is loaded in every test run of the environment.


@pytest.fixture
def instant_pictures() -> Iterator[InstantPictures]:
    """Every provider of the site answers at once with a real picture, without a network; see `InstantPictures`."""
    from mediagen.testing.instant import instantly

    with instantly() as made:
        yield made


@pytest.fixture
def canned_server() -> Iterator[Callable[..., CannedServer]]:
    """`canned_server({"POST /v1/pictures": Answer(...)})` is a running `CannedServer`, stopped when the test ends."""
    from mediagen.testing.server import CannedServer

    with ExitStack() as running:

        def make(answers: Any, **how: Any) -> CannedServer:
            return running.enter_context(CannedServer(answers, **how))

        yield make
