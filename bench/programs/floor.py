"""The floor: the smallest runtime in Python, a blocking socket that answers canned bytes.

Run by path, with the interpreter and nothing else: `floor.py RESULT`, where RESULT is a file with
the result, or `floor.py stream:BYTES`, which streams that many after a prelude.
"""

import os
import socket
import sys

BASE = b"/2018-06-01/runtime/invocation/"
PRELUDE = b'{"statusCode":200,"headers":{"content-type":"application/octet-stream"}}' + b"\0" * 8
CHUNK = 64 * 1024


def main() -> None:
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    what = sys.argv[1]
    if what.startswith("stream:"):
        chunks = int(what.partition(":")[2]) // CHUNK

        def answer(path: bytes) -> None:
            stream(connection, path, chunks)

    else:
        with open(what, "rb") as file:  # noqa: PTH123 – pathlib takes 20 ms to import
            result = file.read()
        head = b"Host: floor\r\nContent-Length: %d\r\n\r\n" % len(result)

        def answer(path: bytes) -> None:
            connection.sendall(b"POST %s/response HTTP/1.1\r\n%s%s" % (path, head, result))

    while True:
        connection.sendall(b"GET " + BASE + b"next HTTP/1.1\r\nHost: floor\r\n\r\n")
        answer(BASE + read_id(connection))
        connection.recv(4096)  # 202


def read_id(connection: socket.socket) -> bytes:
    """Read an event; its request id."""
    data = connection.recv(16384)  # a larger buffer would be mapped and unmapped each time
    while b"\r\n\r\n" not in data:
        data += connection.recv(16384)
    head, _, event = data.partition(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    left = length - len(event)
    while left:
        left -= len(connection.recv(1 << 20))
    return head.partition(b"Lambda-Runtime-Aws-Request-Id: ")[2].partition(b"\r\n")[0]


def stream(connection: socket.socket, path: bytes, chunks: int) -> None:
    head = (
        b"POST %s/response HTTP/1.1\r\nHost: floor\r\nTransfer-Encoding: chunked\r\n"
        b"Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        b"Content-Type: application/vnd.awslambda.http-integration-response\r\n\r\n"
    )
    chunk = b"%x\r\n%s\r\n" % (CHUNK, bytes(CHUNK))
    connection.sendall(b"%s%x\r\n%s\r\n%s" % (head % path, len(PRELUDE), PRELUDE, chunk))
    for _ in range(chunks - 1):
        connection.sendall(chunk)
    connection.sendall(b"0\r\n\r\n")


main()
