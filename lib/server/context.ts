/**
 * The services that the server half of a conversation uses.
 *
 * @module
 */

import { type Access, revoked, type Rights } from "../auth/access.ts";
import type { Request } from "../../protocol.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import type { AcknowledgedUploads } from "./acknowledged.ts";
import type { InletError } from "../errors.ts";
import type { ServerStore } from "../store/ongoing.ts";
import type { Client, Clients } from "./clients.ts";
import type { Log } from "./log.ts";
import type { Meetings } from "./meetings.ts";
import type { StdoutQueue } from "./stdout_queue.ts";
import type { WebSettings } from "./web_options.ts";
import type { WireSettings } from "./wire_options.ts";

/** The services of one conversation on the server. */
export interface ServerContext {
  readonly store: ServerStore;
  /** Why the disk has no room for so many bytes, if it is known to have none. */
  readonly shortage?: (bytes: number) => string | undefined;
  /** Bytes that are free on the disk, if that is known. */
  readonly freeBytes?: () => number | undefined;
  readonly stdout: StdoutQueue;
  readonly log: Log;
  readonly clients: Clients;
  /** The uploads that need not be stored again. */
  readonly acknowledged: AcknowledgedUploads;
  /** Where clients meet; missing on a server that does not relay. */
  readonly meetings: Meetings | undefined;
  /** The client of this connection. */
  readonly client: Client;
  /** Size limit of a file or message, in bytes. */
  readonly maxBytes: number;
  /** What the server permits to all clients. {@linkcode rightsOf} tells what this one may do. */
  readonly access: Access;
  /** Recognises clients, all of which are encrypted; missing on a server without a key. */
  readonly authenticator: Authenticator | undefined;
  /**
   * Decides whether a client that has greeted is welcome; missing where all are.
   *
   * @throws {InletError} why it is not
   */
  readonly consent?: (hello: Request) => Promise<void>;
  /** Called when the client has said that it is done. */
  readonly onExit?: () => void;
  /** Milliseconds that a greeting may take, and over HTTP the head of each request. */
  readonly greetingTimeoutMs: number;
  /** Milliseconds of silence within a request or a body. */
  readonly timeoutMs: number;
  /** Milliseconds that a session may be idle between two requests. */
  readonly sessionTimeoutMs: number;
  /** Settings of the wires of other programs. */
  readonly wire: WireSettings;
  /** Settings of HTTP. */
  readonly web: WebSettings;
  /** Aborted when the server shuts down. A conversation starts no request after that. */
  readonly signal: AbortSignal;
  /** Stops the server after an unrecoverable failure. */
  giveUp(reason: InletError): void;
  /** Gives the place of this connection to others, before the connection ends. */
  leavePlace(): void;
  /** Takes a place again. Returns whether there was one, or it had one still. */
  takePlace(): boolean;
}

/**
 * What a client may do at the moment.
 *
 * @throws {InletError} `denied` if its user was revoked: what it has sent already counts no more
 */
export function rightsOf({ access, client }: Pick<ServerContext, "access" | "client">): Rights {
  if (client.user?.isRevoked) throw revoked(client.user);
  return { server: access, user: client.user?.access ?? "all" };
}
