"""Driving an ASGI app: loading it, its lifespan, and one request and response at a time."""
