"""The services that mediagen talks to, as servers on real sockets that check and misbehave. See README.md."""

from __future__ import annotations

from tests.servers.base import ProviderServer
from tests.servers.bfl import BFLServer
from tests.servers.books import Job, Purchase
from tests.servers.canva import CanvaServer
from tests.servers.comfyui import ComfyUIServer
from tests.servers.fal import FalServer
from tests.servers.faults import Fault, FaultKind
from tests.servers.figma import FigmaServer
from tests.servers.gemini import GeminiServer
from tests.servers.openai import OpenAIServer
from tests.servers.openrouter import OpenRouterServer
from tests.servers.replicate import ReplicateServer
from tests.servers.serving import nobody_listens
from tests.servers.stability import StabilityServer
from tests.servers.web import Answer, Request

SERVERS: dict[str, type[ProviderServer]] = {
    server.name: server
    for server in (
        *(StabilityServer, OpenAIServer, BFLServer, ReplicateServer, FigmaServer, CanvaServer, GeminiServer),
        *(OpenRouterServer, FalServer, ComfyUIServer),
    )
}

__all__ = [
    "SERVERS",
    "Answer",
    "BFLServer",
    "CanvaServer",
    "ComfyUIServer",
    "FalServer",
    "Fault",
    "FaultKind",
    "FigmaServer",
    "GeminiServer",
    "Job",
    "OpenAIServer",
    "OpenRouterServer",
    "ProviderServer",
    "Purchase",
    "ReplicateServer",
    "Request",
    "StabilityServer",
    "nobody_listens",
]
