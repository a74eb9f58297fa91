/**
 * What the tests stand on: real processes of the two programs, in directories of their own.
 *
 * Servers listen on port 0 and are stopped when they go out of scope. Nothing here sleeps: a test
 * waits for a line of the server's log, for an exit, or for the end of a connection.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import { fromFileUrl } from "@std/path/from-file-url";
import { TextLineStream } from "@std/streams";
import type { SendResult } from "../client/result.ts";
import { buffers } from "../lib/body/buffer_pool.ts";
import { CEPH_PROGRAMS } from "./ceph/programs.ts";

/** The root of the project. */
export const ROOT: URL = new URL("../", import.meta.url);

/** Registers a test that needs no permission, and gets none. */
export function pure(name: string, action: () => void | Promise<void>): void {
  Deno.test({ name, permissions: "none", fn: action });
}

/** Permissions that tests of whole programs cannot do without. */
const NEEDED = ["net", "read", "write", "run", "env"] as const;

/**
 * Milliseconds after which a program or a line of its log counts as one that never comes. A whole test
 * has twice as long: what takes seconds has taken minutes on a busy machine.
 */
const DEADLINE_MS = 300_000;

/** What a test may need beside permissions. */
export interface Requirements {
  /**
   * Programs that have to be installed, by the name of their executable. With an option behind it
   * its help has to name that option: `nc -N`.
   */
  programs?: readonly string[];
  /** A package that Python has to have beside its standard library. */
  pythonPackage?: string;
  /** Whether it mounts file systems, in a namespace of its own. */
  mounts?: boolean;
  /** A shell command that has to succeed, and what it shows to be missing if it does not. */
  succeeds?: readonly [command: string, missing: string];
  /** Whether it has a network of its own, in which {@linkcode LINK_LOCAL} is an address. */
  networks?: boolean;
  /** Whether it needs ::1. */
  ipv6?: boolean;
  /** How many descriptors the system has to permit each process. */
  descriptors?: number;
  /** Whether it looks into /proc. */
  proc?: boolean;
  /** Whether it needs the runtime that `deno compile` puts into programs. */
  compiles?: boolean;
  /** Whether it fetches packages from the npm registry. */
  registry?: boolean;
  /** Whether it stores into the Ceph of this run: `sharedCeph()` of ceph/shared.ts. */
  ceph?: boolean;
  /** Milliseconds after which it hangs, where that is less than usual. */
  deadlineMs?: number;
  /** Whether it fails if it leaves a timer, a pending operation or an open file behind. */
  sanitized?: boolean;
}

/**
 * Registers a test of whole programs. Where a permission or a program is missing it is shown as
 * ignored, and its name says why.
 */
export function integration(
  name: string,
  action: () => Promise<void>,
  requirements: Requirements = {},
): void {
  const missing = missingFor(requirements);
  const { sanitized = false } = requirements;
  Deno.test({
    name: missing === undefined ? name : `${name} [${missing}]`,
    ignore: missing !== undefined,
    sanitizeOps: sanitized,
    sanitizeResources: sanitized,
    async fn() {
      // The first of them starts it.
      if (requirements.ceph) await (await import("./ceph/shared.ts")).sharedCeph();
      await withinDeadline(action(), requirements.deadlineMs);
    },
  });
}

/** What a test needs that runs the programs under fixtures/peers/. */
export const PYTHON: Requirements = { programs: ["python3"] };

/** What a test needs that runs those of them that encrypt, or derives keys as they do. */
export const PYTHON_KEYS: Requirements = { ...PYTHON, pythonPackage: "cryptography" };

/** What a test needs that stores into a bucket. */
export const CEPH: Requirements = { ceph: true };

/** What a test needs that looks at a process's memory or descriptors. */
export const PROC: Requirements = { proc: true };

/** A test that hangs says so, and does not keep the others from running. */
async function withinDeadline(
  action: Promise<void>,
  deadlineMs = 2 * DEADLINE_MS,
): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("the test hangs")), deadlineMs);
  await Promise.race([action, promise]).finally(() => clearTimeout(timer));
}

function missingFor(requirements: Requirements): string | undefined {
  const { mounts, networks, ipv6, compiles, registry, ceph, ...others } = requirements;
  const programs = [...others.programs ?? [], ...ceph ? CEPH_PROGRAMS : []];
  const { descriptors = 0, proc, ...python } = others;
  const denied = NEEDED.filter((name) => Deno.permissions.querySync({ name }).state !== "granted");
  if (denied.length > 0) {
    return `needs ${denied.map((name) => `--allow-${name}`).join(" ")}: deno task test`;
  }
  const absent = programs.filter((program) => !isInstalled(program));
  if (absent.length > 0) return `needs ${absent.join(", ")} to be installed`;
  const { pythonPackage } = python;
  if (pythonPackage !== undefined && !succeeds(`python3 -c "import ${pythonPackage}"`)) {
    return `needs the Python package ${pythonPackage} to be installed`;
  }
  if (mounts && !succeeds("unshare -rm mount -t tmpfs tmpfs /tmp")) {
    return "needs unshare, and to be allowed to mount";
  }
  if (requirements.succeeds && !succeeds(requirements.succeeds[0])) {
    return `needs ${requirements.succeeds[1]}`;
  }
  if (networks && !succeeds(`unshare -rn sh -c '${ADDS_LINK_LOCAL}'`)) {
    return "needs unshare and ip, and to be allowed to add an address";
  }
  if (descriptors > 0 && !succeeds(`[ "$(ulimit -Hn)" -ge ${descriptors} ]`)) {
    return `needs ulimit -Hn of ${descriptors}`;
  }
  if (proc && Deno.build.os !== "linux") return "needs /proc, as Linux has it";
  if (compiles && !hasCompiledRuntime()) return "needs the runtime that deno compile fetches";
  if (registry && !succeeds(fetchesAPackage())) return "needs the npm registry to be reachable";
  return ipv6 && !hasIpv6() ? "needs IPv6" : undefined;
}

/** Whether `deno compile` has fetched its runtime already: not every network reaches Deno's site. */
function hasCompiledRuntime(): boolean {
  const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync();
  const { denoDir } = JSON.parse(new TextDecoder().decode(stdout));
  try {
    const fetched = names(`${denoDir}/dl/release/v${Deno.version.deno}`);
    return fetched.some((name) => name.startsWith("denort-"));
  } catch {
    return false;
  }
}

/** A shell command that fetches one small package into an empty cache. */
function fetchesAPackage(): string {
  const fetch = `"${Deno.execPath()}" info --no-config --no-lock npm:pure-rand`;
  return `cache=$(mktemp -d); limit=$(command -v timeout) && limit="$limit 20"
    DENO_DIR=$cache $limit ${fetch}; status=$?; rm -r "$cache"; exit $status`;
}

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

function isInstalled(program: string): boolean {
  const [name, option = ""] = program.split(" ") as [string, string?];
  if (option === "") return succeeds(`command -v ${name}`);
  return succeeds(`command -v ${name} && { ${name} -h 2>&1 || true; } | grep -qe "${option}"`);
}

const succeeded = new Map<string, boolean>();

/** Whether a shell command succeeds. It is tried once. */
function succeeds(command: string): boolean {
  let success = succeeded.get(command);
  if (success === undefined) {
    const args = ["-c", command];
    success = new Deno.Command("sh", { args, stdout: "null", stderr: "null" }).outputSync().success;
    succeeded.set(command, success);
  }
  return success;
}

/** A directory that is removed when it goes out of scope. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
  /** Writes a file into it and gives its path. */
  write(name: string, content: string | Uint8Array): Promise<string>;
}

/** Makes a directory of a test's own. */
export async function tempDir(): Promise<TempDir> {
  const path = await Deno.makeTempDir({ prefix: "inlet-test-" });
  return {
    path,
    async write(name, content): Promise<string> {
      const file = `${path}/${name}`;
      await (typeof content === "string"
        ? Deno.writeTextFile(file, content)
        : Deno.writeFile(file, content));
      return file;
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Keeps a copy's runs out of the coverage: its files are gone when that is counted. */
export const UNCOVERED = { DENO_COVERAGE_DIR: "" };

/**
 * The programs in a directory of their own, as after a clone: commands can be run there as typed.
 * Run them with {@linkcode UNCOVERED}.
 */
export async function checkout(): Promise<TempDir> {
  const directory = await tempDir();
  await copyFolder(ROOT, directory.path, /^(client|lib|modes|page|protocol|web)$/);
  return directory;
}

/** Copies the files of a folder, and its folders as far as their names match. */
async function copyFolder(from: URL, to: string, folders = /./): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(new URL(name, from), `${to}/${name}`);
    else if (folders.test(name)) {
      await Deno.mkdir(`${to}/${name}`);
      await copyFolder(new URL(`${name}/`, from), `${to}/${name}`);
    }
  }
}

/** The path of one of the two programs. */
export function scriptPath(name: string): string {
  return fromFileUrl(new URL(name, ROOT).href);
}

/** Every fixture that is a file to send. */
export const FIXTURES: readonly string[] = [
  "empty.bin",
  "one_byte.bin",
  "every_byte.bin",
  "1MiB_minus_1.txt",
  "1MiB.txt",
  "1MiB_plus_1.txt",
  "naïve café ☕.txt",
];

/** The path of a file under fixtures/. */
export function fixture(name: string): string {
  return fromFileUrl(new URL(`fixtures/${name}`, ROOT).href);
}

/** So many bytes that do not repeat early, the same on every call. */
export function bytes(size: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(size);
  let state = 0x2545f491;
  for (let index = 0; index < size; index++) {
    state = Math.imul(state, 1664525) + 1013904223;
    content[index] = state >>> 24;
  }
  return content;
}

/** All of a stream. The chunks of some share one buffer: each is copied before the next comes. */
export async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk.slice());
  return concat(chunks);
}

/** The results of a call of `send()`, also where not everything was sent. */
export async function resultsOf(
  sending: Promise<readonly SendResult[]>,
): Promise<readonly SendResult[]> {
  return await sending.catch((error) => {
    if (error.results) return error.results;
    throw error;
  });
}

/** All of what comes in pages. */
export async function allOf<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  return (await Array.fromAsync(pages)).flat();
}

/** Borrows every large buffer that this process has left, until it goes out of scope. */
export function borrowAll(): Disposable {
  const lent = new Set<Uint8Array<ArrayBuffer>>();
  for (let buffer; (buffer = buffers.borrow());) {
    if (lent.has(buffer)) throw new Error("a buffer was lent twice");
    lent.add(buffer);
  }
  return { [Symbol.dispose]: () => lent.forEach((buffer) => buffers.giveBack(buffer)) };
}

/** The folder in which a store keeps its uploads. */
export const OWN = ".inlet";

/**
 * The names in a directory, sorted. In place of a store's own folder stands what it holds, whose
 * names are random: `(in flight)` for each upload, `(partial)` for each partial file.
 */
export function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)]
    .flatMap(({ name }) => name === OWN ? ownNames(`${directory}/${name}`) : [name]).sort();
}

function ownNames(folder: string): string[] {
  return ownFiles(dirname(folder)).map((path) => {
    const name = basename(path);
    if (/^(get-)?kept-[0-9a-f]{64}-[0-9a-f]{32}\.temp$/.test(name)) return "(partial)";
    const isUpload = /^(get-)?((?:[0-9a-f]{64}-)?[0-9a-f]{32}|\d+\.file)\.temp$/.test(name);
    return isUpload ? "(in flight)" : `${OWN}/${name}`;
  });
}

/** The paths of a store's uploads and partial files. */
export function ownFiles(directory: string): string[] {
  try {
    return [...Deno.readDirSync(`${directory}/${OWN}`)].map(({ name }) =>
      `${directory}/${OWN}/${name}`
    );
  } catch {
    return [];
  }
}

/** Makes what a store has in flight older than the hour that is given to the upload of a dead server. */
export function anHourPasses(directory: string): void {
  const before = new Date(Date.now() - 3_700_000);
  const age = (path: string): void => {
    // Files that were just to be published, on a disk without hard links.
    if (Deno.lstatSync(path).isDirectory) {
      for (const name of namesOf(path)) age(`${path}/${name}`);
    }
    Deno.utimeSync(path, before, before);
  };
  ownFiles(directory).forEach(age);
}

function namesOf(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}

/** The file of an upload, or a partial file, in a store. */
export interface UploadFile {
  readonly path: string;
  /** Its size in bytes. */
  readonly size: number;
}

/** How a note of a store begins. It has the name of an upload while it is written. */
const NOTE = '{"name":"';

/** Those of which a store has anything. What is empty could be a note. */
export function uploadFiles(directory: string): UploadFile[] {
  return ownFiles(directory).filter((path) => path.endsWith(".temp")).flatMap((path) => {
    try {
      using file = Deno.openSync(path);
      const first = new Uint8Array(NOTE.length);
      const isNote = file.readSync(first) === null || new TextDecoder().decode(first) === NOTE;
      return isNote ? [] : [{ path, size: file.statSync().size }];
    } catch {
      return [];
    }
  });
}

/**
 * Waits until something is so in a directory, and looks again whenever anything changes in it, or in a
 * store's own folder in it.
 */
export async function watchUntil(directory: string, isSo: () => boolean): Promise<void> {
  const own = `${directory}/${OWN}`;
  // The number of a folder that was removed can be given to the next one.
  const folder = (): string | undefined => {
    try {
      const { ino, birthtime } = Deno.statSync(own);
      return `${ino} ${birthtime?.getTime()}`;
    } catch {
      return undefined;
    }
  };
  for (;;) {
    const watched = folder();
    using watcher = watchIfThere(watched === undefined ? [directory] : [directory, own]);
    if (isSo()) return;
    for await (const _ of watcher ?? []) {
      if (isSo()) return;
      // What happens in a folder while it comes to be watched is not told. A watcher ends with its loop.
      if (folder() !== watched) break;
    }
  }
}

/** Watches folders, and nothing below them: what is just being removed cannot be watched. */
function watchIfThere(folders: [string, string?]): Deno.FsWatcher | undefined {
  try {
    return Deno.watchFs(folders.filter((folder) => folder !== undefined), { recursive: false });
  } catch (error) {
    // The second one can have gone meanwhile.
    if (folders.length === 2 && error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Waits until a store has an upload, or a partial file, of at least so many bytes. */
export async function uploadGrows(directory: string, size: number): Promise<void> {
  await watchUntil(directory, () => uploadFiles(directory).some((file) => file.size >= size));
}

/** Waits until there is a file of at least so many bytes. Its directory has to be there already. */
export async function fileGrows(path: string, size = 0): Promise<void> {
  await watchUntil(dirname(path), () => {
    try {
      return Deno.statSync(path).size >= size;
    } catch {
      return false;
    }
  });
}

/** A program that is running. */
export class Running implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #reading: Promise<void>;
  #ended = false;

  /** @param process Started with stderr piped; what it says there is kept. */
  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#reading = this.#read();
  }

  /** The process itself. */
  get process(): Deno.ChildProcess {
    return this.#process;
  }

  /** What it has said on stderr so far. */
  get log(): string {
    return this.#lines.join("\n");
  }

  /**
   * Waits until it has said something on stderr, and gives the match.
   *
   * @param times How often it has to have said it.
   */
  async says(pattern: RegExp, times = 1): Promise<RegExpExecArray> {
    for (;;) {
      const matches = this.#lines.map((line) => pattern.exec(line)).filter((match) =>
        match !== null
      );
      if (matches.length >= times) return matches[times - 1]!;
      if (this.#ended) throw new Error(`it ended without saying ${pattern}:\n${this.log}`);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      const late = (): void => reject(new Error(`it never said ${pattern}:\n${this.log}`));
      const timer = setTimeout(late, DEADLINE_MS);
      await promise.finally(() => clearTimeout(timer));
    }
  }

  /** Waits for the end, and for all that it has said: that may be read later than the end is known. */
  async ended(): Promise<Deno.CommandStatus> {
    const status = await this.#process.status;
    await this.#reading;
    return status;
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    this.#signal(signal);
    return await this.ended();
  }

  /** Ends it in order, so that coverage is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.stop("SIGKILL"), 10_000);
    await this.stopInsistently("SIGTERM");
    clearTimeout(timer);
  }

  /** Sends a signal, and again until it ends: both programs take two that come together for one. */
  async stopInsistently(signal: Deno.Signal): Promise<Deno.CommandStatus> {
    const again = setInterval(() => this.#signal(signal), 600);
    return await this.stop(signal).finally(() => clearInterval(again));
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch {
      // It has ended already.
    }
  }

  async #read(): Promise<void> {
    const lines = this.#process.stderr
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    for await (const line of lines) {
      this.#lines.push(line);
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    this.#waiting.forEach((resolve) => resolve());
    this.#waiting.clear();
  }
}

/** A server process. */
export interface TestServer extends AsyncDisposable {
  readonly port: number;
  /** Its directory of received files. */
  readonly dir: string;
  readonly pid: number;
  /** The key that it requires of clients, if it does: those of this file are given it. */
  readonly key: string | undefined;
  readonly running: Running;
  /** What it has written to stdout, once it has ended. */
  readonly stdout: Promise<string>;
  /** The same before any decoding. */
  readonly stdoutBytes: Promise<Uint8Array>;
}

/**
 * Has a program collect its new garbage as it comes, in its own thread: on a busy machine the threads
 * of the collector get no turn, and what is resident is not what the program holds.
 */
export const PROMPT_GC = { DENO_V8_FLAGS: "--single-threaded-gc,--max-semi-space-size=1" };

/** Has it collect old garbage each time, too: ten times as slow in a server that holds much. */
export const WHOLE_GC = { DENO_V8_FLAGS: `${PROMPT_GC.DENO_V8_FLAGS},--gc-global` };

/** Most memory that a process has had so far, in bytes. */
export function residentBytes({ pid }: { pid: number }): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))!;
  return Number(kib) * 1024;
}

/**
 * Milliseconds of processor time that the thread of a program's event loop has used: what others wait
 * for, however busy the machine is.
 */
export function busyMs({ pid }: { pid: number }): number {
  const [nanoseconds] = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/schedstat`).split(" ");
  return Number(nanoseconds) / 1e6;
}

/** How many files, sockets included, a process has open. */
export function openFiles({ pid }: { pid: number }): number {
  return names(`/proc/${pid}/fd`).length;
}

/** Options of {@linkcode startServer}. */
export interface TestServerOptions {
  /** A directory to store into, which is left there; without it, one of the server's own. */
  dir?: string;
  /** The address of a bucket to store into, in the place of a directory. */
  store?: string;
  /** Further variables of its environment. */
  env?: Readonly<Record<string, string>>;
  /** The port, where it is not any free one. */
  port?: number;
  /** Arguments after the port. */
  args?: readonly string[];
  /** Permissions, where they are not all. */
  permissions?: readonly string[];
  /** A command that runs the server, such as {@linkcode onTmpfs}. */
  under?: readonly string[];
  /** A key, such as {@linkcode KEY}. With it, all is encrypted. */
  key?: string | undefined;
}

/** A key that `--generate-token` could have made. */
export const KEY = "0123456789abcdef".repeat(4);

/** Where a server is, and what it requires. */
export interface Reachable {
  readonly port: number;
  readonly key?: string | undefined;
}

/** What gives a program a key, in its environment. */
export function withKey(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { INLET_TOKEN: key };
}

/** A command that runs another one with its stdout going to a file. */
export function withStdoutTo(path: string): string[] {
  return ["sh", "-c", 'exec "$@" > "$0"', path];
}

/**
 * A command that runs another one with a small file system of its own mounted on a directory. Seen
 * from outside the directory stays empty; what is in it is under /proc/PID/root.
 *
 * @param options Of mount, such as `size=1m` or `ro`.
 */
export function onTmpfs(directory: string, options: string): string[] {
  const script = `mount -t tmpfs -o ${options} tmpfs "$0" && exec "$@"`;
  return ["unshare", "-rm", "sh", "-c", script, directory];
}

/** An address that means nothing without its zone, `lo`. */
export const LINK_LOCAL = "fe80::77";

const ADDS_LINK_LOCAL = `ip link set lo up && ip addr add ${LINK_LOCAL}/64 dev lo scope link nodad`;

/** A command that runs another one in a network of its own that has {@linkcode LINK_LOCAL}. */
export const IN_NETWORK: readonly string[] = [
  ...["unshare", "-rn", "sh", "-c"],
  ...[`${ADDS_LINK_LOCAL} && exec "$@"`, "sh"],
];

/** Starts server.ts as a process, and waits until it listens. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const own = options.dir === undefined ? await tempDir() : undefined;
  const dir = options.dir ?? `${own!.path}/received`;
  // Such a server makes no directory.
  if (options.args?.includes("--read-only")) Deno.mkdirSync(dir, { recursive: true });
  const permissions = options.permissions ?? ["-A"];
  const place = options.store === undefined ? ["--dir", dir] : ["--store", options.store];
  const script = ["run", ...permissions, "server.ts", String(options.port ?? 0), ...place];
  const [command, ...args] = [...options.under ?? [], Deno.execPath(), ...script];
  const process = new Deno.Command(command!, {
    args: [...args, ...options.args ?? []],
    cwd: ROOT,
    env: { ...withKey(options.key), ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdoutBytes = new Response(process.stdout).bytes();
  const stdout = stdoutBytes.then((content) => new TextDecoder().decode(content));
  const running = new Running(process);
  const [, port] = await running.says(/listening on \S+:(\d+)/);
  return {
    port: Number(port),
    dir,
    pid: process.pid,
    key: options.key,
    running,
    stdout,
    stdoutBytes,
    async [Symbol.asyncDispose](): Promise<void> {
      await running[Symbol.asyncDispose]();
      await stdout;
      await own?.[Symbol.asyncDispose]();
    },
  };
}

/** How a program ended. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
  /** What it wrote, before any decoding. */
  stdoutBytes: Uint8Array;
}

/** Options of {@linkcode run}. */
export interface RunOptions {
  /** What it reads on stdin; without it, nothing. */
  stdin?: string | Uint8Array;
  cwd?: string | URL;
  env?: Record<string, string>;
}

/** Runs a program to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const process = new Deno.Command(command, {
    args: [...args],
    cwd: options.cwd ?? ROOT,
    env: { NO_COLOR: "1", ...options.env },
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const feeding = options.stdin === undefined ? undefined : feed(process.stdin, options.stdin);
  const timer = setTimeout(() => process.kill("SIGKILL"), DEADLINE_MS);
  const { code, stdout, stderr } = await process.output();
  clearTimeout(timer);
  await feeding;
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
    stdoutBytes: stdout,
  };
}

/** Fails unless a program of ours ended with this code and said one line, and nothing else. */
export function assertRefused(
  { code, stdout, stderr }: Ended,
  expected: number,
  line: string,
): void {
  assertEquals([code, stdout, stderr], [expected, "", `inlet: ${line}\n`]);
}

/** A program that ends early leaves its stdin unread: that is its business. */
async function feed(stdin: WritableStream<Uint8Array>, input: string | Uint8Array): Promise<void> {
  const content = typeof input === "string" ? new TextEncoder().encode(input) : input;
  await new Blob([content as Uint8Array<ArrayBuffer>]).stream().pipeTo(stdin).catch(() => {});
}

/** Runs one of the two programs with every permission, to its end. */
export async function runScript(script: string, args: readonly string[]): Promise<Ended> {
  return await run(Deno.execPath(), ["run", "-A", script, ...args]);
}

/** Runs TypeScript as a program of its own, to its end. Unlike `deno eval` it counts as covered. */
export async function runSource(script: string, options: RunOptions = {}): Promise<Ended> {
  await using temp = await tempDir();
  const path = await temp.write("script.ts", script);
  return await run(Deno.execPath(), ["run", "-A", "--config", "deno.json", path], options);
}

/** Runs client.ts against a server, to its end. */
export async function runClient(
  server: Reachable,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const env = { ...withKey(server.key), ...options.env };
  return await run(Deno.execPath(), clientArgs(server, args), { ...options, env });
}

/** Starts client.ts against a server, with a pipe to its stdin. What it writes to stdout is lost. */
export function startClient(
  server: Reachable,
  args: readonly string[],
  options: { cwd?: string } = {},
): Running {
  const process = new Deno.Command(Deno.execPath(), {
    args: clientArgs(server, args),
    cwd: options.cwd ?? ROOT,
    env: withKey(server.key),
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  return new Running(process);
}

function clientArgs({ port }: { port: number }, args: readonly string[]): string[] {
  return ["run", "-A", scriptPath("client.ts"), "127.0.0.1", String(port), ...args];
}

/** Runs one of the Python programs under fixtures/peers/ to its end. */
export async function runPeer(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  return await run("python3", [fixture(`peers/${program}`), ...args], options);
}

/** Starts one of the Python servers under fixtures/peers/, and waits until it listens. */
export async function startPeer(
  program: string,
  args: readonly string[],
): Promise<{ port: number; process: Deno.ChildProcess } & AsyncDisposable> {
  const process = new Deno.Command("python3", {
    args: [fixture(`peers/${program}`), "0", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const [first, rest] = process.stdout.tee();
  const lines = first.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  let port = 0;
  for await (const line of lines) {
    port = Number(/listening on \S+:(\d+)/.exec(line)?.[1]);
    break;
  }
  return {
    port,
    process,
    async [Symbol.asyncDispose](): Promise<void> {
      process.kill("SIGKILL");
      await rest.cancel();
      await process.status;
    },
  };
}

/** Ports of each file of tests. Linux hands out those from 32,768 on, other systems from 49,152 on. */
const PORTS = { first: 16_384, ofFile: 48 };

let ports = Math.floor(Math.random() * PORTS.ofFile);

/**
 * A port that nothing listens on, and that no system hands out: a server on port 0 or a connection of
 * another test would have such a one a moment later. Nobody else is given it meanwhile, neither in this
 * file of tests nor in those beside it.
 */
export function freePort(): number {
  const files = ["tests", "tests/faults"].flatMap((folder) =>
    namesOf(scriptPath(folder)).sort().filter((name) => name.endsWith("_test.ts"))
      .map((name) => new URL(`${folder}/${name}`, ROOT).href)
  );
  // What is no file of tests has the first ones.
  const first = PORTS.first + PORTS.ofFile * (1 + files.indexOf(Deno.mainModule));
  for (;;) {
    const port = first + ports++ % PORTS.ofFile;
    try {
      using _ = Deno.listen({ hostname: "127.0.0.1", port });
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** The umask of this process. Deno reads it by setting another one, which files of others get. */
export function ownUmask(): number {
  const { stdout } = new Deno.Command("sh", { args: ["-c", "umask"], stderr: "null" }).outputSync();
  return parseInt(new TextDecoder().decode(stdout), 8);
}

/** Opens a plain connection to a server, as a stranger's program would. */
export async function dial(server: { port: number }): Promise<Deno.TcpConn> {
  return await Deno.connect({ hostname: "127.0.0.1", port: server.port });
}

/** Writes text or bytes to a connection, all of it. */
export async function sendTo(conn: Deno.TcpConn, content: string | Uint8Array): Promise<void> {
  const left = typeof content === "string" ? new TextEncoder().encode(content) : content;
  for (let sent = 0; sent < left.length;) sent += await conn.write(left.subarray(sent));
}

/** Everything that comes until the other side closes, in whatever way it closes. */
export async function readAll(conn: Deno.TcpConn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  try {
    for (let read; (read = await conn.read(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, read), { stream: true });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  return text;
}

/** Sends content over a connection of its own, ends this side, and gives what comes back. */
export async function exchange(
  server: { port: number },
  content: string | Uint8Array,
): Promise<string> {
  using conn = await dial(server);
  await sendTo(conn, content);
  await conn.closeWrite();
  return await readAll(conn);
}

/**
 * Sends half of a large file with the Python client, and resets the connection. The half is more
 * than the buffers on the way hold, so the server has begun to read when the reset comes.
 */
export async function resetHalfWay(server: { port: number }): Promise<void> {
  await using dir = await tempDir();
  const file = await dir.write("large", new Uint8Array(64 * 1024 * 1024));
  const args = ["127.0.0.1", String(server.port), file, "--reset-after", "33554432"];
  const { code, stderr } = await runPeer("raw_client.py", args);
  if (code !== 0) throw new Error(stderr);
}
