"""The protocol's side: tools and resources, as the official SDK wants them."""

from __future__ import annotations

import logging
from typing import Any

import mcp_types as types
from django.http import HttpRequest
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

import mediagen
from mediagen.contrib.mcp import tools
from mediagen.contrib.mcp.inner import ask

logger = logging.getLogger("mediagen.mcp")

SCHEME = "mediagen://assets/"
RESOURCE_PX = 1024
NEWEST = 50
INSTRUCTIONS = (
    "Pictures of this site: made by its providers, kept in its libraries. A generation that is not ready in time goes "
    "on by itself: ask generation_status with its id instead of asking anew, which would be paid twice."
)


def server_for(request: HttpRequest) -> Server[Any]:
    """A server that does everything in the name of whoever sent the request."""

    async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in tools.TOOLS])

    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        return _shown(await _called(request, params.name, dict(params.arguments or {})))

    async def list_resources(ctx: Any, params: Any) -> types.ListResourcesResult:
        answer = await ask(request, "GET", "assets", query={"state": "ready", "page_size": NEWEST})
        found = answer.json()["results"] if answer.is_ok else []
        return types.ListResourcesResult(
            resources=[
                types.Resource(
                    uri=f"{SCHEME}{asset['id']}",
                    name=asset["id"],
                    title=asset["name"],
                    description=asset.get("alt_text") or asset.get("prompt") or None,
                    mime_type="image/jpeg",
                )
                for asset in found
            ]
        )

    async def list_templates(ctx: Any, params: Any) -> types.ListResourceTemplatesResult:
        one = types.ResourceTemplate(
            uri_template=f"{SCHEME}{{id}}", name="asset", title="An asset's picture", mime_type="image/jpeg"
        )
        return types.ListResourceTemplatesResult(resource_templates=[one])

    async def read_resource(ctx: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        pk = tools.asset_id({"id": uri.removeprefix(SCHEME)}) if uri.startswith(SCHEME) else None
        content = await tools.thumbnail(request, pk, RESOURCE_PX) if pk else None
        if content is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no picture {SCHEME}{pk or '...'} here that you may see.")
        blob = types.BlobResourceContents(uri=uri, mime_type="image/jpeg", blob=tools.in_base64(content))
        return types.ReadResourceResult(contents=[blob])

    return Server(
        "mediagen",
        version=mediagen.__version__,
        title="mediagen",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


async def _called(request: HttpRequest, name: str, given: dict[str, Any]) -> tools.Result:
    tool = tools.BY_NAME.get(name)
    if tool is None:
        return tools.Result(f"There is no tool of that name. There are: {', '.join(tools.BY_NAME)}.", is_error=True)
    if unknown := sorted(given.keys() - tool.properties.keys()):
        known = ", ".join(tool.properties) or "none"
        text = f"{name} has no argument {unknown[0]!r:.40}. It has: {known}."
        return tools.Result(text, is_error=True)
    if missing := [one for one in tool.required if one not in given]:
        return tools.Result(f"{name} needs {', '.join(missing)}.", is_error=True)
    wait_s = given.get("wait_seconds", 0)
    if not isinstance(wait_s, int) or isinstance(wait_s, bool):
        return tools.Result("wait_seconds is a whole number.", is_error=True)
    return await tool.call(request, given)


def _described(tool: tools.Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.schema,
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.is_read_only,
            destructive_hint=False,
            idempotent_hint=tool.is_read_only,
            open_world_hint=tool.costs,
        ),
    )


def _shown(result: tools.Result) -> types.CallToolResult:
    content: list[Any] = [types.TextContent(text=result.text)]
    content += [types.ImageContent(data=tools.in_base64(one), mime_type="image/jpeg") for one in result.thumbnails]
    return types.CallToolResult(content=content, structured_content=result.facts, is_error=result.is_error)
