// Chromium of this machine. Where there is none the tests are skipped, but not in continuous integration.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Shown as the reason of a skipped test; `false` if there is nothing to skip. */
export const skip: string | false = missing();

function missing(): string | false {
  if (find() !== undefined) return false;
  const message = "no Chromium: install it (Debian: apt-get install chromium), or name one in CHROMIUM";
  if (process.env.CI === "true") throw new Error(message);
  return message;
}

function find(): string | undefined {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find((path) => existsSync(path));
}

/** A browser for one test file. */
export async function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: find() as string,
    // Containers often run as root, where Chromium has no sandbox, and have a small /dev/shm.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  });
}

/** One person's windows. What goes wrong in a page is kept, for a test that fails. */
export class Person implements AsyncDisposable {
  readonly context: BrowserContext;
  readonly problems: string[] = [];
  /** Paths of the sockets that pages have opened. */
  readonly sockets: string[] = [];

  private constructor(context: BrowserContext) {
    this.context = context;
  }

  static async of(browser: Browser, options: Parameters<Browser["newContext"]>[0] = {}): Promise<Person> {
    return new Person(await browser.newContext({ locale: "pt-BR", ...options }));
  }

  async open(url: string): Promise<Page> {
    const page = await this.context.newPage();
    page.setDefaultTimeout(20_000);
    page.on("pageerror", (error) => this.problems.push(String(error)));
    page.on("websocket", (socket) => this.sockets.push(new URL(socket.url()).pathname));
    await page.goto(url);
    return page;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.context.close();
  }
}
