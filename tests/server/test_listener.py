import socket

import pytest

from ambidex.server.listener import ListenError, bound, listen


def test_port_0_is_any_that_is_free() -> None:
    with bound("127.0.0.1", 0) as listener:
        host, _, port = listen(listener, 5).partition(":")
        assert host == "127.0.0.1"
        with socket.create_connection((host, int(port))):
            pass


def test_nothing_is_accepted_before_it_listens() -> None:
    with bound("127.0.0.1", 0) as listener, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname())


def test_a_port_that_is_taken_is_one_sentence_and_a_hint() -> None:
    with bound("127.0.0.1", 0) as first:
        address = listen(first, 5)
        with pytest.raises(ListenError) as caught:
            bound("127.0.0.1", first.getsockname()[1])
    assert caught.value.message == f"cannot listen on {address}: address already in use"
    assert "AMBIDEX_ECS_PORT" in caught.value.hint


def test_two_that_are_bound_and_then_listen_are_told_apart() -> None:
    with bound("127.0.0.1", 0) as first, bound("127.0.0.1", first.getsockname()[1]) as second:
        listen(first, 5)
        with pytest.raises(ListenError, match="address already in use"):
            listen(second, 5)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1:80: cannot assign"):
        bound("192.0.2.1", 80)


def test_a_name_that_is_none_is_named() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on no\.such\.host\.invalid:80: "):
        bound("no.such.host.invalid", 80)


def test_ipv6_addresses_are_in_brackets_and_take_no_ipv4_clients() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listener = bound("::1", 0)
    except ListenError:
        pytest.skip("no IPv6 loopback here")
    with listener:
        assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        assert listen(listener, 5).startswith("[::1]:")
