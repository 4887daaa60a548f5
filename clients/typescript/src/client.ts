import type { Client, ClientOptions } from "./types.ts";

/** A client for one user. It connects when it is first needed. */
export declare function createClient(options: ClientOptions): Client;
