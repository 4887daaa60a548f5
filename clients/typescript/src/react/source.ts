// Where hooks get the client from, and where those that look at the same thing meet.

import { createClient } from "../client.ts";
import type { Client, ClientOptions } from "../types.ts";
import { AskedBefore } from "./asked.ts";
import type { Store } from "./store.ts";

/** A client is closed so long after its provider went: in development React takes providers away and puts them back. */
const LINGER_MS = 1_000;

export interface Source {
  /** Made when it is first needed, which is never on a server and never while React renders. */
  client(): Client;
  /** The one of that name, as long as anybody holds it. */
  store<S extends Store<unknown>>(name: string, make: () => S): S;
  /** What outlives stores. */
  readonly asked: AskedBefore;
}

abstract class Sharing implements Source {
  readonly asked: AskedBefore = new AskedBefore();
  // React may throw away what it has rendered without a word: so nothing here keeps alive what only a hook holds.
  readonly #stores = new Map<string, WeakRef<Store<unknown>>>();

  abstract client(): Client;

  store<S extends Store<unknown>>(name: string, make: () => S): S {
    const known = this.#stores.get(name)?.deref();
    if (known) return known as S;
    for (const [each, reference] of this.#stores) if (!reference.deref()) this.#stores.delete(each);
    const made = make();
    this.#stores.set(name, new WeakRef(made));
    return made;
  }
}

/** A client of somebody else, who closes it too. */
export class Borrowed extends Sharing {
  static readonly #all = new WeakMap<Client, Borrowed>();
  readonly #client: Client;

  /** The same for all providers of a client: what is said below one is shown below the others. */
  static of(client: Client): Borrowed {
    const borrowed = Borrowed.#all.get(client) ?? new Borrowed(client);
    Borrowed.#all.set(client, borrowed);
    return borrowed;
  }

  private constructor(client: Client) {
    super();
    this.#client = client;
  }

  client(): Client {
    return this.#client;
  }
}

/** A client that lives as long as its provider. */
export class Owned extends Sharing {
  /** The provider's newest: `getToken` is asked of these. */
  options: ClientOptions;
  #client: Client | undefined;
  #users = 0;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ClientOptions) {
    super();
    this.options = options;
  }

  client(): Client {
    this.#client ??= createClient({ ...this.options, getToken: (request) => this.options.getToken(request) });
    // Whoever calls it without a provider has it for a moment.
    if (this.#users === 0) this.#leave();
    return this.#client;
  }

  /** Keeps the client until the function that it returns is called. */
  hold(): () => void {
    clearTimeout(this.#linger);
    this.#users += 1;
    return () => {
      this.#users -= 1;
      if (this.#users === 0) this.#leave();
    };
  }

  #leave(): void {
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => this.#close(), LINGER_MS);
  }

  #close(): void {
    this.#client?.close();
    this.#client = undefined;
    this.asked.forget();
  }
}
