// What a program does with the client, in plain JavaScript: it runs wherever the client is said to run. What happens
// outside of it, and when, it asks of the test at `control`.
import { createClient } from "../../dist/index.js";

/** What differs between runtimes: `loops` and `blobs` are whether the language and the platform have them. */
export async function play({ url, control, token, name, loops = true, blobs = true, ...options }) {
  const client = createClient({ url, getToken: () => token, ...options });
  const states = [];
  client.on("@state", ({ status }) => states.push(status));
  const numbers = await hearRoom(client, name, (step) => post(`${control}/${step}`));
  const answer = await ask(client.chat(name), loops);
  const files = [await upload(client.chat(name), new Uint8Array([79, 108, 0xc3, 0xa1]))];
  if (blobs) files.push(await upload(client.chat(name), new Blob(["um ", "recibo"])));
  await client.close();
  return { runtime: whereAmI(), numbers, states, answer, files };
}

/** Says to the test what came of it. */
export async function report(control, result) {
  await post(`${control}/report`, JSON.stringify(result));
}

async function post(url, body) {
  const response = await fetch(url, { method: "POST", body });
  if (!response.ok) throw new Error(`${url} ${response.status}`);
  await response.arrayBuffer();
}

/** The numbers that come before a break, meanwhile, and after it. */
async function hearRoom(client, name, step) {
  const room = client.investigation(name);
  const numbers = [];
  let came = () => {};
  room.on("news", ({ data }) => {
    numbers.push(data.n);
    came();
  });
  const count = async (length) => {
    while (numbers.length < length) await new Promise((resolve) => (came = resolve));
  };
  await room.ready;
  await step("publish");
  await count(1);
  await step("cut");
  await count(3);
  await step("publish");
  await count(4);
  return numbers;
}

async function ask(chat, loops) {
  const answer = chat.send("Quanto custou a ponte?");
  const pieces = loops ? await iterated(answer) : await watched(answer);
  const { status, text } = await answer.done;
  return { status, text, pieces: pieces.join("") };
}

async function iterated(answer) {
  const pieces = [];
  for await (const piece of answer) pieces.push(piece);
  return pieces;
}

async function watched(answer) {
  const pieces = [];
  const end = answer.onChange(() => pieces.push(answer.text.slice(pieces.join("").length)));
  await answer.done;
  end();
  return pieces;
}

async function upload(chat, file) {
  const { size, sha256 } = await chat.upload(file, { name: "recibo.txt", contentType: "text/plain" });
  return { size, sha256 };
}

/** By the name that runtimes give themselves; Node 20 has none. */
function whereAmI() {
  const { navigator, process } = globalThis;
  return navigator?.userAgent ?? navigator?.product ?? `Node.js/${process.versions.node}`;
}
