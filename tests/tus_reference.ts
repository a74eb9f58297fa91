/**
 * npm's reference server of tus as a program: `tus_reference.ts DIRECTORY MAX_SIZE`. The tests hold it
 * and ours against the same cases. Nothing of the product imports it.
 *
 * @module
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [directory = "", maxSize = ""] = Deno.args;
const tus = new Server({
  path: "/uploads",
  maxSize: Number(maxSize),
  datastore: new FileStore({ directory, expirationPeriodInMilliseconds: 86_400_000 }),
});
const http = createServer(tus.handle.bind(tus));
http.listen(0, "127.0.0.1", () => {
  console.error(`listening on 127.0.0.1:${(http.address() as AddressInfo).port}`);
});
Deno.addSignalListener("SIGTERM", () => Deno.exit());
