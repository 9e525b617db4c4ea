"""Events for a browser's request, payload 2.0: of an HTTP API, or of a Function URL."""

from json import dumps

_API = "abcde12345.execute-api.eu-west-1.amazonaws.com"
_FUNCTION_URL = "abcde12345.lambda-url.eu-west-1.on.aws"
_HEADERS = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-GB,en;q=0.8,de;q=0.5",
    "content-length": "0",
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "sec-fetch-site": "none",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "x-amzn-trace-id": "Root=1-6563c1a0-0123456789abcdef01234567",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
}


def event(
    path: str,
    query: str = "",
    body: str | None = None,
    content_type: str = "",
    *,
    is_base64: bool = False,
    size: int = 0,
    is_function_url: bool = False,
) -> bytes:
    """An event, as JSON.

    Args:
        path: the request's.
        query: its query string, of plain letters.
        body: as the event has it; with one the method is POST.
        content_type: of the body.
        is_base64: whether the body is in base64.
        size: the body's length, in bytes.
        is_function_url: whether it is a Function URL's, which may stream; an HTTP API may not.
    """
    host = _FUNCTION_URL if is_function_url else _API
    headers = {**_HEADERS, "host": host}
    if body is not None:
        headers |= {"content-type": content_type, "content-length": f"{size}"}
    method = "GET" if body is None else "POST"
    document: dict[str, object] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
    }
    if query:
        parameters: dict[str, list[str]] = {}
        for name, value in (pair.split("=") for pair in query.split("&")):
            parameters.setdefault(name, []).append(value)
        document["queryStringParameters"] = {
            name: ",".join(values) for name, values in parameters.items()
        }
    document["requestContext"] = {
        "accountId": "123456789012",
        "apiId": "abcde12345",
        "domainName": host,
        "domainPrefix": "abcde12345",
        "http": {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "203.0.113.7",
            "userAgent": _HEADERS["user-agent"],
        },
        "requestId": "UEFhQk1jPTEuMg==",
        "routeKey": "$default",
        "stage": "$default",
        "time": "25/Nov/2026:20:26:11 +0000",
        "timeEpoch": 1795638371123,
    }
    if body is not None:
        document["body"] = body
    document["isBase64Encoded"] = is_base64
    return dumps(document, separators=(",", ":")).encode()
