"""GraphQL by Strawberry in FastAPI, behind a named stage on Lambda and at the root on ECS."""

import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.apps.starting import HANDLER, NATIVE, Target, mangum_below

WAYS = (NATIVE, HANDLER, mangum_below("/prod"))

INSTEAD: dict[tuple[str, str], Any] = {
    ("mangum", "startups for a request"): 1,
}

SEED = "query($name: String!) { seed(name: $name) { name grams } }"
DELIVER = "mutation($name: String!, $grams: Int!) { deliver(name: $name, grams: $grams) { grams } }"


def asked(client: httpx.Client, query: str, **variables: object) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_a_mutation_is_seen_by_the_query_after_it(target: Target, client: httpx.Client) -> None:
    name = f"courgette “{target.name}”"
    assert asked(client, SEED, name=name) == {"data": {"seed": None}}
    assert asked(client, DELIVER, name=name, grams=25) == {"data": {"deliver": {"grams": 25}}}
    assert asked(client, DELIVER, name=name, grams=5) == {"data": {"deliver": {"grams": 30}}}
    assert asked(client, SEED, name=name) == {"data": {"seed": {"name": name, "grams": 30}}}


def test_a_query_can_be_a_get_with_variables(client: httpx.Client) -> None:
    variables = json.dumps({"name": "none & nothing"})
    answer = client.get("/graphql", params={"query": SEED, "variables": variables})
    assert answer.json() == {"data": {"seed": None}}


@pytest.mark.parametrize(
    ("query", "data", "message", "path"),
    [
        pytest.param("{ broken }", None, "the scales are broken", ["broken"], id="a resolver's"),
        pytest.param("{ seeds }", None, "Cannot query field 'seeds' on type 'Query'. "
                     "Did you mean 'seed'?", None, id="a query's"),
        pytest.param("{", None, "Syntax Error: Expected Name, found <EOF>.", None, id="syntax"),
    ],
)  # fmt: skip
def test_an_error_is_a_200_that_names_it(
    client: httpx.Client, query: str, data: object, message: str, path: object
) -> None:
    answer = asked(client, query)
    (error,) = answer["errors"]
    assert (answer["data"], error["message"], error.get("path")) == (data, message, path)


def test_a_variable_of_the_wrong_type_is_named(client: httpx.Client) -> None:
    (error,) = asked(client, DELIVER, name="kale", grams="ten")["errors"]
    reason = "Int cannot represent non-integer value: 'ten'"
    assert error["message"] == f"Variable '$grams' has invalid value: {reason}"


def test_a_batch_is_answered_in_its_order_and_limited(client: httpx.Client) -> None:
    batch = [{"query": "{ __typename }"}, {"query": "{ broken }"}]
    first, second = client.post("/graphql", json=batch).json()
    assert first == {"data": {"__typename": "Query"}}
    assert second["errors"][0]["message"] == "the scales are broken"
    assert client.post("/graphql", json=batch * 2).status_code == 400


def test_a_browser_gets_graphiql_which_asks_where_the_page_is(client: httpx.Client) -> None:
    page = client.get("/graphql", headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "GraphiQL" in page.text
    # Not a path that would need the stage: it is that of the page.
    assert "window.location" in page.text


def test_a_subscription_is_refused_on_lambda_and_works_on_ecs(target: Target) -> None:
    url = target.url.replace("http", "ws", 1) + "/graphql"
    protocols = [Subprotocol("graphql-transport-ws")]
    if target.is_on_lambda:
        with pytest.raises(InvalidStatus) as refused, connect(url, subprotocols=protocols):
            pass
        assert refused.value.response.status_code == 400
        return
    with connect(url, subprotocols=protocols) as socket:
        assert socket.subprotocol == "graphql-transport-ws"
        socket.send('{"type": "connection_init"}')
        assert json.loads(socket.recv())["type"] == "connection_ack"
        query = {"query": "subscription { countdown(start: 3) }"}
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": query}))
        messages = [json.loads(socket.recv()) for _ in range(4)]
    counted = [message["payload"]["data"]["countdown"] for message in messages[:3]]
    assert (counted, messages[3]) == ([3, 2, 1], {"id": "1", "type": "complete"})


def test_one_process_answers_and_has_started_its_lifespan_once(target: Target) -> None:
    first, *others = target.startups()
    each = INSTEAD.get((target.name, "startups for a request"), 0)
    assert others == [first + each, first + 2 * each]
    assert (first == 1) == (each == 0)
