"""A weather server of the Model Context Protocol, made with its official SDK."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

startups = 0


@asynccontextmanager
async def lifespan(server: MCPServer) -> AsyncIterator[None]:
    global startups
    startups += 1
    yield


class Forecast(BaseModel):
    town: str
    degrees: list[int]


server = MCPServer("weather", instructions="Ask for a town.", lifespan=lifespan)


@server.tool()
async def forecast(town: str, days: int = 3) -> Forecast:
    """The temperatures of the next days."""
    if not town:
        raise ToolError("which town?")
    return Forecast(town=town, degrees=[len(town) + day for day in range(days)])


@server.tool()
def process() -> dict[str, int]:
    """Which process answers, and how often the server has started in it."""
    return {"pid": os.getpid(), "startups": startups}


@server.resource("weather://towns")
def towns() -> str:
    """The towns that are known."""
    return "Faro, Évora"


@server.custom_route("/health", methods=["GET"])  # type: ignore[untyped-decorator]  # the SDK's
async def health(request: Request) -> Response:
    return PlainTextResponse("OK")


@server.custom_route("/process", methods=["GET"])  # type: ignore[untyped-decorator]  # the SDK's
async def process_page(request: Request) -> Response:
    return JSONResponse(process())


everything = server.streamable_http_app(
    stateless_http=True,
    json_response=os.environ.get("MCP_RESPONSE", "json") == "json",
    # Without this the SDK takes requests for localhost only, and answers 421 on AWS.
    transport_security=TransportSecuritySettings(
        allowed_hosts=os.environ["MCP_ALLOWED_HOSTS"].split(","),
    ),
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The server, without the stream that a GET opens where nothing can stay open.

    On Lambda it would run into the time-out; the protocol lets a server say 405 instead.
    """
    is_get = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/mcp"
    if is_get and "aws.context" in scope:
        await Response(status_code=405, headers={"allow": "POST"})(scope, receive, send)
    else:
        await everything(scope, receive, send)
