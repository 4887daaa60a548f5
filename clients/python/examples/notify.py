"""What a backend says while it investigates, with the helpers that it calls already.

export CIDADAO_REALTIME_URL=http://127.0.0.1:8787
export CIDADAO_REALTIME_TOKEN=$(npm run -s token -- --sub backend --role service)
python clients/python/examples/notify.py inv-123
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime, timezone
from decimal import Decimal

from cidadao_realtime import configure, notify_anomaly_detected, notify_investigation_update
from cidadao_realtime.helpers import close


async def investigate(investigation_id: str) -> None:
    """Says that it begins, what it finds, and that it has ended."""
    await notify_investigation_update(investigation_id, "started", {"at": datetime.now(timezone.utc)})
    anomaly = {"severity": "high", "description": "Contrato 42 custou o dobro", "valor": Decimal("1999.90")}
    published = await notify_anomaly_detected(investigation_id, anomaly)
    await notify_investigation_update(investigation_id, "completed", {"anomalies": 1})
    if published is not None:
        print(f"the anomaly is message {published.seq} of investigation:{investigation_id}")


async def main(investigation_id: str) -> None:
    configure(on_error="raise")  # a backend would rather log it: that is what happens without this line
    try:
        await investigate(investigation_id)
    finally:
        await close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: notify.py INVESTIGATION_ID")
    asyncio.run(main(sys.argv[1]))
