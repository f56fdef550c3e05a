"""Pages in a real Chromium, answered by a real ASGI server with a strict Content-Security-Policy.

    pytest -m browser tests/browser

Not in the process of the other tests: a browser's event loop stays in the main thread. For the same reason a test
calls what is async inside (most of the engine) by `apart(...)`. MEDIAGEN_CI_CHROMIUM names the browser's program;
MEDIAGEN_CI_SCREENSHOTS a folder that keeps the pictures taken with `shoot`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections

from tests.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# What a careful site sends. Nothing of ours may need more.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
PATIENCE_MS = 15_000
PHONE = {"width": 400, "height": 800}
DESK = {"width": 1280, "height": 900}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


# ---------------------------------------------------------------------- the program


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    program = os.environ.get("MEDIAGEN_CI_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.skip("There is no Chromium here; name one in MEDIAGEN_CI_CHROMIUM.")
    # Playwright's loop runs in this thread, where Django would take every query for one of a coroutine.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
            yield chromium
            chromium.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


# ---------------------------------------------------------------------- the site


def _with_policy(application: Any) -> Any:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await application(scope, receive, send_with_policy)

    return answer


@pytest.fixture
def site(django_db_serialized_rollback: None, transactional_db: Any) -> Iterator[str]:
    """The address of the project, with its static files. The database begins as the migrations leave it."""
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
    from django.core.asgi import get_asgi_application

    with serving(_with_policy(ASGIStaticFilesHandler(get_asgi_application()))) as address:
        yield address


# ---------------------------------------------------------------------- a person at it


@pytest.fixture
def complaints() -> list[str]:
    """What the browser found wrong with the pages: errors, refused styles and scripts, calls to other hosts.

    Nothing may be left in it at the end of a test; one that provokes something takes it out.
    """
    return []


@pytest.fixture
def context(browser: Browser, site: str, complaints: list[str]) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=site, viewport=DESK, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    context.on("weberror", lambda error: complaints.append(f"error: {error.error}"))

    def heard(message: Any) -> None:
        if message.type == "error" and not str(message.location.get("url")).endswith("/favicon.ico"):
            complaints.append(f"console: {message.text}")

    def asked(request: Any) -> None:
        if not request.url.startswith((site, "data:", "blob:")):
            complaints.append(f"other host: {request.url}")

    context.on("console", heard)
    context.on("request", asked)
    yield context
    context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def sign_in(context: BrowserContext, site: str) -> Callable[..., Any]:
    """`sign_in("view_mediaasset")` is a member of staff with these permissions, `sign_in(user=...)` somebody who is
    there already, `sign_in(is_superuser=True)` one who may do all. Returns the user."""
    from django.conf import settings
    from django.test import Client

    from tests.factories import UserFactory

    def sign_in(*may: str, user: Any = None, **fields: Any) -> Any:
        person = user or UserFactory(may=may, **fields)
        client = Client()
        client.force_login(person)
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": site}])
        return person

    return sign_in


@pytest.fixture
def apart() -> Iterator[Callable[..., Any]]:
    """`apart(call, *arguments)`: what it returns, called in another thread with a connection of its own."""
    with ThreadPoolExecutor(1) as thread:

        def call(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return thread.submit(work, *args, **kwargs).result()

        yield call
        thread.submit(connections.close_all).result()


# ---------------------------------------------------------------------- looking


@contextmanager
def own_styles(page: Page, complaints: list[str]) -> Iterator[None]:
    """axe and screenshots put styles into the page, which its policy refuses: no fault of ours."""
    page.evaluate("1")
    before = list(complaints)
    yield
    page.evaluate("1")
    complaints[:] = before


@pytest.fixture
def serious(page: Page, complaints: list[str]) -> Callable[..., list[str]]:
    """`serious(within="#content")`: what axe calls serious or critical there, a line for each element."""
    from axe_playwright_python.sync_playwright import Axe

    def look(within: str | None = None) -> list[str]:
        with own_styles(page, complaints):
            found = Axe().run(page, context=within)
        return [
            f"{violation['id']}: {violation['help']}: {node['html'][:200]}"
            for violation in found.response["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    return look


@pytest.fixture
def shoot(page: Page, tmp_path: Path, complaints: list[str]) -> Callable[[str], Path]:
    """`shoot("providers")` keeps a picture of the whole page; its file."""
    folder = Path(os.environ.get("MEDIAGEN_CI_SCREENSHOTS") or tmp_path)

    def shoot(name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.png"
        with own_styles(page, complaints):
            page.screenshot(path=str(file), full_page=True)
        return file

    return shoot


@pytest.fixture
def is_too_wide(page: Page) -> Callable[[], bool]:
    """Whether the page as a whole has to be scrolled sideways; a table with a scroll bar of its own is no fault."""

    def measure() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"))

    return measure
