// A page in memory, with React on it.

import { Window } from "happy-dom";
import type { ReactNode } from "react";

const window = new Window({ url: "http://127.0.0.1/" });
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true });

const { act, createElement, StrictMode } = await import("react");
const { createRoot, hydrateRoot } = await import("react-dom/client");

/** How long something may take before a test is given up: it fails a hanging test, it measures nothing. */
const PATIENCE = 10_000;

export class Page implements AsyncDisposable {
  readonly element: HTMLElement;
  #root: import("react-dom/client").Root;

  private constructor(element: HTMLElement, root: import("react-dom/client").Root) {
    this.element = element;
    this.#root = root;
  }

  static async show(node: ReactNode): Promise<Page> {
    const element = document.createElement("div");
    const page = new Page(element, createRoot(element));
    await page.show(node);
    return page;
  }

  /** Takes over what a server has rendered. */
  static async hydrate(html: string, node: ReactNode): Promise<Page> {
    const element = document.createElement("div");
    element.innerHTML = html;
    let page: Page | undefined;
    await act(async () => {
      page = new Page(element, hydrateRoot(element, node));
    });
    return page as Page;
  }

  get text(): string {
    return this.element.textContent ?? "";
  }

  async show(node: ReactNode): Promise<void> {
    await act(async () => this.#root.render(node));
  }

  async leave(): Promise<void> {
    await act(async () => this.#root.unmount());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }
}

export const strict = (node: ReactNode): ReactNode => createElement(StrictMode, null, node);

/** Waits until it is so. */
export async function until(isSo: () => unknown, what: string): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`in vain waited until ${what}`);
    await act(() => new Promise((done) => setTimeout(done, 5)));
  }
}

export { act };
