// Who is in a chat, what they show, and who types.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { TestWorker } from "../../../../miniflare-tests/support/worker.ts";
import type { Chat } from "../../src/index.ts";
import { connect, guest, Network, until } from "./support.ts";

const worker = await TestWorker.start();
after(() => worker[Symbol.asyncDispose]());

const names = ({ presence }: Chat) => presence.users.map(({ user_id }) => user_id).join(" ");
const stateOf = ({ presence }: Chat, user: string) => presence.users.find(({ user_id }) => user_id === user)?.state;

/** Every crowd that was told, once each in a row. */
function crowds(chat: Chat): string[] {
  const seen: string[] = [];
  chat.on("@presence", () => {
    if (names(chat) !== seen.at(-1)) seen.push(names(chat));
  });
  return seen;
}

test("who comes is there, who breaks off and comes back was never away, and who leaves is gone after a while", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("crowd");
  const seen = crowds(chat);
  await chat.ready();
  await until("oneself", () => names(chat) === "ana");
  const network = new Network(worker);
  await using bia = connect(worker, { ...guest(worker, "bia"), WebSocket: network.WebSocket });
  const theirs = bia.chat("crowd");
  await until("both", () => names(chat) === "ana bia" && names(theirs) === "ana bia");
  network.cut();
  await until("the break", () => theirs.state.status !== "connected");
  await theirs.ready();
  await using cai = connect(worker, guest(worker, "cai"));
  const third = cai.chat("crowd");
  await until("all three", () => chat.presence.count === 3 && theirs.presence.count === 3);
  third.close();
  await until("the end of its grace", () => names(chat) === "ana bia");
  assert.deepEqual(seen, ["ana", "ana bia", "ana bia cai", "ana bia"]);
  assert.equal(names(theirs), "ana bia");
});

test("what somebody shows is seen, changes, and is there again after a break", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("shown");
  await chat.ready();
  const network = new Network(worker);
  await using bia = connect(worker, { ...guest(worker, "bia"), WebSocket: network.WebSocket });
  const theirs = bia.chat("shown");
  await theirs.ready();
  for (const status of ["here", "away"]) {
    theirs.setPresence({ status });
    await until(status, () => stateOf(chat, "bia")?.status === status);
  }
  network.cut();
  await until("the break", () => theirs.state.status !== "connected");
  await theirs.ready();
  await until("it on one's own screen", () => stateOf(theirs, "bia")?.status === "away");
  assert.deepEqual(stateOf(chat, "bia"), { status: "away" });
});

test("what is too large to be shown is refused", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("too-much");
  await chat.ready();
  const codes: string[] = [];
  chat.on("@error", ({ code }) => codes.push(code));
  chat.setPresence({ text: "x".repeat(1_100) });
  await until("the refusal", () => codes.length === 1);
  assert.deepEqual([codes, chat.state.status], [["INVALID_FRAME"], "connected"]);
});

test("who types is told to the others, until they stop, send it, or break off", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("keys");
  await chat.ready();
  const network = new Network(worker);
  await using bia = connect(worker, { ...guest(worker, "bia"), WebSocket: network.WebSocket });
  const theirs = bia.chat("keys");
  await theirs.ready();
  const seen: string[] = [];
  chat.on("@typing", (users) => seen.push(users.join(" ")));
  const types = async () => {
    theirs.setTyping();
    await until("the typing", () => chat.typing.length === 1);
  };
  const stops = () => until("its end", () => chat.typing.length === 0);
  await types();
  theirs.setTyping(false);
  await stops();
  await types();
  await theirs.send("Olá", { ask: false }).sent;
  await stops();
  await types();
  network.cut();
  await stops();
  assert.deepEqual(seen, ["bia", "", "bia", "", "bia", ""]);
  assert.deepEqual(theirs.typing, [], "oneself is not told");
});

test("a chat that does not ask who is there is not told", async () => {
  await using ana = connect(worker);
  const network = new Network(worker);
  await using bia = connect(worker, { ...guest(worker, "bia"), WebSocket: network.WebSocket });
  const chat = ana.chat("quiet");
  await chat.ready();
  const theirs = bia.chat("quiet", { presence: false });
  await theirs.ready();
  await until("it is told to the other", () => names(chat) === "ana bia");
  assert.equal(network.has('"presence"'), false);
});

test("what a session is called is known to whoever comes", async () => {
  await using ana = connect(worker);
  const chat = ana.chat("called");
  chat.send("Quanto custou a ponte?");
  await until("the first question", () => chat.title === "Quanto custou a ponte?");
  await using other = connect(worker, guest(worker, "bia"));
  const theirs = other.chat("called");
  await theirs.ready();
  assert.equal(theirs.title, "Quanto custou a ponte?");
});
