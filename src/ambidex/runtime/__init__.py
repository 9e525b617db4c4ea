"""The Lambda side in the image: a native Lambda runtime for ASGI apps."""
