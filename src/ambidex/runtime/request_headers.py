"""What the app finds among a request's headers that its event has elsewhere."""

from ambidex.http import Headers, Request, header


def with_authorization(request: Request, source: bytes) -> Request:
    """A request whose Authorization is what another header says.

    That header is renamed: it is gone, and so is the Authorization that IAM needed. A request
    without it stays as it is.

    Args:
        request: the request.
        source: the other header's name, in lower case.

    Source: aws-lambda-web-adapter, AWS_LWA_AUTHORIZATION_SOURCE, which does the same.
    """
    value = header(request.headers, source)
    if value is None:
        return request
    others = _without(request.headers, (source, b"authorization"))
    return request._replace(headers=(*others, (b"authorization", value)))


def with_w3c(request: Request, fields: dict[str, str]) -> Request:
    """A request with the trace context that came beside its event.

    A `traceparent` in the event itself wins, and what belongs to it with it.

    Args:
        request: the request.
        fields: what of traceparent, tracestate and baggage there is.
    """
    if header(request.headers, b"traceparent") is not None:
        return request
    added = [
        (name.encode(), value.encode("utf-8", "replace"))
        for name, value in fields.items()
        if value.isprintable()  # else it could not be a header
    ]
    others = _without(request.headers, tuple(name for name, _ in added))
    return request._replace(headers=(*others, *added))


def _without(headers: Headers, names: tuple[bytes, ...]) -> Headers:
    return tuple(pair for pair in headers if pair[0].lower() not in names)
