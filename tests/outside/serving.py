"""The project on a real socket, in this process: its settings and database are the test's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def served(django_db_serialized_rollback: None, transactional_db: Any) -> Iterator[str]:
    """The address of the project, served by uvicorn in a thread. The database begins as the migrations leave it."""
    import uvicorn
    from django.core.asgi import get_asgi_application

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(get_asgi_application(), log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
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
