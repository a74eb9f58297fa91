/**
 * Writes docs/openapi.json, the description of HTTP for programs: OpenAPI 3.1. What the routes are and
 * do is said here; the statuses of failures and the kinds of archives are those of web/.
 *
 * ```sh
 * deno run --allow-read --allow-write docs/make_openapi.ts
 * ```
 *
 * @module
 */

import denoJson from "../deno.json" with { type: "json" };
import { ARCHIVES } from "../web/archive_formats.ts";
import { REASONS } from "../web/problem.ts";
import {
  BYTES,
  type Json,
  NAME,
  PARAMETERS,
  schemaOf,
  SCHEMAS,
  TEXT,
} from "./openapi_components.ts";

/** What one method does at one path. */
interface Operation {
  readonly id: string;
  readonly summary: string;
  /** Names of {@linkcode PARAMETERS}, besides those in the path. */
  readonly parameters?: readonly (keyof typeof PARAMETERS)[];
  readonly body?: Json;
  /** By status, what is not a failure. */
  readonly responses: Readonly<Record<number, Json>>;
  /** Statuses of failures, besides {@linkcode EVERYWHERE}. */
  readonly problems?: readonly number[];
}

/** Statuses of failures that any request can have. */
const EVERYWHERE: readonly number[] = [
  ...[400, 401, 403, 408, 413, 417, 421, 429, 431, 500, 501, 503, 505],
];

/** The same for what stores a body. */
const STORING: readonly number[] = [411, 415, 507];

const CONDITIONS = ["IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince"] as const;

const LISTS = {
  "text/html": { schema: TEXT },
  "application/json": { schema: schemaOf("List") },
};
const PACKED = Object.fromEntries(
  Object.values(ARCHIVES).map(({ type }) => [type, { schema: BYTES }]),
);

const PUT: Operation = {
  id: "putFile",
  summary: "Stores the body under the first free name. No file is ever replaced.",
  parameters: [
    ...["IfMatch", "IfNoneMatch", "IfUnmodifiedSince"] as const,
    ...["ContentDigest", "ReprDigest", "LastModified"] as const,
  ],
  body: { required: true, content: { "application/octet-stream": { schema: BYTES } } },
  responses: { 201: stored("The file is stored.", schemaOf("Stored")) },
  problems: [...STORING, 409, 412],
};

const POST: Operation = {
  id: "postForm",
  summary: "Stores the files of a form, all of them or none.",
  body: {
    required: true,
    content: {
      "multipart/form-data": { schema: { type: "object", additionalProperties: BYTES } },
    },
  },
  responses: {
    201: answer("The files are stored.", {
      "application/json": { schema: schemaOf("StoredFiles") },
      "text/html": { schema: TEXT },
    }, ["Location"]),
  },
  problems: STORING,
};

const PATCH: Operation = {
  id: "appendToUpload",
  summary: "Appends bytes to an upload. With the last one the file is stored.",
  parameters: ["TusResumable", "UploadOffset", "UploadLength", "UploadChecksum"],
  body: { required: true, content: { "application/offset+octet-stream": { schema: BYTES } } },
  responses: {
    204: answer("The bytes are kept.", undefined, [
      ...["Upload-Offset", "Upload-Expires", "Inlet-Name", "Content-Location", "Tus-Resumable"],
    ]),
  },
  problems: [...STORING, 404, 405, 409, 412, 423, 460],
};

const ABILITIES: Operation = {
  id: "tusAbilities",
  summary: "Tells what of tus the server supports.",
  responses: {
    204: answer("Versions, extensions and limits.", undefined, [
      ...["Tus-Version", "Tus-Extension", "Tus-Checksum-Algorithm", "Tus-Max-Size"],
    ]),
  },
};

/** Every method at every path. `HEAD` follows from `GET`, and `OPTIONS` stands here where it says more. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  "GET /": {
    id: "getPage",
    summary: "Sends the page for browsers. It needs no key.",
    parameters: ["IfNoneMatch"],
    responses: pageFile(["text/html"]),
  },
  "GET /page/{name}": {
    id: "getPageFile",
    summary: "Sends a file of the page. It needs no key.",
    parameters: ["IfNoneMatch"],
    responses: pageFile(["text/css", "text/javascript"]),
    problems: [404],
  },
  "GET /favicon.ico": {
    id: "getIcon",
    summary: "Tells browsers, which ask for it on their own, that there is no icon.",
    responses: { 204: { description: "There is none." } },
  },
  "GET /about": {
    id: "tellAbout",
    summary: "Tells what the visitor is and may do. It needs no key.",
    responses: {
      200: answer("The visitor.", { "application/json": { schema: schemaOf("About") } }),
    },
  },
  "POST /sign-in": {
    id: "signIn",
    summary: "Gives the client a cookie for the key. It needs none before.",
    body: {
      required: true,
      content: { "application/x-www-form-urlencoded": { schema: schemaOf("SignIn") } },
    },
    responses: {
      204: answer("The client has signed in.", undefined, ["Set-Cookie"]),
      303: answer("The same, for one that prefers HTML: the page.", undefined, [
        ...["Location", "Set-Cookie"],
      ]),
    },
    problems: [411, 415],
  },
  "POST /sign-out": {
    id: "signOut",
    summary: "Ends what the cookie stands for.",
    responses: {
      204: answer("The client has signed out.", undefined, ["Set-Cookie"]),
      303: answer("The same, for one that prefers HTML: the page.", undefined, [
        ...["Location", "Set-Cookie"],
      ]),
    },
  },
  "GET /events": {
    id: "followEvents",
    summary: "Tells what happens at the server, as server-sent events.",
    parameters: ["VisitorName"],
    responses: { 200: answer("The events.", { "text/event-stream": { schema: TEXT } }) },
  },
  "POST /talk": {
    id: "talk",
    summary:
      "Says something to all, or tells it one other client, as a session on the native wire does.",
    parameters: ["Visitor", "VisitorName", "To"],
    body: { required: true, content: { "text/plain": { schema: TEXT } } },
    responses: {
      200: answer("The same text, and ` ACK`.", { "text/plain": { schema: TEXT } }),
      202: answer("That client gets it once its request in progress is over."),
      204: answer("It is on its way to that client."),
    },
    problems: [404, 411, 415],
  },
  "GET /status": {
    id: "getStatus",
    summary: "Lists the clients that are connected, and those before.",
    responses: {
      200: answer("The clients.", { "application/json": { schema: schemaOf("Status") } }),
    },
  },
  "GET /files/": {
    id: "listAll",
    summary: "Lists the directory, or gets all of it as an archive.",
    parameters: ["Archive"],
    responses: { 200: answer("A list, or an archive.", { ...LISTS, ...PACKED }) },
    problems: [404],
  },
  "GET /files/{name}": {
    id: "getFile",
    summary:
      "Gets a file. If the name ends with a slash, it lists that folder, or gets an archive.",
    parameters: ["Archive", "Range", ...CONDITIONS, "IfRange", "WantReprDigest"],
    responses: {
      200: answer("The file, a list, or an archive.", {
        "application/octet-stream": { schema: BYTES },
        ...LISTS,
        ...PACKED,
      }, ["ETag", "Last-Modified", "Content-Disposition", "Repr-Digest"]),
      206: answer("A part of the file.", { "application/octet-stream": { schema: BYTES } }, [
        ...["ETag", "Last-Modified", "Content-Range"],
      ]),
      304: answer("The client has this version.", undefined, ["ETag"]),
      308: answer("It is a folder.", undefined, ["Location"]),
    },
    problems: [404, 409, 412, 416],
  },
  "PUT /files/{name}": PUT,
  "PUT /{name}": { ...PUT, id: "putFileAtRoot", summary: "Does the same as PUT /files/{name}." },
  "POST /files/": POST,
  "POST /files/{name}": {
    ...POST,
    id: "postFormToFolder",
    summary: "Stores the files of a form in a folder; the name ends with a slash.",
  },
  "GET /metrics": {
    id: "getMetrics",
    summary: "Tells what the server has done, for Prometheus.",
    responses: { 200: answer("Metrics.", { "text/plain": { schema: TEXT } }) },
  },
  "POST /uploads/": {
    id: "createUpload",
    summary: "Creates a resumable upload (tus 1.0.0), with or without its first bytes.",
    parameters: [
      ...["TusResumable", "UploadLength", "UploadDeferLength"] as const,
      ...["UploadMetadata", "UploadConcat", "UploadChecksum"] as const,
    ],
    body: { content: { "application/offset+octet-stream": { schema: BYTES } } },
    responses: {
      201: answer("The upload.", { "application/json": { schema: schemaOf("Stored") } }, [
        ...["Location", "Upload-Offset", "Upload-Expires", "Inlet-Name", "Content-Location"],
      ]),
    },
    problems: [...STORING, 404, 405, 412, 423, 460],
  },
  "OPTIONS /uploads/": ABILITIES,
  "HEAD /uploads/{name}": {
    id: "tellOffset",
    summary: "Tells how much of an upload has arrived.",
    parameters: ["TusResumable"],
    responses: {
      200: answer("The upload.", undefined, [
        ...["Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata"],
        ...["Upload-Concat", "Upload-Expires", "Inlet-Name", "Content-Location"],
      ]),
    },
    problems: [404, 405, 412, 423],
  },
  "PATCH /uploads/{name}": PATCH,
  "POST /uploads/{name}": {
    ...PATCH,
    id: "overrideMethod",
    summary: "Does what X-HTTP-Method-Override says, which is here PATCH.",
    parameters: ["MethodOverride", ...PATCH.parameters!],
  },
  "DELETE /uploads/{name}": {
    id: "deleteUpload",
    summary: "Ends an upload, and removes what has arrived. A file that is stored stays.",
    parameters: ["TusResumable"],
    responses: { 204: { description: "It is gone." } },
    problems: [404, 405, 412, 423],
  },
  "OPTIONS /uploads/{name}": { ...ABILITIES, id: "tusAbilitiesOfUpload" },
};

/** The whole description. */
export function openApi(): Json {
  const operations: Record<string, Operation> = { ...OPERATIONS };
  for (const [key, operation] of Object.entries(OPERATIONS)) {
    const [method, path] = key.split(" ") as [string, string];
    const id = `${operation.id}Head`;
    if (method === "GET") operations[`HEAD ${path}`] = headOf({ ...operation, id });
    operations[`OPTIONS ${path}`] ??= optionsOf(path);
  }
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [key, operation] of Object.entries(operations)) {
    const [method, path] = key.split(" ") as [string, string];
    const item = paths[path] ??= path.includes("{name}") ? { parameters: [NAME] } : {};
    item[method.toLowerCase()] = operationOf(operation);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "inlet",
      version: denoJson.version,
      license: { name: denoJson.license, identifier: denoJson.license },
      description: "HTTP on the port of an inlet server. docs/http.md and docs/tus.md explain it.",
    },
    servers: [{ url: "http://127.0.0.1:5000" }],
    security: [{}, { basic: [] }, { bearer: [] }, { cookie: [] }],
    paths,
    components: {
      parameters: PARAMETERS,
      responses: problemResponses(Object.values(operations)),
      schemas: SCHEMAS,
      securitySchemes: {
        basic: { type: "http", scheme: "basic" },
        bearer: { type: "http", scheme: "bearer" },
        // Its name ends with the port of the server.
        cookie: { type: "apiKey", in: "cookie", name: "__Host-inlet-5000" },
      },
    },
  };
}

function headOf(operation: Operation): Operation {
  const entries = Object.entries(operation.responses)
    .filter(([status]) => !RANGES.has(status))
    .map(([status, { content: _, ...response }]) => [status, response]);
  return {
    ...operation,
    summary: "Does the same without the body.",
    parameters: (operation.parameters ?? []).filter((name) => !RANGES.has(name)),
    responses: Object.fromEntries(entries),
    problems: (operation.problems ?? []).filter((status) => !RANGES.has(`${status}`)),
  };
}

/** What has to do with ranges, which only GET has. */
const RANGES: ReadonlySet<string> = new Set(["Range", "IfRange", "206", "416"]);

function optionsOf(path: string): Operation {
  return {
    id: `methodsOf${path.replace(/\W+/g, "_")}`,
    summary: "Tells the methods of the path.",
    responses: { 204: answer("The methods.", undefined, ["Allow"]) },
  };
}

function problemsOf({ problems = [] }: Operation): number[] {
  return [...new Set([...EVERYWHERE, ...problems])].sort();
}

function operationOf(operation: Operation): Json {
  const { id, summary, parameters = [], body, responses } = operation;
  const problems = problemsOf(operation)
    .map((status) => [status, { $ref: `#/components/responses/Problem${status}` }]);
  return {
    operationId: id,
    summary,
    ...parameters.length > 0 && {
      parameters: parameters.map((name) => ({ $ref: `#/components/parameters/${name}` })),
    },
    ...body && { requestBody: body },
    responses: { ...responses, ...Object.fromEntries(problems) },
  };
}

function problemResponses(operations: readonly Operation[]): Json {
  const statuses = [...new Set(operations.flatMap(problemsOf))].sort();
  return Object.fromEntries(statuses.map((status) => [`Problem${status}`, {
    description: REASONS[status],
    content: {
      "application/problem+json": { schema: schemaOf("Problem") },
      "text/html": { schema: TEXT },
    },
  }]));
}

function answer(description: string, content?: Json, headers: readonly string[] = []): Json {
  const fields = Object.fromEntries(headers.map((name) => [name, { schema: TEXT }]));
  return {
    description,
    ...headers.length > 0 && { headers: fields },
    ...content && { content },
  };
}

function pageFile(types: readonly string[]): Operation["responses"] {
  const content = Object.fromEntries(types.map((type) => [type, { schema: TEXT }]));
  return {
    200: answer("The file.", content, ["ETag"]),
    304: answer("The client has this version.", undefined, ["ETag"]),
  };
}

function stored(description: string, schema: Json): Json {
  return answer(description, { "application/json": { schema } }, ["Location"]);
}

/** The file. */
export function openApiFile(): string {
  return `${JSON.stringify(openApi(), null, 2)}\n`;
}

if (import.meta.main) {
  Deno.writeTextFileSync(new URL("openapi.json", import.meta.url), openApiFile());
}
