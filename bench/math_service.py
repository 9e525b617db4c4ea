"""The example's request as an event, its right answer, and what the floor answers."""

from bench.events import event
from bench.invocation_answer import expect

EVENT = event("/math/add", "i=5&i=10")
RIGHT = expect(200, "text/plain; charset=utf-8", b"15")
ANSWER = "200, `15`"
# Canned from what ambidex serve answers.
CANNED = (
    '{"statusCode":200,"headers":{"content-length":"2","content-type":"text/plain; charset=utf-8"},'
    '"body":"15","isBase64Encoded":false}'
)
