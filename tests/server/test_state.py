import httpx
from websockets.sync.client import connect

from tests.server.serving import serving


def test_each_request_and_websocket_has_a_shallow_copy_of_the_state() -> None:
    with serving() as served:
        with connect(f"ws://127.0.0.1:{served.port}/") as websocket:
            assert websocket.recv() == '{"keys": ["name", "shared"], "shared": []}'
        first = httpx.get(f"{served.url}/state").json()
        second = httpx.get(f"{served.url}/state").json()
    assert first == {"keys": ["name", "shared"], "shared": ["websocket"]}
    assert second == {"keys": ["name", "shared"], "shared": ["websocket", "http"]}
