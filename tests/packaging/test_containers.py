"""What the image and the composed site say fits the checkout. No engine is at hand here: the commands themselves are
those of the other tests, and of docs/deploying.md."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from config import healthcheck

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "compose.yaml").read_text()


def test_what_is_copied_is_there_and_not_ignored():
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]
    ]

    assert sorted(copied) == sorted(allowed)
    assert all((ROOT / name).exists() for name in copied)


def test_the_last_stage_does_not_run_as_root_and_names_no_secret():
    last = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["mediagen"]
    assert last.index("\nUSER ") < last.index("\nCMD ")
    assert not re.search(r"^(ENV|ARG)\b.*(SECRET|PASSWORD|KEY)", DOCKERFILE, re.MULTILINE)


def test_every_command_of_the_composed_site_can_be_typed():
    commands = [json.loads(line) for line in re.findall(r"^    command: (\[.+\])$", COMPOSE, re.MULTILINE)]
    names = {arguments[2] for arguments in commands}

    assert {"migrate", "generate_worker", "mediagen_maintain"} == names
    for _python, _manage, name, *arguments in commands:
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(arguments)


def test_what_the_example_of_the_environment_names_is_described():
    names = re.findall(r"^([A-Z_]+)=", (ROOT / "compose.env.example").read_text(), re.MULTILINE)
    described = (ROOT / "docs/configuration.md").read_text()

    assert all(f"`{name}`" in described for name in names if name != "POSTGRES_PASSWORD")


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (None, 1)])
def test_the_health_check_asks_in_the_sites_name(status, code, monkeypatch):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Host"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    monkeypatch.setenv("PORT", str(server.server_port))
    monkeypatch.setenv("ALLOWED_HOSTS", ".media.example,localhost")
    if status is None:
        server.server_close()
        assert healthcheck.main() == code
        return
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    assert healthcheck.main() == code
    thread.join()
    server.server_close()
    assert asked == [("/healthz", "media.example")]
