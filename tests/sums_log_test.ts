/**
 * The log of remembered checksums: what is torn, forged or somebody else's is not believed, and a
 * disk that fails harms nothing else.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { DiskPace } from "../lib/store/disk_pace.ts";
import type { Disk } from "../lib/store/disk.ts";
import { RememberedSums, type Version } from "../lib/store/remembered_sums.ts";
import {
  decodeSum,
  encodeSum,
  type LoggedSum,
  MOST_LOG_BYTES,
  SumsLog,
} from "../lib/store/sums_log.ts";
import { Workspace } from "../lib/store/workspace.ts";
import { integration, OWN, pure, ROOT, Running, tempDir } from "./helpers.ts";

const NAMES = [
  "a",
  "photos/naïve café ☕.txt",
  'quoted "name"\\',
  "line\nbreak\r\u2028",
  " ",
  "\ud83d\ude00",
  "x".repeat(255),
];

function sumOf(name: string, number = 7): LoggedSum {
  return { name, facts: `${number} 4194304 -1582977600123 1582977600`, crc: number };
}

const SUMS = NAMES.map(sumOf);

/** A directory with the logs of servers. */
class Scene implements AsyncDisposable {
  readonly said: string[] = [];
  readonly dir: string;
  readonly #temp: AsyncDisposable;
  readonly #logs: SumsLog[] = [];
  readonly #reopen: (() => void)[] = [];

  private constructor(dir: string, temp: AsyncDisposable) {
    this.dir = dir;
    this.#temp = temp;
  }

  static async open(): Promise<Scene> {
    const temp = await tempDir();
    return new Scene(temp.path, temp);
  }

  /** The log of one more server. */
  log(disk: Partial<Disk> = {}): SumsLog {
    const warn = (message: string): void => void this.said.push(message);
    const whole = { ...Deno, ...disk };
    const open = (): Workspace => Workspace.open(this.dir, { disk: whole, prefix: "", warn });
    this.#reopen.push(() => workspace = open());
    let workspace = open();
    const log = new SumsLog({
      workspace: () => workspace,
      disk: whole,
      pace: new DiskPace(),
      warn,
    });
    this.#logs.push(log);
    return log;
  }

  /** Makes the folder of all logs again. */
  reopen(): void {
    for (const reopen of this.#reopen) reopen();
  }

  /** The paths of all logs. */
  get paths(): string[] {
    return [...Deno.readDirSync(`${this.dir}/${OWN}`)].map(({ name }) =>
      `${this.dir}/${OWN}/${name}`
    );
  }

  /** What a server that starts now would know. */
  async known(): Promise<LoggedSum[]> {
    const read = new Map<string, LoggedSum>();
    await this.log().read((sum) => read.set(sum.name, sum));
    return [...read.values()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const log of this.#logs) log.close([]);
    await this.#temp[Symbol.asyncDispose]();
  }
}

/** A scene in which a server has run, and the path of its log. */
async function afterOneRun(): Promise<{ scene: Scene; path: string }> {
  const scene = await Scene.open();
  const log = scene.log();
  await log.append(SUMS);
  log.close([]);
  const [path] = scene.paths;
  assertEquals(await scene.known(), SUMS);
  return { scene, path: path! };
}

pure("a line of the log means what was written, whatever the name", () => {
  for (const sum of SUMS) {
    const line = encodeSum(sum);
    assertEquals(line.indexOf("\n"), line.length - 1);
    assertEquals(decodeSum(line.slice(0, -1)), sum);
  }
});

pure("no line is believed that was cut or changed anywhere", () => {
  const line = encodeSum(sumOf("photos/a.jpg")).slice(0, -1);
  for (let length = 0; length < line.length; length++) {
    assertEquals(decodeSum(line.slice(0, length)), undefined);
    const changed = line[length] === "1" ? "2" : "1";
    assertEquals(decodeSum(line.slice(0, length) + changed + line.slice(length + 1)), undefined);
    assertEquals(
      decodeSum(line.slice(length) + line.slice(0, length)),
      length ? undefined : sumOf("photos/a.jpg"),
    );
  }
});

integration("a log that was torn anywhere keeps what is whole", async () => {
  const { scene, path } = await afterOneRun();
  await using _ = scene;
  const whole = Deno.readTextFileSync(path);
  const few = whole.split("\n").slice(0, 4).join("\n") + "\n";
  for (let length = 0; length <= few.length; length++) {
    Deno.writeTextFileSync(path, few.slice(0, length));
    const lines = few.slice(0, length).split("\n").length - 1;
    const known = await scene.known();
    // A line that lacks its end only is whole.
    assert([Math.max(lines - 1, 0), lines].includes(known.length), `${length}: ${known.length}`);
    assertEquals(known, SUMS.slice(0, known.length));
  }
  // What is written behind a torn line is not lost with it.
  Deno.writeTextFileSync(path, whole.slice(0, -5));
  const log = scene.log();
  await log.read(() => {});
  await log.append([sumOf("later")]);
  Deno.writeTextFileSync(path, "\0\xff".repeat(100_000) + "\n" + whole, { append: true });
  assertEquals(new Set(await scene.known()), new Set([...SUMS, sumOf("later")]));
  assertEquals(scene.said, []);
});

integration("a log that is a link, or that others may write, is not read or removed", async () => {
  const { scene, path } = await afterOneRun();
  await using _ = scene;
  const content = Deno.readTextFileSync(path);
  const moved = `${scene.dir}/elsewhere`;
  const ways: Record<string, () => void> = {
    "writable by its group": () => Deno.chmodSync(path, 0o620),
    "writable by all": () => Deno.chmodSync(path, 0o602),
    "with a second name": () => Deno.linkSync(path, moved),
    "a symbolic link": () => {
      Deno.renameSync(path, moved);
      Deno.symlinkSync(moved, path);
    },
    "a folder": () => Deno.mkdirSync(path),
    "a pipe": () => {
      new Deno.Command("mkfifo", { args: [path] }).outputSync();
    },
    ...Deno.uid() === 0 ? { "another user's": () => Deno.chownSync(path, 1234, null) } : {},
  };
  for (const [what, make] of Object.entries(ways)) {
    Deno.removeSync(path);
    if (what !== "a folder" && what !== "a pipe") {
      Deno.writeTextFileSync(path, content, { mode: 0o600 });
    }
    make();
    assertEquals(await scene.known(), [], what);
    const log = scene.log();
    await log.read(() => {});
    await log.rewrite([]);
    log.close([]);
    Deno.lstatSync(path);
    await Deno.remove(moved).catch(() => {});
  }
  assertEquals(scene.said, []);
});

integration("a run takes in the logs of runs that have ended, and of no others", async () => {
  const { scene, path } = await afterOneRun();
  await using _ = scene;
  const live = scene.log();
  await live.append([sumOf("live")]);
  const log = scene.log();
  const known: LoggedSum[] = [];
  await log.read((sum) => known.push(sum));
  assertEquals(new Set(known), new Set([...SUMS, sumOf("live")]));
  assert(log.isLarge);
  await log.append([sumOf("new")]);
  await log.rewrite([...known, sumOf("new")]);
  assert(!log.isLarge);
  assertEquals(scene.paths.length, 2);
  assert(!scene.paths.includes(path));
  await live.append([sumOf("live again")]);
  live.close([sumOf("last")]);
  const all = ["new", "live", "live again", "last"].map((name) => sumOf(name));
  assertEquals(new Set(await scene.known()), new Set([...SUMS, ...all]));
});

integration("a log that another program removed is begun again", async () => {
  await using scene = await Scene.open();
  const log = scene.log();
  await log.append([sumOf("lost")]);
  for (const path of scene.paths) Deno.removeSync(path);
  await log.append([sumOf("kept")]);
  assertEquals(await scene.known(), [sumOf("kept")]);
  // Together with all that the store has for itself, too.
  Deno.removeSync(`${scene.dir}/${OWN}`, { recursive: true });
  await log.append([sumOf("lost")]);
  assertMatch(scene.said.join("\n"), /^Cannot keep checksums for the next run: it does not exist$/);
  scene.reopen();
  await log.append([sumOf("kept, too")]);
  assertEquals(await scene.known(), [sumOf("kept, too")]);
});

integration("no log is written or read behind a link in place of its folder", async () => {
  const { scene } = await afterOneRun();
  await using _ = scene;
  const log = scene.log();
  const elsewhere = `${scene.dir}/elsewhere`;
  Deno.renameSync(`${scene.dir}/${OWN}`, elsewhere);
  Deno.symlinkSync(elsewhere, `${scene.dir}/${OWN}`);
  const before = scene.paths;
  await log.read(() => {
    throw new Error("read");
  });
  await log.append([sumOf("a")]);
  await log.rewrite([sumOf("a")]);
  log.close([sumOf("a")]);
  assertEquals(scene.paths, before);
  Deno.removeSync(`${scene.dir}/${OWN}`);
});

integration("a full disk is told, and nothing fails", async () => {
  await using scene = await Scene.open();
  const openSync: Disk["openSync"] = (path, options) =>
    Deno.openSync(String(path).endsWith(".log") ? "/dev/full" : path, {
      ...options,
      createNew: !String(path).endsWith(".log"),
    });
  const log = scene.log({ openSync });
  await log.append(SUMS);
  await log.rewrite(SUMS);
  log.close(SUMS);
  assertEquals(new Set(scene.said).size, 1, scene.said.join("\n"));
  assertMatch(scene.said[0]!, /^Cannot keep checksums for the next run: the disk is full/);
});

integration("what is written behind a line that a full disk cut is kept", async () => {
  await using scene = await Scene.open();
  let isFull = true;
  const openSync: Disk["openSync"] = (path, options) => {
    const file = Deno.openSync(path, options);
    if (!String(path).endsWith(".log")) return file;
    const write = file.writeSync.bind(file);
    file.writeSync = (piece) => {
      if (!isFull) return write(piece);
      write(piece.subarray(0, piece.length - 10));
      throw Object.assign(new Error("full"), { code: "ENOSPC" });
    };
    return file;
  };
  const log = scene.log({ openSync });
  await log.append(SUMS);
  isFull = false;
  await log.append([sumOf("later")]);
  assertEquals(await scene.known(), [...SUMS.slice(0, -1), sumOf("later")]);
});

integration("nothing is kept on a disk without hard links", async () => {
  const { scene, path } = await afterOneRun();
  await using _ = scene;
  const linkSync = (): never => {
    throw Object.assign(new Deno.errors.PermissionDenied("no links"), { code: "EPERM" });
  };
  const log = scene.log({ linkSync });
  await log.read(() => {
    throw new Error("believed");
  });
  await log.append(SUMS);
  log.close(SUMS);
  assertEquals(scene.paths, [path]);
  assertMatch(scene.said.join("\n"), /^the disk of .* has no hard links: [^\n]*$/);
});

integration("64 MiB of logs are read at most, the newest first, and no larger one", async () => {
  const { scene, path } = await afterOneRun();
  await using _ = scene;
  const old = path.replace(/[0-9a-f]{32}/, "0".repeat(32));
  Deno.writeTextFileSync(old, encodeSum(sumOf("old")), { mode: 0o600 });
  Deno.utimeSync(old, new Date(0), new Date(0));
  assertEquals((await scene.known()).length, SUMS.length + 1);
  Deno.truncateSync(old, MOST_LOG_BYTES);
  Deno.utimeSync(old, new Date(0), new Date(0));
  assertEquals((await scene.known()).length, SUMS.length);
  Deno.truncateSync(path, MOST_LOG_BYTES + 1);
  assertEquals(await scene.known(), [sumOf("old")]);
});

integration("what is killed within its writes has written whole lines, but the last", async () => {
  await using scene = await Scene.open();
  const script = `${scene.dir}/write.ts`;
  Deno.writeTextFileSync(
    script,
    `import { SumsLog } from "${ROOT}lib/store/sums_log.ts";
    import { Workspace } from "${ROOT}lib/store/workspace.ts";
    import { DiskPace } from "${ROOT}lib/store/disk_pace.ts";
    const warn = console.error;
    const workspace = Workspace.open(Deno.args[0], { disk: Deno, prefix: "", warn });
    const log = new SumsLog({ workspace: () => workspace, disk: Deno, pace: new DiskPace(), warn });
    for (let number = 0;; number++) {
      const facts = number + " 4194304 -1582977600123 1582977600";
      await log.append([{ name: "x".repeat(number % 1000), facts, crc: number }]);
      if (number === 1000) console.error("many");
    }`,
  );
  for (let kill = 0; kill < 3; kill++) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        new URL("deno.json", ROOT).pathname,
        script,
        scene.dir,
      ],
      ...{ stdout: "null", stderr: "piped" } as const,
    }).spawn();
    const running = new Running(child);
    await running.says(/many/);
    await running.stop("SIGKILL");
    const numbers: number[] = [];
    await scene.log().read(({ name, crc, facts }) => {
      assertEquals([name.length, facts], [crc % 1000, `${crc} 4194304 -1582977600123 1582977600`]);
      numbers.push(crc);
    });
    assert(numbers.length > 1000);
    assertEquals(numbers, Array.from(numbers, (_, index) => index));
    for (const path of scene.paths) Deno.removeSync(path);
  }
  assertEquals(scene.said, []);
});

/** What one store remembers, with its log in a scene. */
function sumsIn(scene: Scene, fsync: boolean): { sums: RememberedSums; dev: number } {
  const log = scene.log();
  const sums = new RememberedSums({ fsync, now: Date.now, log: () => Promise.resolve(log) });
  return { sums, dev: log.dev };
}

integration(
  "a checksum is logged once its file is on the disk, and for that disk only",
  async () => {
    await using scene = await Scene.open();
    const size = 4 * 1024 * 1024;
    const mtime = new Date("2020-02-29T12:00:00Z");
    const { sums, dev } = sumsIn(scene, false);
    const young: Version = { dev, ino: 2, size, mtime, ctime: new Date() };
    const old: Version = { ...young, ctime: new Date(Date.now() - 301_000) };
    sums.addReceived("young", young, young, 1);
    sums.addReceived("old", old, old, 2);
    sums.addReceived("beyond", { ...old, dev: dev + 1 }, { ...old, dev: dev + 1 }, 3);
    sums.addReceived("small", { ...old, size: 1 }, { ...old, size: 1 }, 4);
    await sums.flush();
    assertEquals((await scene.known()).map(({ name }) => name), ["old"]);
    sums.addReceived("old", old, { ...old, ctime: new Date(old.ctime!.getTime() - 1000) }, 5);
    sums.close();
    const { sums: flushing } = sumsIn(scene, true);
    // What is in memory is newer than what is in the log.
    flushing.addReceived("young", young, young, 6);
    assertEquals(await flushing.crcOf("young", young), 6);
    assertEquals(
      await flushing.crcOf("old", { ...old, ctime: new Date(old.ctime!.getTime() - 1000) }),
      5,
    );
    assertEquals(await flushing.crcOf("old", old), undefined);
    await flushing.flush();
    assertEquals((await scene.known()).map(({ name, crc }) => [name, crc]).sort(), [["young", 6]]);
    assertEquals(scene.paths.length, 1);
  },
);
