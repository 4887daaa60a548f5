from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .support.agent import Agent
from .support.tasks import tasks_of_the_client
from .support.worker import Worker, is_available


@pytest_asyncio.fixture(scope="session")
async def chat_agent() -> AsyncIterator[Agent]:
    agent = await Agent().start()
    yield agent
    await agent.stop()


@pytest_asyncio.fixture(scope="session")
async def shared_worker(chat_agent: Agent) -> AsyncIterator[Worker]:
    if not is_available():
        if os.environ.get("CI"):
            pytest.fail("the worker is not built: npm run build")
        pytest.skip("the worker is not built: npm run build")
    settings = {"SWEEP_INTERVAL_MS": "1000", "CHAT_ACCESS": "open", "AGENT_URL": chat_agent.url}
    worker = await Worker.start(settings)
    yield worker
    await worker.stop()


@pytest_asyncio.fixture
async def worker(shared_worker: Worker) -> AsyncIterator[Worker]:
    """The worker, whole; what a test broke is mended, and no connection of it is left."""
    yield shared_worker
    shared_worker.relay.heal()
    assert not tasks_of_the_client(), "tasks that nobody ended"
