"""`python -m tests.servers`: the provider servers for a person who tries mediagen without spending money."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pprint import pformat
from types import FrameType

from tests.servers import SERVERS, Fault, ProviderServer


def main(argv: Sequence[str] | None = None) -> int:
    """Start servers, say how to reach them, and stay until Ctrl-C or SIGTERM."""
    parser = _parser()
    options = parser.parse_args(argv)
    names = options.names or list(SERVERS)
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        try:
            running = {name: stack.enter_context(_server(name, options.port_base)) for name in names}
            for text in options.fault:
                _place(running, text)
        except (OSError, ValueError) as exc:
            parser.error(str(exc))
        for server in running.values():
            server.polls_until_ready, server.latency_s = options.polls, options.latency
        print(_how_to_reach(running), flush=True)

        def end(_signal: int, _frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGTERM, end)
        stop.wait()
        for name, server in running.items():
            print(f"{name}: {len(server.requests)} requests, {len(server.purchases)} purchases")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.servers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(SERVERS)}; none = all")
    parser.add_argument("--port-base", type=int, default=0, help="first port; each server keeps its place after it")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="name:step:fault",
        help="misbehave at every request of a step, e.g. flux:poll:http=503 or sdxl:submit:hang",
    )
    parser.add_argument("--polls", type=int, default=2, help="polls until a job is ready (2)")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before a submit is answered (0)")
    return parser


def _server(name: str, port_base: int) -> ProviderServer:
    if name not in SERVERS:
        raise ValueError(f"there is no server {name!r}. There are: {', '.join(SERVERS)}")
    return SERVERS[name](port_base + list(SERVERS).index(name) if port_base else 0)


def _place(running: Mapping[str, ProviderServer], text: str) -> None:
    name, _, rest = text.partition(":")
    step, _, fault = rest.partition(":")
    if name not in running or not fault:
        raise ValueError(f"--fault {text}: write name:step:fault with a name of {', '.join(running)}")
    running[name].fault(step, Fault.from_text(fault), times=None)


def _how_to_reach(running: Mapping[str, ProviderServer]) -> str:
    lines = [f"{name:15} {server.base_url:34} key {server.key}" for name, server in running.items()]
    lines += ["", "# environment", "export DRY_RUN_MODE=false"]
    lines += [f"export {server.env_key}={server.key}" for server in running.values()]
    providers = {name: {"OPTIONS": {"base_url": server.base_url}} for name, server in running.items()}
    lines += ["", "# Django settings (or set base_url in the admin, at each provider)"]
    lines += ["MEDIAGEN = " + pformat({"PROVIDERS": providers}, width=100, sort_dicts=False), "", "Ctrl-C ends."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
