import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Owned } from "../../src/react/source.ts";
import { Store } from "../../src/react/store.ts";
import type { Unsubscribe } from "../../src/types.ts";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 10_000_000 }));
afterEach(() => mock.timers.reset());

class Replayed extends Store<object> {
  protected open(): Unsubscribe[] {
    return [];
  }
  protected reset(): void {}
  protected build(): object {
    return {};
  }
  begin(): void {
    this.connected();
  }
  add(): void {
    this.added();
  }
}

test("what comes is shown, though somebody has set the time of day back", (context) => {
  let now = 0;
  context.mock.method(performance, "now", () => now);
  const store = new Replayed();
  let commits = 0;
  store.subscribe(() => {
    commits += 1;
  });
  store.begin();
  mock.timers.setTime(1_000_000);
  now = 1_000;
  const before = commits;
  for (let count = 0; count < 4; count += 1) {
    store.add();
    mock.timers.tick(50);
  }
  assert.equal(commits - before, 4);
});

test("a client that is closed leaves no question behind", () => {
  const source = new Owned({ url: "http://realtime.test", getToken: () => null });
  source.client();
  source.asked.keep("chat:s", "q1", { text: "?", options: {} });
  mock.timers.tick(1_000);
  assert.deepEqual(source.asked.take("chat:s"), []);
});
