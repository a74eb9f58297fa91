/**
 * docs/bucket.md is tried: its rights are enough, its rule is taken, its requests are counted, and its
 * balancers lead to servers.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { openBucket } from "../lib/s3/open_bucket.ts";
import { fixedCredentials } from "../lib/s3/credentials.ts";
import { BucketScene } from "./bucket_scene.ts";
import {
  bytes,
  CEPH,
  freePort,
  integration,
  KEY,
  type Requirements,
  ROOT,
  run,
  runClient,
  Running,
  startClient,
  startServer,
  tempDir,
  type TestServer,
} from "./helpers.ts";
import { StoreProxy } from "./faults/store_proxy.ts";
import { slowLinkTo } from "./slow_link.ts";
import { begin, metadata, patch } from "./tus_wire.ts";

const PAGE = await Deno.readTextFile(new URL("docs/bucket.md", ROOT)).catch(() => "");

/** The first block of a language that has this in it. */
function blockOf(language: string, part: string): string {
  for (const [, block] of PAGE.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))) {
    if (block!.includes(part)) return block!;
  }
  throw new Error(`docs/bucket.md has no ${language} with ${part}`);
}

/** A user of the object store who may do nothing yet. */
async function makeUser(scene: BucketScene): Promise<Record<"name" | "id" | "secret", string>> {
  const name = `u${crypto.randomUUID()}`;
  const [id, secret] = [`key-${name}`, `secret-${name}`];
  await scene.ceph.ask([
    ...["radosgw-admin", "user", "create", "--uid", name, "--display-name", name] as const,
    ...["--access-key", id, "--secret-key", secret],
  ]);
  return { name, id, secret };
}

integration("docs/bucket.md: its rights are enough, and delete no file", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  const user = await makeUser(scene);
  const name = scene.store.split("/")[2]!;
  const policy = blockOf("json", "s3:AbortMultipartUpload")
    .replaceAll("USER", user.name)
    .replaceAll("BUCKET", name)
    .replaceAll("PREFIX", scene.key("").replace(/\/$/, ""));
  const permit = async (body: string): Promise<void> => {
    const answer = await scene.ceph.fetch(`${name}?policy`, { method: "PUT", body });
    await answer.body?.cancel();
  };
  await permit(policy);
  const env = {
    ...scene.env,
    AWS_ACCESS_KEY_ID: user.id,
    AWS_SECRET_ACCESS_KEY: user.secret,
  };
  const theirs = await openBucket({
    ...{ bucket: name, endpoint: scene.ceph.endpoint, region: scene.ceph.region },
    credentials: fixedCredentials({ accessKeyId: user.id, secretAccessKey: user.secret }),
  });
  await local.write("small", bytes(1000));
  await local.write("large", bytes(20_000_000));
  Deno.mkdirSync(`${local.path}/tree/empty`, { recursive: true });
  Deno.symlinkSync("empty", `${local.path}/tree/link`);
  const cwd = local.path;
  {
    await using server = await startServer({ store: scene.store, env });
    for (const words of [["small", "large"], ["tree"], ["large", "--resume", "--as", "again"]]) {
      const { code, stderr } = await runClient(server, words, { cwd });
      assertEquals(code, 0, stderr);
    }
    for (const words of [["--list"], ["--get", "large", "--output", "got"], ["--get", "tree/"]]) {
      const { code, stderr } = await runClient(server, words, { cwd: `${cwd}/tree` });
      assertEquals(code, 0, stderr);
    }
    using link = await slowLinkTo(server, 18_000_000);
    await using client = startClient(link, ["large", "--resume", "--as", "given up"], { cwd });
    await scene.partsAreNoted(1, theirs);
    await server.running.stopInsistently("SIGTERM");
    await client.stop("SIGKILL");
  }
  await using sweeper = await startServer({
    ...{ store: scene.store, env },
    args: ["--keep-partials", "1s"],
  });
  await scene.until(async () => {
    for await (const uploads of scene.bucket.uploads(scene.key(""))) {
      if (uploads.length > 0) return false;
    }
    return true;
  });
  assert(!/denied|permit/.test(sweeper.running.log), sweeper.running.log);
  await assertRejects(() => theirs.delete(scene.key("small")), Error, "does not permit it");
  assertEquals((await theirs.head(scene.key("small")))?.size, 1000);
  // A server that only reads takes two of them.
  const { Statement } = JSON.parse(policy);
  const [ofBucket, ofObjects] = Statement;
  await permit(JSON.stringify({
    ...JSON.parse(policy),
    Statement: [
      { ...ofBucket, Action: ["s3:ListBucket"] },
      { ...ofObjects, Action: ["s3:GetObject"] },
    ],
  }));
  await using reader = await startServer({ store: scene.store, env, args: ["--read-only"] });
  for (const words of [["--list"], ["--get", "large", "--output", "read"]]) {
    const { code, stderr } = await runClient(reader, words, { cwd });
    assertEquals(code, 0, stderr);
  }
}, CEPH);

integration("docs/bucket.md: its rule for uploads that nobody goes on with is taken", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  const name = scene.store.split("/")[2]!;
  const rule = await local.write("rule.json", blockOf("json", "AbortIncomplete"));
  const aws = (...args: string[]) =>
    run("aws", ["--endpoint-url", scene.ceph.endpoint, "s3api", ...args, "--bucket", name], {
      env: { ...scene.env },
    });
  const put = await aws(
    "put-bucket-lifecycle-configuration",
    ...["--lifecycle-configuration", `file://${rule}`],
  );
  assertEquals([put.code, put.stderr], [0, ""]);
  const { stdout } = await aws("get-bucket-lifecycle-configuration");
  assertEquals(JSON.parse(stdout).Rules[0].AbortIncompleteMultipartUpload.DaysAfterInitiation, 7);
}, { ...CEPH, programs: ["aws"] });

integration("docs/bucket.md: files cost the requests that it tells", async () => {
  await using scene = await BucketScene.make();
  await using local = await tempDir();
  await using proxy = await StoreProxy.start(scene.ceph);
  await using server = await startServer({ store: scene.store, env: proxy.variables });
  // It has looked for what others have left: last of all for tries of other servers.
  const isLast = ({ query }: { query: string }) => query.includes("%2Fprobe%2F");
  await scene.until(() => {
    const turn = proxy.requests.findIndex(({ path }) => path.endsWith("/.inlet/swept"));
    return Promise.resolve(turn >= 0 && proxy.requests.slice(turn).some(isLast));
  });
  let clients = 0;
  /** The requests that a command takes, by their methods. */
  const costOf = async (...args: string[]): Promise<string[]> => {
    proxy.requests.length = 0;
    const { code, stderr } = await runClient(server, args, { cwd: local.path });
    assertEquals(code, 0, stderr);
    // Behind its answer the server removes the state of an upload.
    await server.running.says(/: left, /, ++clients);
    return proxy.requests.map(({ method }) => method).sort();
  };
  await local.write("small", bytes(1000));
  await local.write("large", bytes(33_000_000));
  const parts = 4;
  assertEquals(await costOf("small"), ["PUT"]);
  assertEquals(await costOf("small"), ["HEAD", "HEAD", "PUT", "PUT"]);
  assertEquals(await costOf("small"), ["HEAD", "PUT"]);
  await local.write("other", bytes(1001));
  const retrying = await costOf("other", "--as", "small", "--retry", "1");
  assertEquals(retrying, ["GET", "GET", "HEAD", "PUT", "PUT"]);
  Deno.mkdirSync(`${local.path}/folder`);
  for (let index = 0; index < 10; index++) await local.write(`folder/${index}`, "x");
  const ofFolder = await costOf("folder");
  assertEquals(ofFolder.filter((method) => method === "PUT").length, 10 + 2);
  assert(ofFolder.length <= 10 + 2 + 3, ofFolder.join(" "));
  const ofLarge = (await costOf("large")).length;
  assert(ofLarge <= 13 + 2 * parts, `${ofLarge}`);
  assertEquals(await costOf("--get", "small", "--output", "a"), ["GET"]);
  const ofGet = await costOf("--get", "large", "--output", "b");
  assert(ofGet.every((method) => method === "GET") && ofGet.length <= parts + 1, ofGet.join(" "));
  const ofList = await costOf("--list");
  assert(ofList.length <= 1 + 16 + 1, ofList.join(" "));
  const path = await begin(server, { ...metadata({ filename: "tus" }), "Upload-Length": 9 });
  for (const [offset, requests] of [[0, "GET GET PUT PUT PUT"], [3, TO_GO_ON]] as const) {
    proxy.requests.length = 0;
    assertEquals((await patch(server, path, offset, "abc")).status, 204);
    assertEquals(proxy.requests.map(({ method }) => method).join(" "), requests);
  }
  // What was written within two seconds is looked at once more.
  await scene.until(async () => (await costOf("--list")).join() === "GET");
}, CEPH);

/** What a later request of a tus upload takes. */
const TO_GO_ON = "GET GET PUT HEAD GET PUT PUT DELETE";

const NGINX_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

const BALANCERS: Record<string, Requirements> = {
  nginx: {
    programs: ["nginx"],
    succeeds: [`test -e ${NGINX_MODULE}`, "nginx's module stream to be installed"],
  },
  haproxy: { programs: ["haproxy"] },
};

/** Starts a balancer as docs/bucket.md has it, before servers that a test has started. */
async function startBalancer(
  name: string,
  directory: string,
  servers: readonly TestServer[],
): Promise<Running & { port: number }> {
  const port = freePort();
  const [first, second] = servers;
  const conf = blockOf(name, "10.0.0.11:5000")
    .replace(/\bbind :5000|\blisten 5000/, (word) => word.replace(/:?5000/, `127.0.0.1:${port}`))
    .replace("10.0.0.11:5000", `127.0.0.1:${first!.port}`)
    .replace("10.0.0.12:5000", `127.0.0.1:${second!.port}`);
  const path = `${directory}/${name}.conf`;
  const ofNginx = `load_module ${NGINX_MODULE};\ndaemon off;\nmaster_process off;\n` +
    `pid ${directory}/nginx.pid;\nerror_log stderr;\nevents {}\n`;
  await Deno.writeTextFile(path, name === "nginx" ? ofNginx + conf : conf);
  const checked = await run(name, name === "nginx" ? ["-t", "-c", path] : ["-c", "-f", path]);
  assertEquals(checked.code, 0, checked.stderr);
  const args = name === "nginx" ? ["-c", path] : ["-db", "-f", path];
  const process = new Deno.Command(name, {
    args,
    ...{ stdin: "null", stdout: "null", stderr: "piped" },
  });
  return Object.assign(new Running(process.spawn()), { port });
}

for (const [name, requirements] of Object.entries(BALANCERS)) {
  integration(
    `docs/bucket.md: ${name} leads to servers with a key, and past one that is gone`,
    async () => {
      await using local = await tempDir();
      const file = await local.write("a.txt", "hello\n");
      const args = name === "haproxy" ? ["--proxy-from", "127.0.0.1"] : [];
      const options = { dir: `${local.path}/received`, key: KEY, args };
      await using first = await startServer(options);
      await using second = await startServer(options);
      await using balancer = await startBalancer(name, local.path, [first, second]);
      const through = { port: balancer.port, key: KEY };
      const put = async (name: string): Promise<void> => {
        const { code, stderr } = await runClient(through, [file, "--as", name, "--retry", "5"]);
        assertEquals(code, 0, stderr);
      };
      for (const name of ["a", "b", "c", "d", "e", "f"]) await put(name);
      await first.running.stop("SIGKILL");
      for (const name of ["g", "h", "i"]) await put(name);
      const { stdout } = await runClient(through, ["--list"]);
      assertEquals(stdout.trimEnd().split("\n").length, 9);
      await second.running.says(/stored "i"/);
    },
    requirements,
  );
}
