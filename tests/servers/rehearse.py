"""`make rehearse`: a whole site beside local vendor servers, led through what goes wrong. Nobody is paid.

Everything is in var/rehearsal, made anew each time. With --stay the servers go on, and the site is served.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.receiver import Receiver, receiving
from tests.servers import SERVERS, Fault, ProviderServer

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("sdxl", "openai_images", "flux")
PROMPTS = ("a red bicycle", "a blue bicycle", "a green bicycle", "a yellow bicycle")

ATTEMPTS = """
from mediagen.models import GenerationAttempt, MediaAsset
for row in GenerationAttempt.objects.of(MediaAsset.objects.order_by("-id").first()).exclude(outcome="skipped"):
    print(f"    attempt {row.position}: {row.provider_name:<14} {row.outcome:<13} {row.message}".rstrip())
"""
CHAIN = """
from mediagen.models import ProviderConfig
ProviderConfig.objects.exclude(name__in=["sdxl", "openai_images", "flux"]).update(enabled=False)
"""
CLOSED = """
from mediagen.models import ProviderHealth
ProviderHealth.objects.all().delete()
"""
LIBRARY = """
from mediagen.models import MediaLibrary
MediaLibrary.objects.create(name="Small", budget_limit="0.05", budget_warning="0.03")
"""
ENDPOINT = """
from mediagen.engine.events import endpoints
endpoints.create("rehearsal", {url!r}, events=["asset.ready"])
"""


class Rehearsal:
    """The servers, the site beside them, and the story."""

    def __init__(self, servers: dict[str, ProviderServer], receiver: Receiver, folder: Path, port: int) -> None:
        self.servers = servers
        self.receiver = receiver
        self.folder = folder
        self.port = port
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TERM", "TMPDIR")}
        self.environment = kept | {
            "DJANGO_SETTINGS_MODULE": "config.settings.dev",
            "MEDIAGEN_DATA_DIR": str(folder),
            "MEDIAGEN_TRUSTED_HOSTS": receiver.host,
            "DRY_RUN_MODE": "false",
            "LOG_LEVEL": "CRITICAL",
        }
        for name, server in servers.items():
            self.environment[f"MEDIAGEN_{name.upper()}_BASE_URL"] = server.base_url
            self.environment[server.env_key] = server.key
        self.number = 0

    def story(self) -> None:
        self.quietly("migrate", "--verbosity", "0")
        self.quietly("shell", "-c", CHAIN)
        self.live_picture()
        self.failover()
        self.rate_limit()
        self.refused_prompt()
        self.refused_key()
        self.budget()
        self.killed_worker()
        self.webhook()

    # ------------------------------------------------------------------ the acts

    def live_picture(self) -> None:
        self.chapter(
            "A live picture", "The first provider in order is asked over the network, and billed (by a server here)."
        )
        self.run("generate_assets", "A lighthouse in the fog", "--size", "1024x1024")

    def failover(self) -> None:
        self.chapter(
            "The first provider is down", "Nothing was sent to it, so it is tried again, and then the next is asked."
        )
        with self.down("sdxl"):
            self.run("generate_assets", "A lighthouse in the rain")
        self.attempts()

    def rate_limit(self) -> None:
        self.chapter("Two say 429", "Each says for how long; nobody waits for it while a third can serve.")
        for name in ("sdxl", "openai_images"):
            self.servers[name].fault("submit", Fault.http(429, retry_after=60))
        self.run("generate_assets", "A lighthouse at night")
        self.attempts()

    def refused_prompt(self) -> None:
        self.chapter(
            "Moderation refuses", "Another provider's rules are no way around the first one's: the chain stops."
        )
        self.servers["sdxl"].fault("submit", Fault.from_text("moderation"))
        self.run("generate_assets", "Something that nobody should draw", code=1)

    def refused_key(self) -> None:
        self.chapter("A key is refused", "The next one serves, and the doctor says what you have to do.")
        self.servers["sdxl"].fault("submit", Fault.http(401))
        self.run("generate_assets", "A lighthouse at noon")
        self.attempts()
        self.run("mediagen_doctor", "--offline", code=1)
        self.say("You have renewed the key at the service. Now tell the site:")
        self.run("check_providers", "sdxl", "--live", "--close")

    def budget(self) -> None:
        self.chapter("A budget is used up", 'The library "Small" may spend $0.05. Each picture costs $0.03.')
        self.quietly("shell", "-c", LIBRARY)
        self.run("generate_assets", "A small boat", "A small house", "--library", "Small", "--concurrency", "1", code=1)

    def killed_worker(self) -> None:
        self.chapter(
            "A worker is killed", "It had bought four jobs and got none of the pictures. The next worker fetches them."
        )
        flux = self.servers["flux"]
        before, polled = len(flux.purchases), len({poll.raw_query for poll in flux.requests_for("poll")})
        flux.polls_until_ready = 10_000
        manifest = self.folder / "prompts.txt"
        manifest.write_text("\n".join(PROMPTS) + "\n")
        self.run("generate_assets", "--from", str(manifest), "--provider", "flux", "--enqueue")
        self.command("generate_worker")
        worker = subprocess.Popen(
            self.line("generate_worker"), cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL
        )
        # With their ids in its rows: it asks for each of them already.
        _until(lambda: len({poll.raw_query for poll in flux.requests_for("poll")}) >= len(PROMPTS) + polled)
        worker.kill()
        worker.wait()
        self.say(f"Killed (-9) after {len(flux.purchases) - before} purchases.")
        flux.polls_until_ready = 2
        self.run("generate_worker", "--until-done")
        self.run("mediagen_batches", "list", "prompts.txt")
        self.say(f"Purchases in all: {len(flux.purchases) - before}, for {len(PROMPTS)} pictures.")

    def webhook(self) -> None:
        self.chapter("Another program is told", "Signed messages are rows of the same transaction as the picture.")
        self.quietly("shell", "-c", ENDPOINT.format(url=self.receiver.url))
        self.run("generate_assets", "A lighthouse on a postcard")
        self.run("mediagen_maintain")
        _until(lambda: bool(self.receiver.got))
        got = self.receiver.got[0]
        told = json.loads(got.body)
        self.say(f"Received: {told['type']} of asset {told['data']['asset']['id']}")
        self.say(f"          webhook-signature: {got.headers['webhook-signature']}")

    # ------------------------------------------------------------------ how it is told

    def chapter(self, title: str, text: str) -> None:
        self.number += 1
        self.quietly("shell", "-c", CLOSED)
        for server in self.servers.values():
            server.clear_faults()
        print(f"\n{'-' * 78}\n{self.number}. {title}\n   {text}\n", flush=True)

    def say(self, text: str) -> None:
        print(f"    {text}", flush=True)

    def attempts(self) -> None:
        self.quietly("shell", "-c", ATTEMPTS, show=True)

    def run(self, *arguments: str, code: int = 0) -> None:
        """A command as one types it. What it should not end with ends the rehearsal."""
        self.command(*arguments)
        done = subprocess.run(self.line(*arguments), cwd=ROOT, env=self.environment, check=False)
        if done.returncode != code:
            sys.exit(f"That ended with {done.returncode}, not {code}: please report it.")

    def command(self, *arguments: str) -> None:
        print(f"$ manage.py {shlex.join(arguments)}", flush=True)

    def quietly(self, *arguments: str, show: bool = False) -> None:
        done = subprocess.run(
            self.line(*arguments), cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"manage.py {arguments[0]} failed:\n{done.stderr}")
        if show:  # Django 6 says first what it has imported
            print(
                "".join(line for line in done.stdout.splitlines(keepends=True) if "attempt" in line), end="", flush=True
            )

    def line(self, *arguments: str) -> list[str]:
        return [sys.executable, "manage.py", *arguments]

    @contextlib.contextmanager
    def down(self, name: str) -> Iterator[None]:
        self.servers[name].refuse_connections()
        try:
            yield
        finally:
            self.servers[name].accept_connections()

    def stay(self) -> None:
        """The site beside the servers, until Ctrl-C."""
        subprocess.run([sys.executable, "-m", "config.demo", "login"], cwd=ROOT, env=self.environment, check=True)
        print(
            f"The studio is at http://127.0.0.1:{self.port}/studio/, live against the local servers. Ctrl-C ends.",
            flush=True,
        )
        site = [
            "-m",
            "uvicorn",
            "config.asgi:application",
            "--port",
            str(self.port),
            "--lifespan",
            "off",
            "--log-level",
            "warning",
        ]
        with contextlib.suppress(KeyboardInterrupt):
            subprocess.run([sys.executable, *site], cwd=ROOT, env=self.environment, check=False)


def _until(is_so, seconds: float = 60.0) -> None:
    give_up_at = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > give_up_at:
            sys.exit("That takes too long: please report it.")
        time.sleep(0.05)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("make rehearse", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="afterwards serve the site beside the servers")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "rehearsal")
    options = parser.parse_args(argv)
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(SERVERS[name]()) for name in NAMES}
        receiver = stack.enter_context(receiving())
        for server in servers.values():
            server.latency_s = 0.3
        rehearsal = Rehearsal(servers, receiver, options.folder, options.port)
        began = time.monotonic()
        rehearsal.story()
        bought = sum(len(server.purchases) for server in servers.values())
        print(
            f"\n{'-' * 78}\n{bought} pictures were bought from servers on this machine, "
            f"in {time.monotonic() - began:.0f} s."
        )
        print("Nobody was paid. Pictures, database and attempts are in", options.folder)
        if options.stay:
            rehearsal.stay()
        else:
            print("To look around in the browser, against the same servers: make rehearse STAY=1")
    return 0


if __name__ == "__main__":
    sys.exit(main())
