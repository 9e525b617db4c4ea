"""How uvicorn is configured for an Application Load Balancer."""

import uvicorn

from ambidex.asgi.types import App
from ambidex.settings import EcsSettings

# Above the 60 s after which an ALB closes an idle connection: a server that closes first may do so
# just as the balancer sends a request, which then is a 502. uvicorn's own default is 5.
# Source: elasticloadbalancing/latest/application/edit-load-balancer-attributes.html, connection
# idle timeout; load-balancer-troubleshooting.html, HTTP 502
KEEP_ALIVE_S = 75


def uvicorn_config(app: App, settings: EcsSettings) -> uvicorn.Config:
    """The configuration; uvloop and httptools are used where they are installed.

    Args:
        app: the app with all that is around it.
        settings: where to listen, and whose X-Forwarded-For and X-Forwarded-Proto to believe.
    """
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        interface="asgi3",
        lifespan="off",  # "auto" takes a startup that raises for an app without a lifespan
        workers=1,  # else WEB_CONCURRENCY
        timeout_keep_alive=KEEP_ALIVE_S,
        proxy_headers=True,
        forwarded_allow_ips=list(settings.trusted_proxies),  # else FORWARDED_ALLOW_IPS
        server_header=False,
        log_config=None,
        access_log=False,
    )
