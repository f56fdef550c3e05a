"""An application on a real socket, in this process: its settings and database are the test's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def serving(application: Any) -> Iterator[str]:
    """Its address while uvicorn serves it in a thread: streams come as they are sent."""
    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(application, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    assert server.started, "The site did not start."
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    listener.close()
    assert not thread.is_alive(), "The site did not stop."


@pytest.fixture
def served(django_db_serialized_rollback: None, transactional_db: Any) -> Iterator[str]:
    """The address of the project. The database begins as the migrations leave it."""
    from django.core.asgi import get_asgi_application

    with serving(get_asgi_application()) as address:
        yield address
