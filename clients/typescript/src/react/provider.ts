// The component that all hooks need above them.

import {
  type Context,
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
} from "react";
import type { Client, ClientOptions } from "../types.ts";
import { Borrowed, Owned, type Source } from "./source.ts";

const SourceContext: Context<Source | undefined> = createContext<Source | undefined>(undefined);

/** A client that was made elsewhere and is closed there, or what to make one of. */
export type RealtimeProviderProps = { children?: ReactNode } & (
  | { client: Client }
  | ({ client?: undefined } & ClientOptions)
);

/**
 * Gives the components below it one client, and with it one connection. With options it makes the client, when it is
 * first needed, and closes it; then `getToken` may change with each render, and another `url` means another client. A
 * change of the other options, or another user, needs another `key`.
 */
export function RealtimeProvider({ children, ...props }: RealtimeProviderProps): ReactElement {
  return "client" in props && props.client
    ? createElement(BorrowedProvider, { client: props.client }, children)
    : createElement(OwnedProvider, props as ClientOptions, children);
}

function BorrowedProvider({ client, children }: { client: Client; children?: ReactNode }): ReactElement {
  const source = useMemo(() => Borrowed.of(client), [client]);
  return createElement(SourceContext.Provider, { value: source }, children);
}

function OwnedProvider({ children, ...options }: ClientOptions & { children?: ReactNode }): ReactElement {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the other options hold from the first render on
  const source = useMemo(() => new Owned(options), [options.url]);
  useEffect(() => {
    source.options = options;
  });
  useEffect(() => source.hold(), [source]);
  return createElement(SourceContext.Provider, { value: source }, children);
}

export function useSource(): Source {
  const source = useContext(SourceContext);
  if (!source) throw new Error("This hook needs a <RealtimeProvider> above it.");
  return source;
}
