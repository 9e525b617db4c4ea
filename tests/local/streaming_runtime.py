"""A runtime that streams what a script says, written without any of our code.

The script is the event, or the body of the HTTP request that is the event. Its steps are done in
their order; `answered` is in the log when the Runtime API has answered the post.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"

SOURCE = """
import base64, json, os, select, socket, sys, time
from http.client import HTTPConnection

host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
BASE = "/2018-06-01/runtime/invocation"


def next_event():
    connection = HTTPConnection(host, int(port))
    connection.request("GET", f"{BASE}/next")
    answer = connection.getresponse()
    return answer.getheader("Lambda-Runtime-Aws-Request-Id"), json.loads(answer.read())


def script_of(event):
    if "steps" in event:
        return event
    body = event.get("body") or "{}"
    return json.loads(base64.b64decode(body) if event.get("isBase64Encoded") else body)


def chunk(data):
    return b"%x\\r\\n%b\\r\\n" % (len(data), data)


def other_call(method, path, body=b""):
    connection = HTTPConnection(host, int(port))
    connection.request(method, BASE + path, body)
    return connection.getresponse().status


def fill(stream):
    # As much as the peer takes without reading on.
    sent = 0
    piece = memoryview(chunk(bytes(1 << 16)))
    while select.select([], [stream], [], 1)[1]:
        stream.setblocking(False)
        start = 0
        while start < len(piece):
            try:
                start += stream.send(piece[start:])
            except BlockingIOError:
                if not select.select([], [stream], [], 1)[1]:
                    stream.setblocking(True)
                    print("full after", sent, flush=True)
                    stream.sendall(piece[start:])
                    return
        sent += 1 << 16
    print("full after", sent, flush=True)


def post(request_id, script):
    if "gate" in script:
        open(script["gate"]).read()
    stream = socket.create_connection((host, int(port)))
    path = script.get("path", "response")
    headers = {"Host": host, **script.get("headers", {})}
    if "body" in script:
        headers["Content-Length"] = str(len(script["body"]))
    else:
        headers["Transfer-Encoding"] = "chunked"
    lines = [f"POST {BASE}/{request_id}/{path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    stream.sendall(("\\r\\n".join(lines) + "\\r\\n\\r\\n").encode())
    stream.sendall(script.get("body", "").encode())
    for name, *values in script["steps"]:
        if name == "send":
            stream.sendall(chunk(values[0].encode("latin-1")))
        elif name == "bytes":
            for _ in range(values[0] // 65536):
                stream.sendall(chunk(bytes(65536)))
        elif name == "wait":
            open(values[0]).read()
        elif name == "fill":
            fill(stream)
        elif name == "call":
            print("called", other_call(*values).__str__(), flush=True)
        elif name == "trailers":
            kind, body = values
            stream.sendall(
                f"0\\r\\nLambda-Runtime-Function-Error-Type: {kind}\\r\\n"
                f"Lambda-Runtime-Function-Error-Body: {body}\\r\\n\\r\\n".encode()
            )
        elif name == "end":
            stream.sendall(b"0\\r\\n\\r\\n")
        elif name == "exit":
            os._exit(values[0])
        elif name == "hang":
            time.sleep(600)
        elif name == "drop":
            stream.close()
        elif name == "close":
            stream.close()
            return
    print("answered", stream.makefile("rb").readline().decode().strip(), flush=True)
    stream.close()


while True:
    post(*(lambda request_id, event: (request_id, script_of(event)))(*next_event()))
"""


def command(folder: Path) -> tuple[str, ...]:
    """Write the runtime into a project; what starts it."""
    (folder / "runtime.py").write_text(SOURCE)
    return ("python", "runtime.py")


def script(*steps: Sequence[Any], content_type: str = "", **fields: Any) -> bytes:
    """An event that says what to stream, and in which headers."""
    headers = {"Lambda-Runtime-Function-Response-Mode": "streaming"}
    if content_type:
        headers["Content-Type"] = content_type
    return json.dumps({"headers": headers, "steps": steps, **fields}).encode()


def http_script(prelude: object, *steps: Sequence[Any]) -> bytes:
    """An event that says to stream a response."""
    head = json.dumps(prelude) + "\0" * 8
    return script(("send", head), *steps, content_type=PRELUDE_TYPE)
