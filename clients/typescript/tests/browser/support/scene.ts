// A stage and a browser for the tests of one file: there before the first of them, gone after the last.

import { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { launch, skip } from "./browser.ts";

export interface Scene<S> {
  readonly browser: Browser;
  readonly stage: S;
}

/** It is empty until the tests run, and where they are skipped. */
export function sceneOf<S extends AsyncDisposable>(set: () => Promise<S>): Scene<S> {
  const scene: { browser?: Browser; stage?: S } = {};
  before(async () => {
    if (skip) return;
    scene.stage = await set();
    scene.browser = await launch();
  });
  after(async () => {
    await scene.browser?.close();
    await scene.stage?.[Symbol.asyncDispose]();
  });
  return scene as Scene<S>;
}
