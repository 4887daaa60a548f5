"""What the documents show, done as they show it, and the package as it is installed."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from .support.worker import Worker

FOLDER = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "MIGRATION.md"]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (FOLDER / document).read_text(encoding="utf-8"), re.DOTALL)


async def run(*command: str, environment: dict[str, str] | None = None) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_quick_start_prints_what_it_says(worker: Worker) -> None:
    environment = {
        "CIDADAO_REALTIME_URL": worker.url,
        "CIDADAO_REALTIME_TOKEN": worker.token("backend", role="service"),
        "TOKEN": worker.token("ana"),
        "PYTHONPATH": str(FOLDER / "src"),
    }
    printed = await run(sys.executable, "-c", blocks("README.md", "python")[0], environment=environment)
    assert printed == blocks("README.md", "text")[0]


async def test_the_loop_of_the_migration_hears_what_the_old_one_hears(worker: Worker) -> None:
    setting = f"ws://127.0.0.1:{worker.relay.port}"
    ending = "\nimport asyncio\nasyncio.run(connect_to_cidadao())\n"
    programs = [block for block in blocks("MIGRATION.md", "python") if "connect_to_cidadao" in block]
    assert len(programs) == 2
    for number, program in enumerate(programs):
        user = f"migrant-{number}"
        source = program.replace("wss://cidadao-api.com", setting).replace("JWT_TOKEN", worker.token(user))
        source = source.replace("inv-123", user).replace('print(f"Anomaly', 'return print(f"Anomaly')
        program_run = asyncio.create_task(
            run(sys.executable, "-c", source + ending, environment={"PYTHONPATH": str(FOLDER / "src")})
        )
        while await subscriptions(worker, user) == 0:
            await asyncio.sleep(0.05)
        await publish(worker, user)
        assert await program_run == "Update: {'n': 1}\nAnomaly: {'severity': 'low'}\n"


async def subscriptions(worker: Worker, user: str) -> int:
    import httpx

    headers = {"authorization": f"Bearer {worker.token(role='service')}"}
    async with httpx.AsyncClient(headers=headers) as client:
        return int((await client.get(f"{worker.url}/api/v1/ws/health?room=user:{user}")).json()["subscriptions"])


async def publish(worker: Worker, room: str) -> None:
    from cidadao_realtime import AsyncPublisher

    async with AsyncPublisher(worker.url, worker.token(role="service")) as publisher:
        update = {"type": "investigation_update", "data": {"n": 1}}
        anomaly = {"type": "anomaly_detected", "data": {"severity": "low"}}
        await publisher.publish("investigation", room, [update, anomaly])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_example_is_python_and_imports_what_there_is(document: str) -> None:
    import cidadao_realtime

    for block in blocks(document, "python"):
        compile(block, document, "exec")
        for names in re.findall(r"^from cidadao_realtime import (.*)$", block, re.MULTILINE):
            for name in names.split(", "):
                assert name in cidadao_realtime.__all__


def test_everything_that_is_public_is_there_and_has_a_docstring() -> None:
    import cidadao_realtime

    for name in cidadao_realtime.__all__:
        assert getattr(cidadao_realtime, name).__doc__, name


async def test_the_reference_has_everything_that_is_public(tmp_path: Path) -> None:
    import cidadao_realtime

    paths = {"PYTHONPATH": str(FOLDER / "src")}
    printed = await run(sys.executable, "-m", "pdoc", "-o", str(tmp_path), "cidadao_realtime", environment=paths)
    assert "Warn" not in printed
    page = (tmp_path / "cidadao_realtime.html").read_text(encoding="utf-8")
    found = set(re.findall(r'<section id="([A-Za-z_]+)">', page))
    assert set(cidadao_realtime.__all__) <= found
    assert "A bounded queue" not in page, "of no concern to who uses it"


async def test_it_installs_into_a_fresh_environment(tmp_path: Path) -> None:
    await run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    python = str(tmp_path / "venv/bin/python")
    await run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(FOLDER))
    show = (
        "import cidadao_realtime as c; from pathlib import Path; print(Path(c.__file__).with_name('py.typed').exists())"
    )
    printed = await run(python, "-c", show)
    assert printed == "True\n"
    await run(python, "-m", "pip", "check")
