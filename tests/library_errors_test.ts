/**
 * What is the program's own affair when it uses the library: the reason of its signal, what its
 * functions throw, and values of the wrong kind. None of that may look like a failure of inlet.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { fixture, integration, names, pure, type TempDir, tempDir } from "./helpers.ts";
import {
  connect,
  type ConnectOptions,
  InletError,
  type PutOptions,
  RateLimit,
  send,
  SendError,
  type SendOptions,
  type SendResult,
} from "../client.ts";
import { serve, type ServeOptions } from "../server.ts";
import { acceptPut, type Impostor, impostor } from "./wire.ts";

/** A call of `send()` that is broken off by its signal. */
interface Call {
  readonly local: TempDir;
  readonly server: Impostor;
  /** Sends files to the server, in a call that must not end in another way. */
  send(files: readonly string[], options?: SendOptions): void;
  /** Aborts the signal. */
  abort(): void;
}

/** More than sockets hold, in bytes. */
const LARGE = 16_000_000;

/** Makes a large file, which takes no room. */
async function large(local: TempDir): Promise<string> {
  const path = await local.write("large", "");
  await Deno.truncate(path, LARGE);
  return path;
}

/** Where a transfer can be broken off. Each waits until the client is there. */
const PHASES: Record<string, (call: Call) => Promise<void>> = {
  "before it begins": async ({ send, abort }) => {
    abort();
    await send([fixture("hello.txt")]);
  },
  "while it connects": async ({ send, abort }) => {
    // Nobody accepts, and the queue of the system is full after two.
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
    const { addr } = listener;
    using _first = await Deno.connect({ port: addr.port });
    using _second = await Deno.connect({ port: addr.port });
    send([fixture("hello.txt")], { name: String(addr.port) });
    abort();
  },
  "before the welcome": async ({ send, abort, server }) => {
    send([fixture("hello.txt")]);
    using wire = await server.accept();
    await wire.line();
    abort();
  },
  "while it walks a folder": async ({ send, abort, local }) => {
    await Deno.symlink("/nowhere", `${local.path}/link`);
    await local.write("a.txt", "a");
    await send([local.path], { onNotice: abort });
  },
  "while it compares": async ({ send, abort, server, local }) => {
    send([await local.write("a.txt", "a")], { skipSame: true });
    using wire = await server.accept();
    await wire.line();
    await wire.says("welcome client 1 of 1\n");
    await wire.line();
    abort();
  },
  "before the go": async ({ send, abort, server, local }) => {
    send([await large(local)]);
    using wire = await server.accept();
    await wire.line();
    await wire.says("welcome client 1 of 1\n");
    await wire.line();
    abort();
  },
  "in the body": async ({ send, abort, server, local }) => {
    send([await large(local), fixture("hello.txt")]);
    using wire = await acceptPut(server);
    await wire.skip(1000);
    abort();
  },
  "between two pieces of a body": async ({ send, abort, server, local }) => {
    // It aborts in the wait after the first piece, before the read of the answer can fail.
    const rate = new RateLimit(1_000_000, { now: () => 0, sleep: () => Promise.resolve(abort()) });
    send([await large(local), fixture("hello.txt")], { rate });
    using wire = await acceptPut(server);
    await wire.rest();
  },
  "before the answer": async ({ send, abort, server, local }) => {
    send([await large(local), fixture("hello.txt")]);
    using wire = await acceptPut(server);
    await wire.skip(LARGE);
    await wire.line();
    abort();
  },
  "before the answers to small files": async ({ send, abort, server }) => {
    send([fixture("hello.txt"), fixture("one_byte.bin")]);
    using wire = await server.accept();
    await wire.line();
    await wire.says("welcome client 1 of 1\n");
    await wire.line();
    abort();
  },
  "while it resumes": async ({ send, abort, server, local }) => {
    send([await large(local)], { resume: true });
    using wire = await server.accept();
    await wire.line();
    await wire.says("welcome client 1 of 1\n");
    await wire.line();
    abort();
  },
  "between two files": async ({ send, abort }) => {
    await using local = await tempDir();
    await using server = await serve({ directory: local.path, log: { quiet: true } });
    const { port } = server.address;
    await send([fixture("1MiB.txt"), fixture("hello.txt")], {
      name: String(port),
      onResult: abort,
    });
  },
  "before a retry": async ({ send, abort, server }) => {
    send([fixture("hello.txt")], { retries: 3, onNotice: abort });
    (await server.accept()).close();
  },
  "in a dialogue": async ({ send, abort, server }) => {
    send([fixture("hello.txt")], { mode: "raw", dialogue: ["send:hello", "expect:hi"] });
    using wire = await server.accept();
    await wire.skip(5);
    abort();
  },
  "before go ahead": async ({ send, abort, server }) => {
    send([fixture("hello.txt")], { mode: "upload" });
    using wire = await server.accept();
    await wire.skip(8);
    abort();
  },
  "in the body of an upload": async ({ send, abort, server, local }) => {
    send([await large(local)], { mode: "upload" });
    using wire = await server.accept();
    await wire.says("go ahead");
    await wire.skip(1000);
    abort();
  },
  "before the server closes": async ({ send, abort, server }) => {
    send([fixture("hello.txt")], { mode: "raw" });
    using wire = await server.accept();
    await wire.rest();
    abort();
  },
  "in the body of a message": async ({ send, abort, server, local }) => {
    send([await large(local)], { mode: "message" });
    using wire = await server.accept();
    await wire.skip(1000);
    abort();
  },
  "before a reversed line": async ({ send, abort, server }) => {
    send([fixture("hello.txt")], { mode: "reverse" });
    using wire = await server.accept();
    await wire.line();
    abort();
  },
  "before a reversed line in lock-step": async ({ send, abort, server }) => {
    send([fixture("hello.txt")], { mode: "reverse", lockStep: true });
    using wire = await server.accept();
    await wire.skip(5);
    abort();
  },
  "while its output takes an answer": async ({ send, abort, server }) => {
    const output = async () => {
      abort();
      await new Promise(() => {});
    };
    send([fixture("hello.txt")], { mode: "reverse", output });
    using wire = await server.accept();
    await wire.line();
    await wire.says("olleh\n");
    await wire.rest();
  },
};

/** A reason can be anything. */
const REASONS: readonly unknown[] = [
  new DOMException("The operation was aborted", "AbortError"),
  new DOMException("Signal timed out", "TimeoutError"),
  "a text",
  null,
  Object.assign(new Error("it looks like one of the system"), { code: "ECONNRESET" }),
  new InletError("lost", "an error of ours"),
];

for (const [index, [phase, run]] of Object.entries(PHASES).entries()) {
  integration(`send() throws the reason of its signal: ${phase}`, async () => {
    for (let time = 0; time < 3; time++) {
      await breakOff(run, REASONS[(index + time) % REASONS.length]);
    }
  });
}

/** Breaks one call off, and checks what it throws and what it tells of each file. */
async function breakOff(run: (call: Call) => Promise<void>, reason: unknown): Promise<void> {
  await using local = await tempDir();
  using server = impostor();
  const { signal, abort } = controller(reason);
  const failed: SendResult[] = [];
  let sending: Promise<unknown> | undefined;
  await run({
    local,
    server,
    send: (files, options = {}): Promise<unknown> => {
      const port = Number(options.name ?? server.port);
      const onResult = (result: SendResult): void => {
        if (result.error) failed.push(result);
        options.onResult?.(result);
      };
      return sending = send({ hostname: "127.0.0.1", port }, files, {
        ...options,
        signal,
        onResult,
      })
        .then(() => "sent", (error) => ({ thrown: error }));
    },
    abort,
  });
  const ended = await sending as { thrown: unknown };
  assert(ended.thrown === reason, `not the reason: ${Deno.inspect(ended)}`);
  for (const { error } of failed) {
    assertEquals([error?.code, error?.cause], ["interrupted", reason]);
  }
}

function controller(reason: unknown): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(reason) };
}

integration("send() takes AbortSignal.timeout(), and leaves nothing on a signal", async () => {
  using server = impostor();
  const address = { hostname: "127.0.0.1", port: server.port };
  const sending = send(address, [fixture("hello.txt")], { signal: AbortSignal.timeout(1) });
  const error = await assertRejects(() => sending, DOMException);
  assertEquals(error.name, "TimeoutError");
  // Whether that one had connected by then nobody knows.
  using closing = impostor();
  const { signal } = new AbortController();
  let listeners = 0;
  signal.addEventListener = () => listeners++;
  signal.removeEventListener = () => listeners--;
  const options = { signal, mode: "raw", dialogue: ["expect:hi"] };
  await Promise.all([
    assertRejects(() => {
      return send({ ...address, port: closing.port }, [fixture("hello.txt")], options);
    }, InletError),
    closing.accept().then((wire) => wire.close()),
  ]);
  assertEquals(listeners, 0);
});

integration("send() resolves when its signal is aborted after the last file", async () => {
  await using local = await tempDir();
  await using server = await serve({ directory: local.path, log: { quiet: true } });
  const { signal, abort } = controller("too late");
  const sent = await send(server.address, [fixture("hello.txt")], { signal, onResult: abort });
  assertEquals(sent.map(({ stored }) => stored.name), ["hello.txt"]);
});

integration("send() tells what broke off from what no attempt began with", async () => {
  await using local = await tempDir();
  using server = impostor();
  const address = { hostname: "127.0.0.1", port: server.port };
  const files = [await large(local), fixture("hello.txt")];
  const sending = send(address, files, { retries: 1 }).catch((error) => error);
  using wire = await server.accept();
  await wire.line();
  await wire.says("welcome client 1 of 1\n");
  for (let file = 0; file < files.length; file++) {
    assertEquals(await wire.line(), "diff 1 /");
    await wire.line();
    await wire.says("ok .\n");
  }
  assertMatch(await wire.line(), /^reput\b/);
  await wire.says("go 0\n");
  await wire.skip(1000);
  wire.close();
  (await server.accept()).close();
  const error = await sending;
  assert(error instanceof SendError, Deno.inspect(error));
  assertEquals(error.results.map(({ untried }) => untried), [undefined, true]);
});

integration("send() throws what a function of the caller throws, once all is sent", async () => {
  await using local = await tempDir();
  const directory = `${local.path}/received`;
  await using server = await serve({ directory, log: { quiet: true } });
  await Deno.symlink("/nowhere", `${local.path}/link`);
  await local.write("a.txt", "a");
  const mine = new Error("mine");
  const throwing = (): never => {
    throw mine;
  };
  const error = await send(server.address, [local.path], {
    exclude: ["received"],
    onNotice: throwing,
  })
    .catch((error) => error);
  assert(error === mine, Deno.inspect(error));
  const files = [fixture("hello.txt"), fixture("one_byte.bin")];
  const told: string[] = [];
  const onResult = ({ label }: SendResult): never => {
    told.push(label);
    throw new Error(label);
  };
  await assertRejects(() => send(server.address, files, { onResult }), Error, files[0]);
  assertEquals(told, files);
  assertEquals(names(directory).slice(-1), ["one_byte.bin"]);
  const late = Promise.withResolvers<void>();
  const [file] = files as [string];
  const sending = send(server.address, [file], {
    // As an asynchronous function does.
    onResult: (): Promise<void> => {
      setTimeout(() => late.reject(mine));
      return late.promise;
    },
  });
  assertEquals(await sending.catch((error) => error), mine);
  await using reverse = await serve({ mode: "reverse", log: { quiet: true } });
  const options = { mode: "reverse", output: () => Promise.reject(mine) };
  const answer = await send(reverse.address, files.slice(0, 1), options).catch((error) => error);
  assert(answer === mine, Deno.inspect(answer));
});

integration("serve() takes a function that returns its key", async () => {
  await using local = await tempDir();
  let key = "correct horse battery staple";
  const options = { directory: `${local.path}/in`, key: () => key, log: { quiet: true } };
  await using server = await serve(options);
  await send(server.address, [fixture("hello.txt")], { key });
  key = "another key altogether";
  await send(server.address, [fixture("one_byte.bin")], { key });
  assertEquals(names(options.directory), ["hello.txt", "one_byte.bin"]);
});

/** What a program without type checking can give, and what it is told. */
const WRONG_SENDS: readonly [Record<string, unknown>, string][] = [
  [{ port: "5000" }, 'Cannot use "5000" as port: give a whole number from 1 to 65535'],
  [{ port: null }, "Cannot use null as port: give a whole number from 1 to 65535"],
  [
    { address: "127.0.0.1:5000" },
    'Cannot use "127.0.0.1:5000" as address: give { hostname, port } or { path }',
  ],
  [{ files: [] }, "Cannot use an empty list as files: give a list of one or more paths"],
  [{ files: "a.txt" }, 'Cannot use "a.txt" as files: give a list of one or more paths'],
  [{ options: "raw" }, 'Cannot use "raw" as options: give an object'],
  [{ mode: "ray" }, 'Cannot use the mode "ray": the nearest is raw, give one of'],
  [{ timeoutMs: -1 }, "Cannot use -1 as timeoutMs: give milliseconds from 1 to 2147483647"],
  [{ timeoutMs: Infinity }, "Cannot use Infinity as timeoutMs: give milliseconds from 1 to"],
  [{ retries: NaN }, "Cannot use NaN as retries: give a whole number from 0"],
  [{ rate: 5000 }, "Cannot use 5000 as rate: give a RateLimit"],
  [{ strict: "no" }, 'Cannot use "no" as strict: give true or false'],
  [{ resume: "no" }, 'Cannot use "no" as resume: give true or false'],
  [{ strict: "yes" }, 'Cannot use "yes" as strict: give true or false'],
  [{ exclude: "*.o" }, 'Cannot use "*.o" as exclude: give a list of texts'],
  [{ onResult: {} }, "Cannot use an object as onResult: give a function"],
  [{ resum: true }, 'Cannot use "resum" as an option: the nearest is resume'],
  [{ retry: 3 }, 'Cannot use "retry" as an option: give some of name, timeoutMs, key'],
  [{ overwrite: undefined }, 'Cannot use "overwrite" as an option: give some of name, timeoutMs'],
];

const WRONG_SERVES: readonly [unknown, string][] = [
  [{ port: "5000" }, 'Cannot use "5000" as port: give a whole number from 0 to 65535'],
  [{ port: 70_000 }, "Cannot use 70000 as port: give a whole number from 0 to 65535"],
  [{ timeoutMs: -1 }, "Cannot use -1 as timeoutMs: give milliseconds from 1 to 2147483647"],
  [{ minRate: NaN }, "Cannot use NaN as minRate: give a number from 0"],
  [{ maxBytes: "1GiB" }, 'Cannot use "1GiB" as maxBytes: give a number from 0'],
  [{ maxClients: 0 }, "Cannot use 0 as maxClients: give a whole number from 1"],
  [{ key: "0123456789abcde" }, "Cannot use this value as key: give a text of at least 16 char"],
  [{ directory: "" }, 'Cannot use "" as directory: give a text that is not empty'],
  [{ hostname: "" }, 'Cannot use "" as hostname: give a text that is not empty'],
  [{ open: "false" }, 'Cannot use "false" as open: give true or false'],
  [
    { access: "readonly" },
    'Cannot use "readonly" as access: give one of all, read-only, drop-only',
  ],
  [{ log: "json" }, 'Cannot use "json" as log: give an object'],
  [{ log: { format: "xml" } }, 'Cannot use "xml" as format: give one of text, json'],
  [{ mode: "ray" }, 'Cannot use the mode "ray": the nearest is raw, give one of'],
  [5000, "Cannot use 5000 as options: give an object"],
  [{ dir: "inbox" }, 'Cannot use "dir" as an option: the nearest is directory'],
  [{ log: { formta: "json" } }, 'Cannot use "formta" as an option: the nearest is format'],
];

pure("send() and serve() refuse values of the wrong kind in one line", async () => {
  for (const [{ port = 1, address, files = ["a"], options, ...more }, message] of WRONG_SENDS) {
    const given = [address ?? { hostname: "127.0.0.1", port }, files, options ?? more];
    const error = await send(...given as Parameters<typeof send>).catch((error) => error);
    assertUsage(error, message);
  }
  for (const [options, message] of WRONG_SERVES) {
    assertUsage(await serve(options as ServeOptions).catch((error) => error), message);
  }
  for (const rate of [NaN, 0, -1]) {
    assertThrows(() => new RateLimit(rate), RangeError, String(rate));
  }
});

integration("a client refuses an option of a call that there is not", async () => {
  await using local = await tempDir();
  await using server = await serve({ directory: local.path, log: { quiet: true } });
  const wrongClient = { timeout: 3 } as ConnectOptions;
  assertUsage(
    await connect(server.address, wrongClient).catch((error) => error),
    'Cannot use "timeout" as an option: the nearest is timeoutMs',
  );
  await using client = await connect(server.address);
  const wrongCall = { onprogress: () => {} } as PutOptions;
  const line = 'Cannot use "onprogress" as an option: the nearest is onProgress';
  assertUsage(await client.put("a", new Blob(["a"]), wrongCall).catch((error) => error), line);
  assertUsage(await client.get("a", wrongCall).catch((error) => error), line);
  assertEquals(names(local.path), []);
});

function assertUsage(error: unknown, message: string): void {
  assert(error instanceof InletError, Deno.inspect(error));
  assertEquals([error.code, error.message.includes("\n")], ["usage", false]);
  assert(error.message.startsWith(message), error.message);
}
