// Hooks on a page in memory, against the built worker.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createElement, type ReactElement, type ReactNode } from "react";
import { WebSocket } from "ws";
import { RealtimeProvider, useChat, useInvestigation } from "../../src/react/index.ts";
import type { SocketConstructor } from "../../src/types.ts";
import { act, Page, strict, until } from "../react/support/page.ts";
import { Probe } from "../react/support/probe.ts";
import { Stage } from "./support/stage.ts";

let stage: Stage;

before(async () => {
  stage = await Stage.set(async () => {});
});
after(() => stage[Symbol.asyncDispose]());

function provided(...children: ReactNode[]): ReactElement {
  const options = {
    url: stage.network.url,
    getToken: () => stage.worker.token({ sub: "ana" }),
    WebSocket: WebSocket as unknown as SocketConstructor,
  };
  return createElement(RealtimeProvider, options, ...children);
}

describe("hooks against the worker", () => {
  // While the client still has the chat, and after it has left it.
  for (const away of [1_500, 3_500]) {
    it(`show question and answer again to who was away for ${away} ms, and ask nothing twice`, async () => {
      const probe = new Probe(() => useChat(`away-${away}`));
      const shown = () => probe.now.messages.map((entry) => (entry.kind === "file" ? "" : Object(entry).text));
      await using page = await Page.show(strict(provided(probe.element())));
      await until(() => probe.now.connection.status === "connected", "it is connected");
      await act(async () => {
        probe.now.send("Quem?");
      });
      const call = await stage.agent.next();
      await call.write("Foi ");
      await until(() => shown()[1] === "Foi ", "the answer has begun");
      await page.show(strict(provided()));
      await call.write("a Ana, ");
      await sleep(away);
      await page.show(strict(provided(probe.element())));
      await until(() => shown()[1] === "Foi a Ana, ", "what came meanwhile is shown");
      assert.equal(shown()[0], "Quem?");
      assert.equal(probe.now.isAnswering, true);
      await call.write("em maio.");
      await call.done();
      await until(() => !probe.now.isAnswering, "the end is shown");
      assert.deepEqual(shown(), ["Quem?", "Foi a Ana, em maio."]);
      assert.equal(stage.agent.waiting, 0);
    });
  }

  it("show a thousand missed messages in one commit", async () => {
    const probe = new Probe(() => useInvestigation("missed", { limit: 1_000 }));
    await using _page = await Page.show(provided(probe.element()));
    await until(() => probe.now.status === "live", "the room is live");
    stage.network.cut();
    const hundred = Array.from({ length: 100 }, (_, n) => ({ type: "news", data: { n } }));
    for (let page = 0; page < 10; page += 1) await stage.publish("/investigations/missed", hundred);
    stage.network.mend();
    await until(() => probe.now.messages.length === 1_000, "all are shown");
    assert.deepEqual([...new Set(probe.seen.map(({ messages }) => messages.length))], [0, 1_000]);
  });
});
