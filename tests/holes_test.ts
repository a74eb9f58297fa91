import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { BLOCK_BYTES, HoleFinder } from "../lib/store/holes.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Disk } from "../lib/store/disk.ts";
import { TempFile } from "../lib/store/temp_file.ts";
import {
  bytes,
  integration,
  ownFiles,
  pure,
  run,
  runClient,
  startServer,
  tempDir,
} from "./helpers.ts";
import { Dice } from "./faults/content.ts";
import { relayTo } from "./relay.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes that a file takes on its disk. */
function onDisk(path: string): number {
  return Deno.statSync(path).blocks! * 512;
}

/** Content with runs of zeros of many lengths, also within blocks, and data that begins with zeros. */
function mixed(dice: Dice, size: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const length = Math.min(1 + dice.below(3 * BLOCK_BYTES), size - at);
    const kind = dice.below(3);
    if (kind === 0) content.set(bytes(length), at);
    // One byte alone, where no sample is taken.
    if (kind === 1) content[at + dice.below(length)] = 1 + dice.below(255);
    at += length;
  }
  return content;
}

/** The same in chunks of random sizes, each of which begins anywhere in its buffer. */
function* chunksOf(dice: Dice, content: Uint8Array, most: number): Generator<Uint8Array> {
  for (let at = 0; at < content.length;) {
    const chunk = content.subarray(at, at += 1 + dice.below(most));
    const shift = dice.below(8);
    const buffer = new Uint8Array(chunk.length + shift);
    buffer.set(chunk, shift);
    yield buffer.subarray(shift);
  }
}

pure("HoleFinder finds whole blocks of zeros, and leaves out nothing else", () => {
  for (let seed = 0; seed < 60; seed++) {
    const dice = new Dice(seed);
    const content = mixed(dice, 1 + dice.below(12 * BLOCK_BYTES));
    const finder = new HoleFinder();
    const isLeftOut = new Uint8Array(content.length);
    let offset = 0;
    for (
      const chunk of chunksOf(dice, content, dice.of([100, 5000, BLOCK_BYTES, 4 * BLOCK_BYTES]))
    ) {
      const runs = finder.runsOf(chunk, offset);
      let at = 0;
      for (const { from, to, isHole } of runs ?? []) {
        assertEquals(from, at);
        assert(to > from);
        if (isHole) isLeftOut.fill(1, offset + from, offset + to);
        at = to;
      }
      assertEquals(at, runs ? chunk.length : 0);
      offset += chunk.length;
    }
    assert(content.every((byte, index) => byte === 0 || isLeftOut[index] === 0));
    for (let block = 0; block + BLOCK_BYTES <= content.length; block += BLOCK_BYTES) {
      const isZero = content.subarray(block, block + BLOCK_BYTES).every((byte) => byte === 0);
      if (isZero) {
        assert(isLeftOut.subarray(block, block + BLOCK_BYTES).every((left) => left === 1));
      }
    }
  }
});

integration("Store stores runs of zeros as holes, and every byte as it came", async () => {
  await using temp = await tempDir();
  for (const isSlow of [false, true]) {
    for (let seed = 0; seed < 12; seed++) {
      const dice = new Dice(seed);
      const dir = `${temp.path}/${isSlow}-${seed}`;
      const store = await DirectoryStore.open(dir, { disk: isSlow ? slowDisk() : Deno });
      const content = mixed(dice, 1 + dice.below(20 * BLOCK_BYTES));
      await using upload = store.receive("a.bin");
      for (const chunk of chunksOf(dice, content, 4 * BLOCK_BYTES)) {
        await upload.write(chunk);
        // Whoever looks at it sees all that came.
        assertEquals(Deno.statSync(ownFiles(dir)[0]!).size, upload.bytes);
      }
      await upload.publish();
      assertEquals(Deno.readFileSync(`${dir}/a.bin`), content);
    }
  }
});

/** A disk whose first write takes so long that later ones are asynchronous. */
function slowDisk(): Disk {
  return {
    ...Deno,
    openSync: (path, options) => {
      const file = Deno.openSync(path, options);
      const writeSync = file.writeSync.bind(file);
      return Object.assign(file, {
        writeSync: (chunk: Uint8Array) => {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 110);
          return writeSync(chunk);
        },
      });
    },
  };
}

for (const fsync of [false, true]) {
  integration(
    `Store stores runs of zeros of small files as holes${fsync ? ", with fsync" : ""}`,
    async () => {
      await using temp = await tempDir();
      const store = await DirectoryStore.open(temp.path, { fsync });
      const content = concat([bytes(100), new Uint8Array(4 * BLOCK_BYTES), bytes(100)]);
      using batch = store.batch();
      // Into a folder that is there, and into one that is new.
      await batch.put("a.bin", content, { mode: 0o640 });
      await batch.makeFolder("new", { files: 1 });
      await batch.put("new/b.bin", content);
      await batch.commit();
      for (const name of ["a.bin", "new/b.bin"]) {
        const path = `${temp.path}/${name}`;
        assertEquals(Deno.readFileSync(path), content);
        assert(onDisk(path) <= 2 * BLOCK_BYTES, `${name}: ${onDisk(path)} bytes`);
      }
      store.close();
    },
  );
}

integration("Store keeps and resumes a file that ends within a hole", async () => {
  await using temp = await tempDir();
  const store = await DirectoryStore.open(temp.path);
  const how = { fingerprint: "a" };
  const content = concat([bytes(100), new Uint8Array(2 * MIB), bytes(100)]);
  {
    await using upload = await store.receiveResumable("a.bin", content.length, how);
    await upload.write(content.subarray(0, MIB + 17));
  }
  const [kept] = ownFiles(temp.path);
  assertEquals(Deno.statSync(kept!).size, MIB + 17);
  assert(onDisk(kept!) < 128 * KIB, `${onDisk(kept!)} bytes`);
  for await (const partial of store.findPartials("a.bin", how)) {
    await using upload = (await partial.take(how))!;
    assertEquals(upload.kept.bytes, MIB + 17);
    // Wrong ones: the file is cut back to what was kept.
    await upload.write(new Uint8Array(MIB));
    upload.discard();
    break;
  }
  for await (const partial of store.findPartials("a.bin", how)) {
    await using upload = (await partial.take(how))!;
    assertEquals(upload.kept.bytes, MIB + 17);
    await upload.write(content.subarray(MIB + 17));
    await upload.publish();
    break;
  }
  assertEquals(Deno.readFileSync(`${temp.path}/a.bin`), content);
  assert(onDisk(`${temp.path}/a.bin`) < 300 * KIB, `${onDisk(`${temp.path}/a.bin`)} bytes`);
});

integration("a copy to another file system has the same holes", async () => {
  await using temp = await tempDir();
  const content = concat([bytes(100), new Uint8Array(2 * MIB), bytes(100)]);
  const from = TempFile.create(Deno, `${temp.path}/from`);
  from.file.writeSync(content);
  for (const keepHoles of [false, true]) {
    const to = TempFile.create(Deno, `${temp.path}/to-${keepHoles}`);
    await from.copyTo(to, keepHoles);
    assertEquals(Deno.readFileSync(to.path), content);
    assertEquals(onDisk(to.path) < MIB, keepHoles);
    to.close();
  }
  from.close();
});

integration("Store leaves nothing out on a disk without holes", async () => {
  await using temp = await tempDir();
  const disk: Disk = {
    ...Deno,
    openSync: (path, options) => {
      const file = Deno.openSync(path, options);
      const statSync = file.statSync.bind(file);
      const solid = () => ({ ...statSync(), blocks: Math.ceil(statSync().size / 512) });
      // A hole would be written as zeros, in one call that takes long.
      return Object.assign(file, { statSync: solid });
    },
  };
  const store = await DirectoryStore.open(temp.path, { disk });
  await using upload = store.receive("a.bin");
  await upload.write(new Uint8Array(MIB));
  await upload.publish();
  assertEquals(onDisk(`${temp.path}/a.bin`), MIB);
});

for (const way of ["put", "get", "raw", "reput"]) {
  integration(`holes stay holes on the disk of the receiver: ${way}`, async () => {
    await using local = await tempDir();
    const source = `${local.path}/sparse.img`;
    {
      using file = Deno.createSync(source);
      file.writeSync(bytes(1000));
      file.seekSync(40 * MIB, Deno.SeekMode.Start);
      file.writeSync(bytes(1000));
      file.truncateSync(64 * MIB);
    }
    await using server = await startServer({ args: way === "raw" ? ["--mode", "raw"] : [] });
    let stored = `${server.dir}/sparse.img`;
    if (way === "get") {
      Deno.renameSync(source, stored);
      const args = ["--get", "sparse.img", "--output", `${local.path}/got.img`];
      assertEquals((await runClient(server, args)).code, 0);
      [stored] = [`${local.path}/got.img`];
      assertEquals((await run("cmp", [stored, `${server.dir}/sparse.img`])).code, 0);
    } else {
      if (way === "reput") {
        using relay = await relayTo(server, { direction: "up", bytes: 20 * MIB, way: "end" });
        assertEquals((await runClient(relay, [source, "--resume"])).code, 4);
        // The partial file gets another name when the server sees that.
        await server.running.says(/client 1: left/);
        const [kept] = ownFiles(server.dir);
        assert(onDisk(kept!) < MIB, `${onDisk(kept!)} bytes`);
      }
      const args = way === "raw" ? ["--mode", "raw"] : way === "reput" ? ["--resume"] : [];
      assertEquals((await runClient(server, [source, ...args])).code, 0);
      if (way === "raw") stored = `${server.dir}/1.file`;
      assertEquals((await run("cmp", [stored, source])).code, 0);
    }
    assertEquals(Deno.statSync(stored).size, 64 * MIB);
    assert(onDisk(stored) <= 256 * KIB, `${onDisk(stored)} bytes`);
  }, { programs: ["cmp"] });
}
