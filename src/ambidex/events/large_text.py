"""Large text that is not ASCII and keeps its UTF-8, of which its JSON is made in half the time.

A `str` has its UTF-8 at hand only if it is ASCII. Of any other it would be made again, though the
text has just come from there.
"""

_ESCAPES = {b"\\": b"\\\\", b'"': b'\\"', b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}
_ESCAPED = b"".join(_ESCAPES)


class LargeText(str):
    """Text, equal to any other of the same characters.

    Attributes:
        utf8: the same as UTF-8.
    """

    __slots__ = ("utf8",)
    utf8: bytes

    def json(self) -> bytes:
        """The JSON string that it is."""
        escaped = self.utf8
        for character, escape in _ESCAPES.items():
            if character in escaped:
                escaped = escaped.replace(character, escape)
        return b'"%b"' % escaped


def large_text(text: str, utf8: bytes, escaped: bytes) -> str:
    """Text that is not ASCII, which keeps its UTF-8 if its JSON is made in less time so.

    Args:
        text: the text.
        utf8: the same as UTF-8.
        escaped: those of these bytes that JSON escapes.
    """
    # Of the control characters most are of no text, and each would take a look at all of it.
    if escaped.translate(None, _ESCAPED):
        return text
    large = LargeText(text)
    large.utf8 = utf8
    return large
