/**
 * What becomes of requests to a store that is slow, busy, broken, or no store at all.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { InletError } from "../lib/errors.ts";
import { checkBucket } from "../lib/s3/check.ts";
import { credentialsIn, fixedCredentials } from "../lib/s3/credentials.ts";
import { openBucket } from "../lib/s3/open_bucket.ts";
import type { S3Bucket } from "../lib/s3/s3_bucket.ts";
import { Watch } from "../lib/s3/watch.ts";
import { freePort, integration, run, tempDir } from "./helpers.ts";
import {
  errorAnswer,
  type OddStore,
  oddStore,
  type StoreAnswer,
  type StoreRequest,
} from "./odd_store.ts";

const SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
const TOKEN = "FwoGZXIvYXdzEXAMPLETOKEN";

/** So long that no busy machine takes a store that answers for one that does not. */
const PATIENT = { answerMs: 30_000, stallMs: 30_000, repeatMs: 60_000 };
/** For stores that never answer at first: whatever comes late is asked for again. */
const HURRIED = { ...PATIENT, answerMs: 300, stallMs: 300 };

function open({ endpoint }: { endpoint: string }, patience = PATIENT): Promise<S3Bucket> {
  const credentials = fixedCredentials({
    accessKeyId: "AKIDEXAMPLE",
    secretAccessKey: SECRET,
    sessionToken: TOKEN,
  });
  return openBucket({ bucket: "bucket", endpoint, credentials, patience });
}

const CONTENT = new TextEncoder().encode("0123456789");
const OBJECT = { headers: { etag: '"abc"' }, body: CONTENT } satisfies StoreAnswer;

/** The whole content of an object. */
async function read(bucket: S3Bucket, key = "a"): Promise<string> {
  return await new Response((await bucket.get(key))!.body).text();
}

/** The same, of chunks that are there until the next one. */
async function readLent(bucket: S3Bucket, key = "a"): Promise<string> {
  let text = "";
  for await (const chunk of (await bucket.get(key, { lent: true }))!.body) {
    text += new TextDecoder().decode(chunk);
  }
  return text;
}

/** What the store was asked, without the headers. */
function targets({ requests }: OddStore): string[] {
  return requests.map(({ method, target }) => `${method} ${target}`);
}

/** A store that never answers. The time for it begins when it has got a request, and not before. */
function silentStore(): OddStore {
  const { limit } = Watch.prototype;
  let begin = (): void => {};
  Watch.prototype.limit = function (...given): void {
    begin = () => limit.apply(this, given);
  };
  const store = oddStore(() => {
    begin();
    return "hang";
  });
  return {
    ...store,
    async [Symbol.asyncDispose](): Promise<void> {
      Watch.prototype.limit = limit;
      await store[Symbol.asyncDispose]();
    },
  };
}

const PASSING: Readonly<Record<string, StoreAnswer>> = {
  "503 SlowDown": errorAnswer(503, "SlowDown"),
  "500 InternalError": errorAnswer(500, "InternalError"),
  "502 of a proxy": { status: 502, body: "<html><body>Bad Gateway</body></html>" },
  "429": { status: 429 },
  "400 RequestTimeout": errorAnswer(400, "RequestTimeout"),
  "a connection that is closed": "cut",
  "an answer that is none": "SSH-2.0-OpenSSH_9.2\r\n",
  "no answer": "hang",
};

for (const [name, failure] of Object.entries(PASSING)) {
  integration(`lib/s3: requests are repeated after ${name}`, async () => {
    await using store = oddStore((_, number) => number <= 2 ? failure : OBJECT);
    const bucket = await open(store, failure === "hang" ? HURRIED : PATIENT);
    assertEquals(await read(bucket), "0123456789");
    assert(store.requests.length >= 3);
  });

  integration(`lib/s3: a PUT with a condition is sent once, though it meets ${name}`, async () => {
    await using store = failure === "hang" ? silentStore() : oddStore(() => failure);
    const bucket = await open(store, failure === "hang" ? HURRIED : PATIENT);
    for (const condition of [{ absent: true }, { etag: "abc" }] as const) {
      assertEquals(await bucket.put("a", CONTENT, { condition }), "unclear");
    }
    assertEquals(targets(store), ["PUT /bucket/a", "PUT /bucket/a"]);
  });

  integration(`lib/s3: Complete is sent once, though it meets ${name}`, async () => {
    await using store = failure === "hang" ? silentStore() : oddStore(() => failure);
    const bucket = await open(store, failure === "hang" ? HURRIED : PATIENT);
    const upload = { key: "a", uploadId: "u" };
    assertEquals(await bucket.complete(upload, [{ number: 1, etag: "e" }]), "unclear");
    assertEquals(targets(store), ["POST /bucket/a?uploadId=u"]);
  });

  integration(`lib/s3: a part is sent again after ${name}`, async () => {
    const part = new Uint8Array(100_000).fill(7);
    await using store = oddStore((_, number) => number === 1 ? failure : OBJECT);
    const bucket = await open(store, failure === "hang" ? HURRIED : PATIENT);
    assertEquals(await bucket.putPart({ key: "a", uploadId: "u" }, 1, part), "abc");
    for (const { body } of store.requests) assertEquals(body, part);
  });
}

integration("lib/s3: nothing is sent again because a connection had been used before", async () => {
  await using store = oddStore((_, number) => number % 2 === 1 ? OBJECT : "cut");
  const bucket = await open(store);
  const put = (key: string): Promise<unknown> =>
    bucket.put(key, CONTENT, { condition: { absent: true } });
  assertEquals([await put("a"), await put("b")], [{ etag: "abc" }, "unclear"]);
  assertEquals([await put("c"), await put("d")], [{ etag: "abc" }, "unclear"]);
  assertEquals(targets(store), ["a", "b", "c", "d"].map((key) => `PUT /bucket/${key}`));
});

integration("lib/s3: repeating has an end", async () => {
  await using store = oddStore(() => errorAnswer(503, "SlowDown"));
  const bucket = await open(store, { ...PATIENT, repeatMs: 500 });
  const error = await assertRejects(() => bucket.head("a"), InletError);
  assertEquals([error.code, error.message], [
    "overloaded",
    "The object store has a failure: HTTP 503",
  ]);
  const other = await assertRejects(() => bucket.get("a"), InletError, "is too busy");
  assertEquals(other.code, "overloaded");
});

integration(
  "lib/s3: what a store breaks off is asked for from there on, of the same object",
  () => readBrokenOff(read),
);

integration(
  "lib/s3: memory that is used again goes on too where a store breaks off",
  () => readBrokenOff(readLent),
);

async function readBrokenOff(read: (bucket: S3Bucket) => Promise<string>): Promise<void> {
  await using store = oddStore(({ headers }, number) => {
    const offset = Number(/^bytes=(\d+)-/.exec(headers.get("range") ?? "")?.[1] ?? 0);
    const body = CONTENT.subarray(offset);
    const range = offset > 0 && { "content-range": `bytes ${offset}-9/10` };
    const answer = { status: offset > 0 ? 206 : 200, headers: { etag: '"abc"', ...range }, body };
    if (number === 2) return errorAnswer(503, "SlowDown");
    return number <= 4 ? { ...answer, cutAfter: 3 } : answer;
  });
  assertEquals(await read(await open(store)), "0123456789");
  const asked = store.requests.map((
    { headers },
  ) => [headers.get("range"), headers.get("if-match")]);
  assertEquals(asked, [
    [null, null],
    ["bytes=3-", '"abc"'],
    ["bytes=3-", '"abc"'],
    ["bytes=6-", '"abc"'],
    ["bytes=9-", '"abc"'],
  ]);
}

integration("lib/s3: a body that stalls is asked for again too", async () => {
  await using store = oddStore(({ headers }) =>
    headers.has("range")
      ? { status: 206, headers: { "content-range": "bytes 4-9/10" }, body: "456789" }
      : { ...OBJECT, hangAfter: 4 }
  );
  assertEquals(await read(await open(store, HURRIED)), "0123456789");
});

integration("lib/s3: a range that ends too early is asked for again from there on", async () => {
  await using store = oddStore((_, number) => {
    const [begin, body] = number === 1 ? [4, "45"] : [6, "678"];
    const headers = { ...OBJECT.headers, "content-range": `bytes ${begin}-8/10` };
    return { status: 206, headers, body: `${body}` };
  });
  const { body } = (await (await open(store)).get("a", { range: { offset: 4, bytes: 5 } }))!;
  assertEquals(await new Response(body).text(), "45678");
});

integration(
  "lib/s3: an object that was replaced in the middle is not put together of two",
  async () => {
    await using store = oddStore((_, number) =>
      number === 1 ? { ...OBJECT, cutAfter: 4 } : errorAnswer(412, "PreconditionFailed")
    );
    const error = await assertRejects(() => open(store).then((bucket) => read(bucket)), InletError);
    assertEquals(error.code, "changed");
  },
);

integration("lib/s3: a range that was not asked for is not taken", async () => {
  await using store = oddStore(() => OBJECT);
  const bucket = await open(store);
  const range = { offset: 2, bytes: 3 };
  const error = await assertRejects(() => bucket.get("a", { range }), InletError);
  assertStringIncludes(error.message, "without the range that was asked for");
});

integration("lib/s3: a list that breaks off is asked for again, from its page on", async () => {
  const page = (key: string, more: string): string =>
    `<ListBucketResult><EncodingType>url</EncodingType>${entryOf(key)}${more}</ListBucketResult>`;
  const more =
    "<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>";
  await using store = oddStore(({ target }, number) => {
    const body = target.includes("t%261") ? page("b%2Bc+d&apos;", "") : page("a%20b", more);
    return number % 2 === 1 ? { body, cutAfter: body.length - 5 } : { body };
  });
  const keys: string[] = [];
  for await (const { objects } of (await open(store)).list({ prefix: "" })) {
    keys.push(...objects.map(({ key }) => key));
  }
  assertEquals([keys, store.requests.length], [["a b", "b+c d'"], 4]);
});

integration("lib/s3: a Complete is not believed for its status", async () => {
  const bodies: readonly [StoreAnswer, string][] = [
    [{ body: "<CompleteMultipartUploadResult><ETag/></CompleteMultipartUploadResult>" }, "done"],
    [{ body: "\n\n<Error><Code>InternalError</Code></Error>" }, "unclear"],
    [{ body: "<Error><Code>InvalidPart</Code></Error>" }, "refused"],
    [{ body: "<CompleteMultipartUploadResult>", cutAfter: 10 }, "unclear"],
    [{ body: "nonsense" }, "unclear"],
    [errorAnswer(404, "NoSuchUpload"), "refused"],
    [errorAnswer(412, "PreconditionFailed"), "refused"],
    [errorAnswer(409, "ConditionalRequestConflict"), "unclear"],
  ];
  await using store = oddStore((_, number) => bodies[number - 1]![0]);
  const bucket = await open(store);
  for (const [answer, outcome] of bodies) {
    const seen = await bucket.complete({ key: "a", uploadId: "u" }, [{ number: 1, etag: "e" }]);
    assertEquals(seen, outcome, JSON.stringify(answer));
  }
});

/** Answers that no repetition changes, and the one line for each. */
const REFUSALS: readonly [StoreAnswer, string, string][] = [
  [errorAnswer(403, "AccessDenied"), "denied", "does not permit it to these credentials"],
  [{ status: 403, body: "<h1>Forbidden</h1>" }, "denied", "does not permit it: HTTP 403"],
  [errorAnswer(403, "SignatureDoesNotMatch"), "denied", "secret access key is not the one"],
  [errorAnswer(403, "InvalidAccessKeyId"), "denied", "does not know the access key"],
  [errorAnswer(400, "ExpiredToken"), "denied", "credentials for the object store have expired"],
  [errorAnswer(403, "RequestTimeTooSkewed"), "denied", "The clock of this machine is wrong"],
  [errorAnswer(404, "NoSuchBucket"), "denied", "has no bucket of that name"],
  [
    errorAnswer(301, "PermanentRedirect", { "x-amz-bucket-region": "eu-west-3" }),
    "denied",
    "The bucket is in the region eu-west-3",
  ],
  [
    {
      status: 400,
      body: "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-north-1</Region></Error>",
    },
    "denied",
    "The bucket is in the region eu-north-1",
  ],
  [{ status: 307, headers: { location: "http://127.0.0.1:1/" } }, "internal", "no object store"],
  [{ status: 404, body: "<html><h1>Not found</h1></html>" }, "internal", "no object store"],
  [{ status: 405 }, "internal", "no object store"],
  [errorAnswer(418, "\u001b[31mTeapot"), "internal", "418 \\u{1b}[31mTeapot"],
];

integration("lib/s3: each refusal has one line, which shows no secret", async () => {
  let answer: StoreAnswer = "cut";
  await using store = oddStore(() => answer);
  const bucket = await open(store);
  for (const [refusal, code, text] of REFUSALS) {
    answer = refusal;
    const tries = [
      () => bucket.get("a"),
      () => bucket.put("a", CONTENT),
      () => bucket.put("a", CONTENT, { condition: { absent: true } }),
      () => bucket.list({ prefix: "" })[Symbol.asyncIterator]().next(),
      () => bucket.createUpload("a"),
      () => bucket.head("a"),
    ];
    // No answer to a HEAD has words, and a 404 says that there is no object.
    for (
      const action of code === "internal" || text.includes("bucket of") ? tries.slice(0, 5) : tries
    ) {
      const error = await assertRejects(async () => void await action(), InletError);
      assertEquals(error.code, code, error.message);
      assertStringIncludes(error.message, text);
      assert(!/[\n.]$/.test(error.message), error.message);
      const shown = Deno.inspect(error, { depth: 10 });
      assert(!shown.includes(SECRET) && !shown.includes(TOKEN), shown);
    }
  }
});

integration("lib/s3: what cannot be reached is told in one line", async () => {
  const gone = `127.0.0.1:${freePort()}`;
  await using plain = oddStore(() => "cut");
  const places = [
    [`http://${gone}`, "it refuses connections"],
    ["http://no.such.host.invalid", "no machine of its name is known"],
    [plain.endpoint.replace("http", "https"), "it does not speak TLS"],
    [plain.endpoint, "the connection broke off"],
  ];
  for (const [endpoint, why] of places) {
    // What will be so the next time is not tried again.
    const isFinal = why!.includes("TLS");
    const bucket = await open(
      { endpoint: endpoint! },
      { ...PATIENT, repeatMs: isFinal ? Infinity : 0 },
    );
    const upload = { key: "a", uploadId: "u" };
    for (const action of [() => bucket.head("a"), () => bucket.putPart(upload, 1, CONTENT)]) {
      const error = await assertRejects(async () => void await action(), InletError);
      assertEquals(error.code, "overloaded");
      assertStringIncludes(error.message, `Cannot reach the object store: ${why}`);
    }
  }
});

/** Makes an authority, and a certificate of it for the name. */
async function certify(dir: string, name: string): Promise<{ cert: string; key: string }> {
  const make = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
  ];
  const root = ["-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=An authority"];
  const leaf = ["-keyout", "leaf.key", "-out", "leaf.pem", "-subj", "/CN=A store"];
  const signed = ["-CA", "root.pem", "-CAkey", "root.key", "-addext", `subjectAltName=${name}`];
  const usage = ["-addext", "basicConstraints=critical,CA:FALSE"];
  for (const args of [[...make, ...root], [...make, ...leaf, ...signed, ...usage]]) {
    const { code, stderr } = await run("openssl", args, { cwd: dir });
    assertEquals(code, 0, stderr);
  }
  const [cert, key] = ["leaf.pem", "leaf.key"].map((file) =>
    Deno.readTextFileSync(`${dir}/${file}`)
  );
  return { cert: cert!, key: key! };
}

const ETAG = { etag: "abc" };

/** A program that reads and writes an object of the store at its argument. */
const READS_AND_WRITES = `
  import { openBucket } from "./lib/s3/open_bucket.ts";
  import { fixedCredentials } from "./lib/s3/credentials.ts";
  const credentials = fixedCredentials({ accessKeyId: "a", secretAccessKey: "b" });
  const bucket = await openBucket({ bucket: "bucket", endpoint: Deno.args[0], credentials });
  const put = (size) => bucket.put("a", new Uint8Array(size), { condition: { absent: true } });
  const puts = [await put(2_000_000), await put(2_000_000), await put(9), await put(9)];
  console.log(JSON.stringify(puts), await new Response((await bucket.get("a")).body).text());
`;

integration(
  "lib/s3: a store with TLS is trusted by its certificate, as Deno is told to",
  async () => {
    await using dir = await tempDir();
    const certificate = await certify(dir.path, "IP:127.0.0.1");
    // Each is the first on its connection: on one that was used before, Deno may send it again by itself.
    await using store = oddStore(
      (_, number) => [1, 3].includes(number) ? "cut" : OBJECT,
      certificate,
    );
    const bucket = await open(store);
    const upload = { key: "a", uploadId: "u" };
    for (const action of [() => bucket.get("a"), () => bucket.putPart(upload, 1, CONTENT)]) {
      const error = await assertRejects(async () => void await action(), InletError);
      const why = "its certificate is not one that this machine trusts; DENO_CERT=FILE names its " +
        "authority";
      assertEquals(error.message, `Cannot reach the object store: ${why}`);
    }
    const args = ["eval", "--cert", `${dir.path}/root.pem`, READS_AND_WRITES, store.endpoint];
    const { code, stdout, stderr } = await run(Deno.execPath(), args);
    const absent = { env: { DENO_CERT: `${dir.path}/absent.pem` } };
    const misled = await run(Deno.execPath(), [...args.slice(0, 1), ...args.slice(3)], absent);
    assertStringIncludes(misled.stderr, "the file that DENO_CERT names cannot be read");
    assertEquals([code, stdout], [
      0,
      `${JSON.stringify(["unclear", ETAG, "unclear", ETAG])} 0123456789\n`,
    ], stderr);
    const sizes = store.requests.map(({ body }) => body.length);
    assertEquals(sizes, [2e6, 2e6, 9, 9, 0]);

    await using other = oddStore(() => OBJECT, await certify(dir.path, "DNS:elsewhere"));
    const failed = await run(Deno.execPath(), [...args.slice(0, -1), other.endpoint]);
    assertStringIncludes(failed.stderr, "its certificate is not one that this machine trusts");
    assertEquals(other.requests, []);
  },
  { programs: ["openssl"] },
);

integration("lib/s3: whoever gives up ends a request with his reason", async () => {
  const asked = Promise.withResolvers<void>();
  await using store = oddStore(() => {
    asked.resolve();
    return "hang";
  });
  const bucket = await open(store);
  for (const action of ["head", "put"] as const) {
    const controller = new AbortController();
    const { signal } = controller;
    const result = action === "head"
      ? bucket.head("a", signal)
      : bucket.put("a", CONTENT, { condition: { absent: true }, signal });
    await asked.promise;
    controller.abort(new Error("enough"));
    await assertRejects(() => result, Error, "enough");
  }
});

integration("lib/s3: a file of credentials is read again once they have expired", async () => {
  await using dir = await tempDir();
  const file = (name: string): string =>
    `[other]\naws_access_key_id = X\n\n[work]\naws_access_key_id = ${name}\n` +
    `aws_secret_access_key = ${SECRET}\naws_session_token=${TOKEN}\n`;
  const path = await dir.write("credentials", file("OLDKEY"));
  let valid = "OLDKEY";
  await using store = oddStore(({ method, headers }) => {
    const isValid = headers.get("authorization")!.includes(`Credential=${valid}/`) &&
      headers.get("x-amz-security-token") === TOKEN;
    if (isValid) return OBJECT;
    return method === "HEAD" ? { status: 400 } : errorAnswer(400, "ExpiredToken");
  });
  const credentials = credentialsIn(path, "work");
  const bucket = await openBucket({ bucket: "bucket", endpoint: store.endpoint, credentials });
  assertEquals((await bucket.head("a"))?.etag, "abc");
  valid = "NEWKEY";
  await assertRejects(() => bucket.head("a"), InletError, "have expired");
  await dir.write("credentials", file("NEWKEY"));
  assertEquals((await bucket.head("a"))?.etag, "abc");
  assertEquals((await bucket.head("a"))?.etag, "abc");
  const last = store.requests.at(-1)!;
  assert(last.headers.get("authorization")!.includes("NEWKEY"));
  valid = "NEWERKEY";
  await Deno.remove(path);
  const gone = await assertRejects(() => bucket.head("a"), InletError, "have expired");
  assert(!gone.message.includes('credentials"'), gone.message);
  for (const [text, why] of [["[work]\n", "lacks aws_access_key_id"], ["", 'no profile "work"']]) {
    await dir.write("credentials", text!);
    await assertRejects(() => credentials.read(), InletError, why);
  }
  await dir.write("credentials", file("KEY").replace(SECRET, `${SECRET} \u00e9`));
  const error = await assertRejects(() => credentials.read(), InletError, "not ASCII");
  assert(!error.message.includes(SECRET));
});

/** An entry of a list. */
function entryOf(key: string, size = "1", modified = "2026-11-27T05:13:10.601Z"): string {
  return `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>${modified}` +
    "</LastModified><ETag>&quot;e&quot;</ETag></Contents>";
}

integration("lib/s3: a list with numbers and times that are none is not taken", async () => {
  const entries = [entryOf("a", "-1"), entryOf("a", ""), entryOf("a", "1", "yesterday")];
  await using store = oddStore((_, number) => ({
    body: `<ListBucketResult>${entries[number - 1]}</ListBucketResult>`,
  }));
  const bucket = await open(store);
  for (const entry of entries) {
    const first = bucket.list({ prefix: "" })[Symbol.asyncIterator]().next();
    assertEquals((await assertRejects(() => first, InletError)).code, "internal", entry);
  }
});

integration("lib/s3: a list that does not come to its end is not followed for ever", async () => {
  const more = "<IsTruncated>true</IsTruncated>";
  const answers = [
    `<ListBucketResult>${more}<NextContinuationToken>t</NextContinuationToken></ListBucketResult>`,
    `<ListMultipartUploadsResult>${more}<NextUploadIdMarker>u</NextUploadIdMarker>` +
    "</ListMultipartUploadsResult>",
    `<ListPartsResult>${more}<NextPartNumberMarker>7</NextPartNumberMarker></ListPartsResult>`,
    `<ListPartsResult>${more}</ListPartsResult>`,
  ];
  let body = "";
  await using store = oddStore(() => ({ body }));
  const bucket = await open(store);
  const parts = (): Promise<unknown> => bucket.parts({ key: "a", uploadId: "u" });
  const actions = [
    () => Array.fromAsync(bucket.list({ prefix: "" })),
    () => Array.fromAsync(bucket.uploads("")),
    parts,
    parts,
  ];
  for (const [index, action] of actions.entries()) {
    body = answers[index]!;
    await assertRejects(action, InletError, "The object store broke off a list");
  }
});

/**
 * A store of one object that keeps conditions as it is told.
 *
 * @param disturb Of the n-th PUT: whether it comes twice, by a proxy that gives the second answer, or is
 * not taken.
 */
function smallStore(
  keeps: { absent: boolean; form: "bare" | "quoted" | "none" | "ignored" },
  disturb: (put: number) => "repeat" | "refuse" | undefined = () => undefined,
): OddStore {
  let puts = 0;
  let object: { content: string; probe: string; key: string } | undefined;
  const etag = (): string => `etag-${object?.content}`;
  const answer = ({ method, target, headers, body }: StoreRequest): StoreAnswer => {
    const key = target.slice("/bucket/".length);
    if (target.includes("?versioning")) return { body: "<VersioningConfiguration/>" };
    if (target.includes("?")) {
      const entry = object ? entryOf(object.key) : "";
      return { body: `<ListBucketResult>${entry}</ListBucketResult>` };
    }
    if (method === "DELETE") object = undefined;
    if (method === "HEAD" && object) {
      const { content: body, probe } = object;
      return { headers: { etag: `"${etag()}"`, "x-amz-meta-inlet-probe": probe }, body };
    }
    if (method === "HEAD") return { status: 404 };
    if (method !== "PUT") return { status: 204 };
    const ifMatch = headers.get("if-match");
    const isMet = keeps.form === "ignored" ||
      ifMatch === (keeps.form === "bare" ? etag() : keeps.form === "quoted" ? `"${etag()}"` : "");
    const isRefused = ifMatch !== null
      ? !isMet
      : keeps.absent && headers.has("if-none-match") && object !== undefined;
    if (isRefused) return errorAnswer(412, "PreconditionFailed");
    const content = new TextDecoder().decode(body);
    object = { content, probe: headers.get("x-amz-meta-inlet-probe")!, key };
    return { headers: { etag: `"${etag()}"` } };
  };
  return oddStore((request) => {
    const disturbance = request.method === "PUT" ? disturb(++puts) : undefined;
    if (disturbance === "refuse") return errorAnswer(503, "SlowDown");
    if (disturbance === "repeat") answer(request);
    return answer(request);
  });
}

integration("lib/s3: checkBucket() finds out how the store takes If-Match", async () => {
  for (const form of ["bare", "quoted"] as const) {
    await using store = smallStore({ absent: true, form });
    const bucket = await open(store);
    await checkBucket(bucket, "p/", "p/.inlet/probe/");
    assertEquals(bucket.ifMatch, form);
    assertEquals(await bucket.list({ prefix: "" })[Symbol.asyncIterator]().next(), {
      done: false,
      value: { objects: [], prefixes: [] },
    });
  }
});

integration(
  "lib/s3: checkBucket() takes a store behind a proxy that repeats a request",
  async () => {
    for (const form of ["bare", "quoted"] as const) {
      for (let repeated = 1; repeated <= 6; repeated++) {
        const disturb = (put: number) => put === repeated ? "repeat" : undefined;
        await using store = smallStore({ absent: true, form }, disturb);
        const bucket = await open(store);
        await checkBucket(bucket, "", "probe/");
        assertEquals(bucket.ifMatch, form);
      }
    }
  },
);

integration("lib/s3: checkBucket() asks a store again that is too busy for a second", async () => {
  const begun = performance.now();
  const disturb = () => performance.now() - begun < 1000 ? "refuse" : undefined;
  await using store = smallStore({ absent: true, form: "bare" }, disturb);
  await checkBucket(await open(store), "", "probe/");
});

integration("lib/s3: checkBucket() refuses a store that could replace files", async () => {
  const stores = [
    [{ absent: false, form: "bare" }, "it ignores If-None-Match"],
    [{ absent: true, form: "ignored" }, "it ignores If-Match"],
    [{ absent: true, form: "none" }, "it takes no If-Match"],
  ] as const;
  for (const [keeps, why] of stores) {
    await using store = smallStore(keeps);
    const bucket = await open(store);
    const error = await assertRejects(() => checkBucket(bucket, "", "probe/"), InletError, why);
    assertEquals(error.code, "usage");
    assertEquals(store.requests.at(-1)!.method, "DELETE");
  }
});

integration("lib/s3: checkBucket() writes nothing where nothing may be written", async () => {
  await using store = smallStore({ absent: false, form: "none" });
  await checkBucket(await open(store), "p/");
  assertEquals(new Set(store.requests.map(({ method }) => method)), new Set(["GET"]));
});
