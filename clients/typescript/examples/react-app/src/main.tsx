import { RealtimeProvider } from "@cidadao/realtime/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { server } from "./session.ts";

createRoot(document.getElementById("app") as HTMLElement).render(
  <StrictMode>
    <RealtimeProvider {...server}>
      <App />
    </RealtimeProvider>
  </StrictMode>,
);
