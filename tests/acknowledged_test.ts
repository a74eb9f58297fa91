import { assertEquals, assertRejects } from "@std/assert";
import { AcknowledgedUploads } from "../lib/server/acknowledged.ts";
import { integration, names, pure, startServer } from "./helpers.ts";
import { Wire } from "./wire.ts";

const UPLOAD = { id: "8f1c2d5e9a3b4c6d", size: 6, crc: 0x363a3020 };

pure("AcknowledgedUploads publishes an upload once, and another one too", async () => {
  const uploads = new AcknowledgedUploads();
  let published = 0;
  let discarded = 0;
  const publish = (): string => `${++published}`;
  const send = (upload: { id: string | undefined; size: number; crc: number }) =>
    uploads.publishOnce(upload, publish, () => void discarded++);
  assertEquals([await send(UPLOAD), await send(UPLOAD)], ["1", "1"]);
  assertEquals([published, discarded], [1, 1]);
  assertEquals(await send({ ...UPLOAD, id: "8f" }), "2");
  assertEquals(await send({ ...UPLOAD, size: 7 }), "3");
  assertEquals(await send({ ...UPLOAD, crc: 0 }), "4");
  assertEquals(await send(UPLOAD), "1");
  // Without an id, or with one that is too long, each is an upload of its own.
  for (const id of [undefined, "", "x".repeat(65)]) {
    const [one, other] = [await send({ ...UPLOAD, id }), await send({ ...UPLOAD, id })];
    assertEquals(Number(other), Number(one) + 1);
  }
});

pure(
  "AcknowledgedUploads waits for one that is being published, and not for one that failed",
  async () => {
    const uploads = new AcknowledgedUploads();
    const first = Promise.withResolvers<string>();
    const second = Promise.withResolvers<string>();
    let calls = 0;
    const one = uploads.publishOnce(UPLOAD, () => first.promise);
    const two = uploads.publishOnce(UPLOAD, () => (calls++, second.promise));
    const three = uploads.publishOnce(UPLOAD, () => (calls++, "never"));
    first.reject(new Error("the disk is full"));
    await assertRejects(() => one, Error, "the disk is full");
    second.resolve("a.txt");
    assertEquals([await two, await three, calls], ["a.txt", "a.txt", 1]);
  },
);

pure("AcknowledgedUploads forgets the oldest of ten thousand", async () => {
  const uploads = new AcknowledgedUploads();
  let published = 0;
  const send = (id: number): Promise<string> =>
    uploads.publishOnce({ ...UPLOAD, id: String(id) }, () => String(published++));
  for (let id = 0; id < 10_001; id++) await send(id);
  assertEquals([await send(1), published], ["1", 10_001]);
  assertEquals([await send(0), published], ["10001", 10_002]);
});

const END = "hello\nend 363a3020\n";

for (const access of [[], ["--drop-only"]]) {
  integration(`an upload with the same id is stored once, by all requests ${access}`, async () => {
    await using server = await startServer({ args: access });
    const id = "id=0123456789abcdef0123456789abcdef";
    const requests = [
      `push;${id} 6 a.txt\n${END}`,
      `put;${id} 6 a.txt\n${END}`,
      `reput;${id} ${"0".repeat(64)} 6 a.txt\n${END}`,
      `put;${id} - a.txt\ndata 6\n${END}`,
    ];
    for (const request of [...requests, ...requests.toReversed()]) {
      // Each on a connection of its own, as after a loss.
      using wire = await Wire.greet(server);
      await wire.says(`${request}exit\n`);
      const answers = (await wire.rest()).replace(/^go.* 0\n/, "");
      assertEquals(answers, "ok 6 363a3020 a.txt\nok bye\n");
    }
    assertEquals(names(server.dir), ["a.txt"]);
    // Other bytes with that id are another file.
    using wire = await Wire.greet(server);
    await wire.says(`push;${id} 0 a.txt\nend 00000000\npush;id=x 6 a.txt\n${END}`);
    const shown = access.length > 0 ? ["a.txt", "a.txt"] : ["a (2).txt", "a (3).txt"];
    assertEquals(await wire.line(), `ok 0 00000000 ${shown[0]}`);
    assertEquals(await wire.line(), `ok 6 363a3020 ${shown[1]}`);
    assertEquals(names(server.dir), ["a (2).txt", "a (3).txt", "a.txt"]);
  });
}
