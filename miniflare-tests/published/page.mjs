// What the published JavaScript example expects of the page around it.
globalThis.updateInvestigationUI = (data) => console.log("Update:", JSON.stringify(data));
globalThis.showAnomalyAlert = (data) => console.log("Anomaly:", JSON.stringify(data));
