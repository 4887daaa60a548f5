// Connect to WebSocket
const ws = new WebSocket('wss://cidadao-api.com/api/v1/ws?token=JWT_TOKEN');

// Connection established
ws.onopen = () => {
  console.log('Connected to Cidadão.AI');

  // Subscribe to investigation
  ws.send(JSON.stringify({
    type: 'subscribe',
    data: { investigation_id: 'inv-123' }
  }));
};

// Handle messages
ws.onmessage = (event) => {
  const message = JSON.parse(event.data);

  switch(message.type) {
    case 'investigation_update':
      updateInvestigationUI(message.data);
      break;
    case 'anomaly_detected':
      showAnomalyAlert(message.data);
      break;
  }
};

// Keep alive
setInterval(() => {
  ws.send(JSON.stringify({ type: 'ping' }));
}, 30000);
