/**
 * docs/service.md and docs/inlet.service: the unit and its drop-ins, checked by systemd, and their
 * commands run as they stand, where their paths are.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  bytes,
  type Ended,
  fixture,
  integration,
  names,
  type Requirements,
  ROOT,
  run,
  runClient,
  Running,
  scriptPath,
  tempDir,
  watchUntil,
} from "./helpers.ts";

/** A file system of its own can be made here, and a network. */
const NAMESPACES: Requirements = {
  programs: ["unshare", "nsenter", "ip"],
  succeeds: ["unshare -rmn mount -t tmpfs tmpfs /opt", "unshare, and to be allowed to mount"],
};

/** A file of docs/. */
const documented = (name: string): string => Deno.readTextFileSync(new URL(`docs/${name}`, ROOT));

/** The first block of a language under a heading of the page. */
function block(language: string, heading: string): string {
  const section =
    documented("service.md").split(/^## /m).find((text) => text.startsWith(heading)) ?? "";
  return new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "ms").exec(section)![1]!;
}

/** The unit, and the headings of its drop-ins. */
const UNITS: Readonly<Record<string, string | undefined>> = {
  "the unit": undefined,
  "with users": "Users",
  "with another directory": "Another directory",
  "at a Unix socket": "A Unix socket",
  "with a bucket": "A bucket",
};

/** What systemd makes of its specifiers. */
const SPECIFIERS: Readonly<Record<string, string>> = {
  "%S": "/var/lib",
  "%C": "/var/cache",
  "%t": "/run",
  "%d": "/run/credentials/inlet.service",
};

/** The command that a unit starts: its last ExecStart. */
function commandOf(unit: string): string {
  const lines = unit.replaceAll(/\\\n\s*/g, "").split("\n");
  const command = lines.findLast((line) => line.startsWith("ExecStart="))!.replace(/^.*?=/, "");
  return command.replaceAll(/%\w/g, (specifier) => SPECIFIERS[specifier]!);
}

/**
 * Lays out what the unit expects, in namespaces of its own, and then runs a command. What is there
 * before is seen by nobody else.
 */
const LAYOUT = `set -e
  mount -t tmpfs tmpfs "$T"
  mkdir "$T/bin" "$T/etc" "$T/cache"
  touch "$T/bin/deno"
  mount --bind "$DENO" "$T/bin/deno"
  mount --bind "$PACKAGES" "$T/cache"
  mount --rbind "$T/bin" /usr/local/bin
  cp /etc/passwd /etc/group "$T/etc"
  mount --rbind "$T/etc" /etc
  for folder in /opt /srv /var/lib /var/cache /run; do mount -t tmpfs tmpfs $folder; done
  mkdir -p /opt/inlet /srv/files /var/lib/inlet /var/cache/inlet /run/inlet /etc/inlet
  mkdir -p /run/credentials/inlet.service
  mount --bind -o ro "$CLONE" /opt/inlet
  mount --bind "$T/cache" /var/cache/inlet
  ip link set lo up
  (umask 077; echo "$KEY" > /etc/inlet/inlet.token)
  install -m 440 /etc/inlet/inlet.token /run/credentials/inlet.service
  export DENO_DIR=/var/cache/inlet HOME=/nonexistent
  cd /var/lib/inlet
`;

/** A key as `--generate-token` makes it. */
const TOKEN = bytes(32).toHex();

async function layout(folder: string): Promise<Record<string, string>> {
  const info = await run(Deno.execPath(), ["info", "--json"]);
  return {
    T: folder,
    DENO: Deno.realPathSync(Deno.execPath()),
    PACKAGES: Deno.realPathSync(JSON.parse(info.stdout).denoDir),
    CLONE: scriptPath("."),
    KEY: TOKEN,
  };
}

for (const [name, heading] of Object.entries(UNITS)) {
  const dropIn = (): string => heading === undefined ? "" : block("ini", heading);

  integration(`docs/inlet.service ${name}: systemd finds nothing wrong`, async () => {
    await using local = await tempDir();
    await Deno.mkdir(`${local.path}/root`);
    await local.write("inlet.service", documented("inlet.service"));
    await Deno.mkdir(`${local.path}/inlet.service.d`);
    await local.write("inlet.service.d/ours.conf", dropIn());
    const { code, stdout, stderr } = await run(
      "unshare",
      ["-rmn", "sh", "-c", `${LAYOUT} systemd-analyze verify "$0"`, `${local.path}/inlet.service`],
      { env: await layout(`${local.path}/root`) },
    );
    assertEquals([code, stdout, stderr], [0, "", ""]);
  }, { ...NAMESPACES, programs: [...NAMESPACES.programs!, "systemd-analyze", "/bin/kill"] });

  // It would need an object store in its network.
  if (name === "with a bucket") continue;

  integration(`docs/inlet.service ${name}: its command serves, and needs no other`, async () => {
    await using local = await tempDir();
    const env = await layout(local.path);
    // The command that adds a user stands in the page.
    const [, addUser] = /^sudo -u inlet (env .*')/ms.exec(block("sh", "Users"))!;
    const before = name === "with users" ? addUser!.replaceAll("\\\n", "") : ":";
    const script = `${LAYOUT} ${before} >&2; exec ${
      commandOf(documented("inlet.service") + dropIn())
    }`;
    const process = new Deno.Command("unshare", {
      args: ["-rmn", "sh", "-c", script],
      env,
      ...{ stdin: "null", stdout: "null", stderr: "piped" },
    }).spawn();
    await using server = new Running(process);
    const within = async (...command: string[]): Promise<Ended> =>
      await run("nsenter", [
        ...["--preserve-credentials", "--user", "--mount", "--net", `--target=${process.pid}`],
        ...["sh", "-c", 'export DENO_DIR=/var/cache/inlet; cd /opt/inlet; exec "$@"', "sh"],
        ...command,
      ]);
    const [, listening] = await server.says(/listening on (\S+) /);
    const token = name === "with users" ? "/etc/inlet/ben.token" : "/etc/inlet/inlet.token";
    const key = name === "at a Unix socket" ? [] : ["--token-file", token];
    const send = async (file: string): Promise<void> => {
      const deno = ["/usr/local/bin/deno", "run", "-A", "client.ts"];
      const { code, stderr } = await within(...deno, listening!, `fixtures/${file}`, ...key);
      assertEquals(code, 0, stderr);
    };
    await send("hello.txt");
    process.kill("SIGHUP");
    if (key.length > 0 && name !== "with users") await server.says(/again: the same key/);
    await send("one_byte.bin");
    const directory = name === "with another directory" ? "/srv/files" : "/var/lib/inlet";
    const { stdout } = await within("ls", directory);
    assertEquals(stdout, "hello.txt\none_byte.bin\n");
    assert(!server.log.includes("can be read by others"), server.log);
    assertEquals((await server.stop("SIGTERM")).code, 0, server.log);
  }, NAMESPACES);
}

integration("docs/service.md: logrotate rotates the log of a server that runs", async () => {
  await using local = await tempDir();
  const log = `${local.path}/inlet.log`;
  const rules = block("conf", "The log in a file").replace("/var/log/inlet/inlet.log", log);
  await local.write("rules", rules);
  await Deno.chmod(local.path, 0o755);
  const command = '"$DENO" run -A server.ts 0 --dir "$IN" 2>> "$LOG"';
  const process = new Deno.Command("sh", {
    args: ["-c", `exec ${command}`],
    cwd: ROOT,
    env: { DENO: Deno.execPath(), IN: `${local.path}/in`, LOG: log },
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  }).spawn();
  await using _ = new Running(process);
  const says = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const found = (): RegExpExecArray | null => {
      try {
        return pattern.exec(Deno.readTextFileSync(log));
      } catch {
        return null;
      }
    };
    await watchUntil(local.path, () => found() !== null);
    return found()!;
  };
  const [, port] = await says(/listening on 127\.0\.0\.1:(\d+)/);
  const server = { port: Number(port) };
  assertEquals((await runClient(server, [fixture("hello.txt")])).code, 0);
  await says(/client 1: left/);
  const forced = ["--force", "--state", `${local.path}/state`, `${local.path}/rules`];
  const rotated = await run("logrotate", forced);
  assertEquals(rotated.code, 0, rotated.stderr);
  assertEquals(Deno.readTextFileSync(log), "");
  assertEquals((await runClient(server, [fixture("one_byte.bin")])).code, 0);
  await says(/client 2: left/);
  // What comes later stands at the beginning, without a hole ahead of it.
  assertMatch(Deno.readTextFileSync(log), /^\d{4}-.* client 2: connected/);
  assertMatch(Deno.readTextFileSync(`${log}.1`), /listening on [^]*client 1: left/);
  assertEquals(names(`${local.path}/in`), ["hello.txt", "one_byte.bin"]);
}, { programs: ["logrotate"] });
