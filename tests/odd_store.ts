/**
 * An object store that answers as a test wants: late, never, in part, or with nonsense. It speaks HTTP on
 * a real socket.
 *
 * @module
 */

import { concat } from "@std/bytes/concat";

/** A request that it got. */
export interface StoreRequest {
  readonly method: string;
  /** As it stood in the request, with the query. */
  readonly target: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** What it does about a request. */
export type StoreAnswer =
  /** Answers. `cutAfter` so many bytes of the body it closes the connection, or says nothing more. */
  | {
    status?: number;
    headers?: Record<string, string>;
    body?: string | Uint8Array;
    cutAfter?: number;
    hangAfter?: number;
  }
  /** Closes the connection, or says nothing. */
  | "cut"
  | "hang"
  /** What stands here, and then closes the connection. */
  | string;

/** A store of a test's own. */
export interface OddStore extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly endpoint: string;
  /** What it was asked, from the first to the last. */
  readonly requests: readonly StoreRequest[];
}

/** Starts a store. With a certificate and its key it speaks TLS. */
export function oddStore(
  answer: (request: StoreRequest, number: number) => StoreAnswer,
  tls?: { readonly cert: string; readonly key: string },
): OddStore {
  const place = { hostname: "127.0.0.1", port: 0 };
  const listener: Deno.Listener<Deno.Conn> = tls
    ? Deno.listenTls({ ...place, ...tls })
    : Deno.listen(place);
  const { port } = listener.addr as Deno.NetAddr;
  const open = new Set<Deno.Conn>();
  const requests: StoreRequest[] = [];
  const serve = async (conn: Deno.Conn): Promise<void> => {
    open.add(conn);
    try {
      for await (const request of requestsOf(conn)) {
        const number = requests.push(request);
        const keepsOpen = await reply(conn, request, answer(request, number));
        if (!keepsOpen) break;
      }
    } catch {
      // The client has gone.
    } finally {
      open.delete(conn);
      try {
        conn.close();
      } catch {
        // It was closed at the end of the test.
      }
    }
  };
  (async (): Promise<void> => {
    for await (const conn of listener) serve(conn);
  })();
  return {
    endpoint: `${tls ? "https" : "http"}://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      for (const conn of open) conn.close();
      open.clear();
      return Promise.resolve();
    },
  };
}

/** The answer that tells of an error. */
export function errorAnswer(status: number, code: string, headers = {}): StoreAnswer {
  return { status, headers, body: `<?xml version="1.0"?><Error><Code>${code}</Code></Error>` };
}

const NOT_TLS = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n");

async function* requestsOf(conn: Deno.Conn): AsyncGenerator<StoreRequest> {
  let got: Uint8Array<ArrayBuffer> = new Uint8Array();
  const more = async (): Promise<boolean> => {
    const chunk = new Uint8Array(65536);
    const bytes = await conn.read(chunk);
    got = concat([got, chunk.subarray(0, bytes ?? 0)]);
    return bytes !== null;
  };
  while (true) {
    let end;
    while ((end = new TextDecoder("latin1").decode(got).indexOf("\r\n\r\n")) === -1) {
      if (!await more()) return;
      // The first byte of TLS, which it does not speak.
      if (got[0] === 0x16) return void await conn.write(NOT_TLS);
    }
    const [first, ...lines] = new TextDecoder().decode(got.subarray(0, end)).split("\r\n");
    const [method, target] = first!.split(" ") as [string, string];
    const headers = new Headers(
      lines.map((line) => line.split(/: ?(.*)/, 2) as [string, string]),
    );
    const length = Number(headers.get("content-length") ?? 0);
    while (got.length < end + 4 + length) if (!await more()) return;
    const body = got.slice(end + 4, end + 4 + length);
    got = got.slice(end + 4 + length);
    yield { method, target, headers, body };
  }
}

/** Answers. Returns whether the connection stays open. */
async function reply(
  conn: Deno.Conn,
  { method }: StoreRequest,
  answer: StoreAnswer,
): Promise<boolean> {
  const encoder = new TextEncoder();
  const write = async (bytes: Uint8Array): Promise<void> => {
    for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
  };
  const hang = async (): Promise<boolean> => {
    while (await conn.read(new Uint8Array(1)) !== null);
    return false;
  };
  if (answer === "cut") return false;
  if (answer === "hang") return await hang();
  if (typeof answer === "string") {
    await write(encoder.encode(answer));
    return false;
  }
  const { status = 200, headers = {}, body = "", cutAfter, hangAfter } = answer;
  const content = typeof body === "string" ? encoder.encode(body) : body;
  const all = {
    "date": new Date().toUTCString(),
    "last-modified": new Date().toUTCString(),
    "content-length": `${content.length}`,
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  await write(encoder.encode(`HTTP/1.1 ${status} Odd\r\n${lines.join("")}\r\n`));
  if (method === "HEAD") return true;
  await write(content.subarray(0, cutAfter ?? hangAfter));
  if (hangAfter !== undefined) return await hang();
  return cutAfter === undefined;
}
