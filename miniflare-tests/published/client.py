import asyncio
import json
import websockets

async def connect_to_cidadao():
    uri = "wss://cidadao-api.com/api/v1/ws?token=JWT_TOKEN"

    async with websockets.connect(uri) as websocket:
        # Subscribe to investigation
        await websocket.send(json.dumps({
            "type": "subscribe",
            "data": {"investigation_id": "inv-123"}
        }))

        # Listen for messages
        async for message in websocket:
            data = json.loads(message)

            if data["type"] == "investigation_update":
                print(f"Update: {data['data']}")
            elif data["type"] == "anomaly_detected":
                print(f"Anomaly: {data['data']}")

asyncio.run(connect_to_cidadao())
