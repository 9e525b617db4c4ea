"""A seed shop in GraphQL: Strawberry in FastAPI."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import strawberry
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.schema.config import StrawberryConfig

startups = 0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global startups
    startups += 1
    yield


@strawberry.type
class Seed:
    name: str
    grams: int


stock: dict[str, Seed] = {}


@strawberry.type
class Query:
    @strawberry.field
    async def seed(self, name: str) -> Seed | None:
        return stock.get(name)

    @strawberry.field
    async def broken(self) -> int:
        raise ValueError("the scales are broken")


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def deliver(self, name: str, grams: int = 10) -> Seed:
        before = stock.get(name, Seed(name=name, grams=0)).grams
        stock[name] = Seed(name=name, grams=before + grams)
        return stock[name]


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def countdown(self, start: int) -> AsyncIterator[int]:
        for number in range(start, 0, -1):
            yield number


schema = strawberry.Schema(
    Query, Mutation, Subscription, config=StrawberryConfig(batching_config={"max_operations": 3})
)
app = FastAPI(lifespan=lifespan)
app.include_router(GraphQLRouter(schema), prefix="/graphql")


@app.get("/")
async def health() -> dict[str, str]:
    return {"status": "OK"}


@app.get("/process")
async def process() -> dict[str, int]:
    return {"pid": os.getpid(), "startups": startups}
