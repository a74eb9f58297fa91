/**
 * docs/openapi.json, held against the routes and the statuses of the server.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Validator } from "@seriousme/openapi-schema-validator";
import { openApiFile } from "../docs/make_openapi.ts";
import { STATUSES } from "../web/problem.ts";
import { ROUTES } from "../web/routes.ts";
import { integration, ROOT } from "./helpers.ts";

/** What a test looks at in the description. */
interface Description {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation | unknown[]>>>>;
}

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, { readonly $ref?: string }>>;
}

async function description(): Promise<Description> {
  return JSON.parse(await Deno.readTextFile(new URL("docs/openapi.json", ROOT)));
}

/** Every operation, by `METHOD path`. */
function operationsOf({ paths }: Description): Map<string, Operation> {
  const all = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).filter(([key]) => key !== "parameters")
      .map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const)
  );
  return new Map(all as [string, Operation][]);
}

integration(
  "docs/openapi.json is what docs/make_openapi.ts makes, in the form of OpenAPI 3.1",
  async () => {
    assertEquals(await Deno.readTextFile(new URL("docs/openapi.json", ROOT)), openApiFile());
    const described = await description();
    const validator = new Validator();
    const { valid, errors } = await validator.validate(
      described as unknown as Record<string, unknown>,
    );
    assertEquals([valid, validator.version, errors], [true, "3.1", undefined]);
    const ids = [...operationsOf(described).values()].map(({ operationId }) => operationId);
    assertEquals(ids.length, new Set(ids).size, ids.sort().join());
  },
);

integration(
  "docs/openapi.json describes every route with every method, and no others",
  async () => {
    const served = new Set(ROUTES.flatMap(({ method, path }) => [
      `${method} ${path}`,
      `OPTIONS ${path}`,
      ...method === "GET" ? [`HEAD ${path}`] : [],
    ]));
    assertEquals([...operationsOf(await description()).keys()].sort(), [...served].sort());
  },
);

integration(
  "docs/openapi.json has every status of a failure, and each of them is a problem",
  async () => {
    const told = new Set(Object.values(STATUSES));
    for (const { name, isFile } of Deno.readDirSync(new URL("web/", ROOT))) {
      if (!isFile) continue;
      const text = await Deno.readTextFile(new URL(`web/${name}`, ROOT));
      for (const [, status] of text.matchAll(/new Refusal\(\s*(\d{3}),/g)) told.add(Number(status));
    }
    const described = new Set<number>();
    for (const [key, { responses }] of operationsOf(await description())) {
      for (const [status, { $ref }] of Object.entries(responses)) {
        if (Number(status) < 400) continue;
        described.add(Number(status));
        assertEquals($ref, `#/components/responses/Problem${status}`, key);
      }
    }
    assertEquals([...described].sort(), [...told].sort());
  },
);
