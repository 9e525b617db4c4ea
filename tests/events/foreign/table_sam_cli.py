"""Where SAM CLI and we disagree about an event, and who decides."""

from tests.events.foreign import pages, rules
from tests.events.foreign.disagreement import ABSENT, Disagreement, Who

_DEFAULT_V2 = "http_api, default stage"
_NAMED_V2 = "http_api, named stage"
_V2 = (_DEFAULT_V2, _NAMED_V2)
_DEFAULT_V1 = "http_api_v1, default stage"
_NAMED_V1 = "http_api_v1, named stage"
_V1 = (_DEFAULT_V1, _NAMED_V1)
_REST_TEXT = "rest_api, no binary media types"
_REST_BINARY = "rest_api, binary */*"
_REST = (_REST_TEXT, _REST_BINARY)
_PAYLOAD_1_0 = (*_V1, *_REST)
_ALL = (*_V2, *_V1, *_REST)

_MISREAD = "bytes outside of ASCII are read as latin-1"
_USER_AGENT = "Custom User Agent String"

_NOT_UTF_8 = (
    "multipart body",
    "every byte",
    "every byte called text",
    "body that is not the UTF-8 it says",
    "compressed text body",
)
_RAW_QUERIES = (
    "UTF-8 in the query that is not encoded",
    "bytes in the query that are not even UTF-8",
)
_NOT_TEXT = ("problem+json body", "form body", "body without a type")
_REPEATED = (
    "repeated headers",
    "several Cookie headers",
    "forged X-Forwarded-For in a line of its own",
)

DISAGREEMENTS = (
    # No event
    Disagreement(
        _ALL,
        "403 for a method that is none of its seven",
        "an event of any method",
        Who.NOBODY_SAYS,
        "AWS names seven methods of routes, and ANY; not what becomes of others",
        pages.ROUTES,
        cases=("a method of nobody's",),
        status=403,
    ),
    Disagreement(
        (*_V2, *_V1),
        "502 for a body that is not UTF-8",
        "the body in base64",
        Who.WE,
        "base64 goes by the content type, and needs no setting; what becomes of other bytes in a "
        "text type is not documented",
        pages.BINARY,
        cases=_NOT_UTF_8,
        status=502,
    ),
    Disagreement(
        (_REST_TEXT,),
        "502 for a body that is not UTF-8",
        "the body as text, in which other bytes are lost",
        Who.WE,
        "without binary media types every body is taken for UTF-8",
        pages.BINARY_REST,
        cases=_NOT_UTF_8,
        status=502,
    ),
    # Headers
    Disagreement(
        _PAYLOAD_1_0,
        "repeated headers are one value with commas, in both maps",
        "a list of the values in one map, the last one in the other",
        Who.WE,
        "multiValueHeaders has every value",
        pages.REST_API,
        {"headers": rules.joined, "multiValueHeaders": rules.joined_lists},
        {"headers": rules.joined_in_request},
        cases=_REPEATED,
    ),
    Disagreement(
        _V2,
        "a Cookie header beside the list of cookies",
        "the list only",
        Who.WE,
        "payload 2.0 has cookies in a field of their own, and captured events no such header",
        pages.CAPTURED,
        {"headers": rules.with_cookie},
        cases=("several cookies", "several Cookie headers", "cookie before another header"),
    ),
    Disagreement(
        _V2,
        "two Cookie headers are one cookie with a comma in it",
        "two cookies",
        Who.NOBODY_SAYS,
        "the page lists cookies one by one, and speaks of commas; RFC 9113 joins such headers with "
        "semicolons",
        pages.HTTP_API,
        {"headers": rules.with_headers(cookie="a=1,b=2"), "cookies": rules.always(["a=1,b=2"])},
        {"headers": rules.with_request_headers(cookie=b"a=1,b=2")},
        cases=("several Cookie headers",),
    ),
    Disagreement(
        _ALL,
        "its own scheme and port in place of the X-Forwarded headers that it is sent",
        "those headers",
        Who.BOTH,
        "a front door says how it was reached; ours does so before it makes the event",
        pages.FORWARDED,
        {
            "headers": rules.with_headers(x_forwarded_port="3000", x_forwarded_proto="http"),
            "multiValueHeaders": rules.with_headers(
                x_forwarded_port=["3000"], x_forwarded_proto=["http"]
            ),
        },
        {
            "headers": rules.with_request_headers(
                x_forwarded_port=b"3000", x_forwarded_proto=b"http"
            ),
            "scheme": rules.always("http"),
        },
    ),
    Disagreement(
        _REST,
        "the Content-Length header",
        "none",
        Who.WE,
        "measured: a REST API leaves it out",
        pages.LENGTH,
        {"headers": rules.with_length, "multiValueHeaders": rules.with_length_list},
    ),
    Disagreement(
        _V2,
        "names with capitals",
        "names in lower case",
        Who.WE,
        "the page says that they are in lower case",
        pages.HTTP_API,
        {"headers": rules.titled},
    ),
    Disagreement(
        _V1,
        "names with capitals",
        "names in lower case, but for those that API Gateway reads or adds",
        Who.NOBODY_SAYS,
        "captured events have capitals in what API Gateway reads or adds; that the client's are "
        "lost in all others is what the page says, and they do not show",
        pages.CAPTURED_V1,
        {"headers": rules.titled, "multiValueHeaders": rules.titled},
    ),
    Disagreement(
        _REST,
        "names with capitals",
        "names as the client spelt them",
        Who.WE,
        "measured: a REST API keeps the client's case",
        pages.NAMES_REST,
        {"headers": rules.titled, "multiValueHeaders": rules.titled},
    ),
    # Paths
    Disagreement(
        (_NAMED_V2,),
        "the path without the stage, which is not in its URLs either",
        "the path with the stage",
        Who.WE,
        "measured: a named stage is in the URL and in the path",
        pages.STAGES,
        {"rawPath": rules.without_stage, "requestContext.http.path": rules.without_stage},
        {"path": rules.without_stage, "root_path": rules.without_stage},
    ),
    Disagreement(
        (_NAMED_V1,),
        "the path without the stage, which is not in its URLs either",
        "the path with the stage",
        Who.WE,
        "measured: a named stage is in the URL and in the path",
        pages.STAGES,
        {"path": rules.without_stage},
        {"path": rules.without_stage, "root_path": rules.without_stage},
    ),
    Disagreement(
        _REST,
        "no stage in its URLs, and the resource's pattern for the path in the context",
        "the client's path in the context, with the stage",
        Who.WE,
        "measured: the path in the context is the client's",
        pages.REST_PATHS,
        {"requestContext.path": rules.resource("/{proxy+}", "/")},
        {"path": rules.without_stage, "root_path": rules.without_stage},
    ),
    Disagreement(
        _REST,
        "the path and its parameter decoded",
        "both as the client sent them",
        Who.WE,
        "measured: a REST API decodes neither",
        pages.PARAMETERS,
        {"path": rules.decoded, "pathParameters": rules.decoded},
        {"path": rules.decoded_in_request},
    ),
    Disagreement(
        _V2,
        "the path under a name of its own catch-all route",
        "no path parameters",
        Who.WE,
        "measured: payload 2.0 omits what is empty, and $default has no parameter",
        pages.OMITS,
        {"pathParameters": rules.parameter("any_path", {})},
    ),
    Disagreement(
        _V1,
        "its own catch-all route, with the path as a parameter",
        "the route $default, without parameters",
        Who.WE,
        "in events that were captured it is $default everywhere, and there are no parameters",
        pages.CAPTURED_V1,
        {
            "pathParameters": rules.parameter("any_path", None),
            "resource": rules.resource("/{any_path+}", "/"),
            "requestContext.resourcePath": rules.resource("/{any_path+}", "/"),
            "requestContext.path": rules.resource("/{any_path+}", "/"),
        },
    ),
    Disagreement(
        (*_V2, *_V1),
        "one slash for two at the start of a path",
        "both",
        Who.NOBODY_SAYS,
        "no page says that slashes are merged; Python's http.server, on which it is built, does so",
        pages.HTTP_API,
        {
            "rawPath": rules.without_first_slash,
            "requestContext.http.path": rules.without_first_slash,
            "path": rules.without_first_slash,
            "pathParameters": rules.without_first_slash,
        },
        {"path": rules.without_first_slash},
        cases=("double and trailing slashes",),
    ),
    Disagreement(
        _V2,
        "the domain localhost, so that a base path counts as an API mapping",
        "the domain of the API",
        Who.BOTH,
        "on a domain that is not the API's own the mapping is in the client's path only",
        pages.STAGES,
        request={"path": rules.always("/api/apiary"), "root_path": rules.always("/api")},
        cases=("path that begins with the base path's letters",),
    ),
    Disagreement(
        (_NAMED_V2,),
        "the domain localhost, so that what looks like the stage is taken out of the path",
        "the domain of the API",
        Who.BOTH,
        "on a domain that is not the API's own the stage is in the event only",
        pages.STAGES,
        request={"path": rules.always("/x")},
        cases=("path that repeats the stage",),
    ),
    # Queries
    Disagreement(
        _V2,
        _MISREAD,
        "they are taken for UTF-8 that is percent-encoded",
        Who.NOBODY_SAYS,
        "no URL has such bytes",
        pages.HTTP_API,
        {"rawQueryString": rules.misread, "queryStringParameters": rules.misread_value},
        {"query": rules.misread_in_request},
        cases=_RAW_QUERIES,
    ),
    Disagreement(
        _PAYLOAD_1_0,
        _MISREAD,
        "they are taken for UTF-8 that is percent-encoded",
        Who.NOBODY_SAYS,
        "no URL has such bytes",
        pages.REST_API,
        {
            "queryStringParameters": rules.misread_value,
            "multiValueQueryStringParameters": rules.misread_list,
        },
        {"query": rules.misread_and_encoded},
        cases=_RAW_QUERIES,
    ),
    # Bodies
    Disagreement(
        (*_V2, *_V1),
        "text in every body",
        "base64 for all but a few text types",
        Who.WE,
        "measured: forms, problem+json and bodies without a type are base64",
        pages.BINARY,
        {"body": rules.as_text, "isBase64Encoded": rules.always(False)},
        cases=_NOT_TEXT,
    ),
    Disagreement(
        (_REST_BINARY,),
        "isBase64Encoded without a body",
        "not without one",
        Who.NOBODY_SAYS,
        "the page does not say what it is then; nothing depends on it",
        pages.REST_API,
        {"isBase64Encoded": rules.always(True)},
    ),
    # What there is not
    Disagreement(
        _V2,
        "an empty body, an empty list of cookies, null for stage variables",
        "none of these fields",
        Who.WE,
        "measured: payload 2.0 omits what is empty",
        pages.OMITS,
        {
            "body": rules.instead(ABSENT, ""),
            "cookies": rules.instead(ABSENT, []),
            "stageVariables": rules.always(None),
        },
    ),
    Disagreement(
        _V2,
        "one User-Agent for all, in the context",
        "the client's",
        Who.WE,
        "the page shows the header's value",
        pages.HTTP_API,
        {"requestContext.http.userAgent": rules.always(_USER_AGENT)},
    ),
    Disagreement(
        _PAYLOAD_1_0,
        "one User-Agent for all, in the context",
        "the client's",
        Who.WE,
        "the page shows the header's value",
        pages.REST_API,
        {"requestContext.identity.userAgent": rules.always(_USER_AGENT)},
    ),
    Disagreement(
        _V2,
        "timeEpoch in seconds",
        "timeEpoch in milliseconds",
        Who.WE,
        "the page shows 13 digits",
        pages.HTTP_API,
        {"requestContext.timeEpoch": rules.always(1764000000)},
    ),
    Disagreement(
        _PAYLOAD_1_0,
        "fewer fields in the context, and null for the extended request id",
        "those that the page shows",
        Who.WE,
        "the page shows them; no API key is there where none is asked for",
        pages.HTTP_API,
        {
            "requestContext.domainPrefix": rules.always(ABSENT),
            "requestContext.extendedRequestId": rules.always(None),
            "requestContext.identity.accessKey": rules.always(ABSENT),
            "requestContext.identity.apiKey": rules.always(None),
            "requestContext.identity.cognitoIdentityId": rules.always(ABSENT),
            "requestContext.identity.principalOrgId": rules.always(ABSENT),
        },
    ),
    Disagreement(
        _V1,
        "no cognitoAmr",
        "null",
        Who.WE,
        "events that were captured have it",
        pages.CAPTURED_V1,
        {"requestContext.identity.cognitoAmr": rules.always(ABSENT)},
    ),
    Disagreement(
        _REST,
        "an id of the resource",
        "null",
        Who.BOTH,
        "the page shows null, and events that were captured an id, which is anybody's",
        pages.REST_API,
        {"requestContext.resourceId": rules.always("123456")},
    ),
)
