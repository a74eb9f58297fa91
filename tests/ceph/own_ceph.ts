/**
 * A Ceph of this process's own: a monitor, two disks and a gateway, on loopback, in one directory.
 * It ends with this process, however that ends.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { Ceph, linesOf, variablesPath } from "./ceph.ts";
import { Daemon, ENDS_WITH_US } from "./daemon.ts";
import { mortalDirectory } from "./directory.ts";
import { installCeph, persistently, TRIES } from "./programs.ts";
import { cephConf } from "./settings.ts";

/** What a Ceph consists of. Each `osd` is a disk, `rgw` the gateway, `mgr` the manager. */
export type DaemonName = "mon" | "mgr" | "osd.0" | "osd.1" | "rgw";

/** How a Ceph is started. */
export interface CephOptions {
  /**
   * How large each of its two disks is. Both hold all that is stored.
   *
   * @default 17_179_869_184
   */
  readonly diskBytes?: number | undefined;
  /**
   * Whether it has a manager, by Debian's package ceph-mgr. {@linkcode OwnCeph.untilWhole} needs it,
   * and nothing else does.
   *
   * @default false
   */
  readonly managed?: boolean | undefined;
  /** Is told of each step, and of each daemon that dies. */
  readonly say?: ((line: string) => void) | undefined;
}

/** 16 GiB. */
const DISK_BYTES = 17_179_869_184;

/** Milliseconds in which it is ready, also on a machine that is very busy. */
const READY_MS = 240_000;

/** Milliseconds between two looks whether the gateway answers. */
const LOOK_MS = 100;

/**
 * Ports of daemons: below those that the system gives to whoever asks for any, and those that tests take
 * by `freePort()`. A gateway begins to listen a while after its port was chosen, and one that was killed
 * finds its own free again.
 */
const PORTS = { first: 8192, count: 8192 };

/** Who may use the gateway. */
const ACCESS_KEY = "inletkey";
const SECRET_KEY = "inletsecret";

/** A Ceph that was started by this process, which can be hurt. */
export class OwnCeph extends Ceph implements AsyncDisposable {
  readonly #daemons: ReadonlyMap<DaemonName, Daemon>;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    variables: Readonly<Record<string, string>>,
    daemons: ReadonlyMap<DaemonName, Daemon>,
    stack: AsyncDisposableStack,
  ) {
    super(variables);
    this.#daemons = daemons;
    this.#stack = stack;
  }

  /**
   * Starts a Ceph and waits until it takes files. What is not installed is installed, where that may
   * be. Call it in a main thread: the system ends the daemons with the thread that started them.
   *
   * @throws {InletError} `usage` if this machine is not for it
   * @throws {Error} if a daemon ends, or is not ready in four minutes
   */
  static async start(options: CephOptions = {}): Promise<OwnCeph> {
    const { diskBytes = DISK_BYTES, managed = false, say = () => {} } = options;
    await installCeph(say, managed ? ["ceph-mgr"] : []);
    await using stack = new AsyncDisposableStack();
    const { path: directory } = stack.use(await mortalDirectory());
    const start = new Start(directory, say);
    stack.defer(() => start.killAll());
    const gatewayPort = await within(READY_MS, start.failure, start.run(diskBytes, managed));
    const variables = {
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${gatewayPort}`,
      AWS_REGION: "us-east-1",
      CEPH_CONF: start.conf,
    };
    await Deno.writeTextFile(variablesPath(start.conf), linesOf(variables));
    return new OwnCeph(variables, start.daemons, stack.move());
  }

  /** Kills a daemon as a power cut would. It stays so until it is started. */
  async kill(name: DaemonName): Promise<void> {
    await this.#daemons.get(name)!.kill();
  }

  /** Starts a daemon that was killed, and does not wait until it is ready. */
  startAgain(name: DaemonName): void {
    this.#daemons.get(name)!.start();
  }

  /**
   * Waits until both disks run and have everything: after one was started again, and before the other
   * is killed, which would else have been the only one with what was stored meanwhile.
   */
  async untilWhole(): Promise<void> {
    for (;;) {
      const disks = JSON.parse(await this.ask(["ceph", "osd", "stat", "--format", "json"]));
      const groups = await this.ask(["ceph", "pg", "stat"]);
      if (disks.num_up_osds === 2 && /^(\d+) pgs: \1 active\+clean;/.test(groups)) return;
      await delay(LOOK_MS);
    }
  }

  /** Kills all, and removes what they have stored. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** The steps of a start. */
class Start {
  readonly daemons = new Map<DaemonName, Daemon>();
  /** Rejects if a daemon ends before all are ready. */
  readonly failure: Promise<never>;
  readonly #directory: string;
  /** The path of ceph.conf. */
  readonly conf: string;
  readonly #say: (line: string) => void;
  readonly #stopped = new AbortController();
  readonly #fail: (error: Error) => void;

  constructor(directory: string, say: (line: string) => void) {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    this.failure = promise;
    this.#fail = reject;
    this.#directory = directory;
    this.conf = `${directory}/ceph.conf`;
    this.#say = say;
  }

  /** Starts all daemons, and gives the port of the gateway. */
  async run(diskBytes: number, managed: boolean): Promise<number> {
    const directory = this.#directory;
    const [monitorPort, gatewayPort] = freePorts();
    const conf = cephConf({ directory, monitorPort, diskBytes });
    await Deno.writeTextFile(this.conf, conf);
    await Deno.mkdir(`${directory}/mon`);
    const map = `${directory}/monmap`;
    const [, fsid] = /^fsid = (.*)$/m.exec(conf)!;
    const monitor = `[v1:127.0.0.1:${monitorPort}]`;
    await this.#tool("monmaptool", "--create", "--fsid", fsid!, "--addv", "a", monitor, map);
    await this.#tool("ceph-mon", "-c", this.conf, "--mkfs", "-i", "a", "--monmap", map);
    this.#daemon("mon", "ceph-mon", "-i", "a").start();
    if (managed) {
      await Deno.mkdir(`${directory}/mgr`);
      this.#daemon("mgr", "ceph-mgr", "-i", "x").start();
    }
    await Promise.all([0, 1].map((id) => this.#disk(id, map)));
    this.#say("the monitor and two disks run");
    const keys = ["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY];
    const rights = ["--caps", "buckets=*", "--max-buckets", "0"];
    const user = ["--uid", "inlet", "--display-name", "inlet", ...keys, ...rights];
    await this.#tool("radosgw-admin", "-c", this.conf, "user", "create", ...user);
    // Without it each answer with a body waits 40 ms for the acknowledgement of its head.
    const options = `endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1`;
    const frontend = `--rgw_frontends=beast ${options}`;
    this.#daemon("rgw", "radosgw", "-n", "client.rgw", frontend).start();
    while (!await answers(gatewayPort)) await delay(LOOK_MS, this.#stopped);
    this.#say("the gateway answers");
    return gatewayPort;
  }

  /** Kills what was started, and starts no more. */
  async killAll(): Promise<void> {
    this.#stopped.abort();
    await Promise.all([...this.daemons.values()].map((daemon) => daemon.kill()));
  }

  /** Makes a disk and starts its daemon. */
  async #disk(id: number, map: string): Promise<void> {
    const uuid = crypto.randomUUID();
    await Deno.mkdir(`${this.#directory}/osd.${id}`);
    const made = ["-i", `${id}`, "--mkfs", "--osd-uuid", uuid, "--monmap", map, "--no-mon-config"];
    await Promise.all([
      this.#tool("ceph-osd", "-c", this.conf, ...made),
      this.#addDisk(id, uuid),
    ]);
    this.#daemon(`osd.${id as 0 | 1}`, "ceph-osd", "-i", `${id}`).start();
  }

  async #addDisk(id: number, uuid: string): Promise<void> {
    const ceph = ["ceph", "-c", this.conf, "osd"];
    await this.#tool(...ceph, "new", uuid, `${id}`);
    await this.#tool(...ceph, "crush", "add", `osd.${id}`, "1", "root=default");
  }

  #daemon(name: DaemonName, ...command: readonly string[]): Daemon {
    this.#stopped.signal.throwIfAborted();
    const all = [...command, "-f", "-c", this.conf];
    let deaths = 0;
    const daemon = new Daemon(name, this.#directory, all, () => {
      if (++deaths === TRIES) {
        this.#fail(new Error(`Cannot start Ceph: ${name} ended: ${daemon.lastWords()}`));
      }
      this.#say(`${name} ended; it is started again`);
    });
    this.daemons.set(name, daemon);
    return daemon;
  }

  async #tool(...command: readonly string[]): Promise<void> {
    const [program, ...args] = [...ENDS_WITH_US, ...command];
    await persistently(program, args, this.#stopped.signal);
  }
}

/** What an action gives, unless that takes too long or something else fails before. */
async function within<T>(ms: number, failure: Promise<never>, action: Promise<T>): Promise<T> {
  const late = new AbortController();
  const tooLate = delay(ms, late).then(() => {
    throw new Error(`Cannot start Ceph: it is not ready after ${ms / 1000} seconds`);
  });
  return await Promise.race([action, failure, tooLate]).finally(() => late.abort());
}

async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** Two ports that nothing listens on. */
function freePorts(): [number, number] {
  const free: number[] = [];
  while (free.length < 2) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (!free.includes(port) && isFree(port)) free.push(port);
  }
  return free as [number, number];
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}
