/**
 * The state of an upload to a bucket, as it stands in an object that others may write too.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { addSamples, cutSamples, takeSamples } from "../lib/bucket/samples.ts";
import { scheduleFor } from "../lib/bucket/part_schedule.ts";
import { decodeState, encodeState, type Leased, MAX_SAMPLES } from "../lib/bucket/state.ts";
import { pure } from "./helpers.ts";

const LEASED: Leased = {
  lease: { holder: "someone", isHeld: true, serial: 7, ttlMs: 15_000, idleMs: 20 },
  state: {
    id: "7d3f1c52-0b7e-4c8e-9d8a-3f2f3b6a9e10",
    want: "photos/a.jpg",
    size: 20_000_000,
    stage: "open",
    name: "photos/a (2).jpg",
    uploadId: "2~x",
    schedule: scheduleFor(20_000_000),
    parts: [{ size: 8_388_608, crc: 0xfedcba98, etag: "e1" }],
    tail: { number: 3, size: 5, crc: 1 },
    samples: [{ offset: 8_388_608, bytes: new Uint8Array([1, 2, 3]) }],
    facts: undefined,
    outcome: undefined,
    ticket: "ab".repeat(32),
    failures: 1,
    certain: { parts: [], tail: { number: 1, size: 9, crc: 2 } },
    ongoing: { details: "ö", owner: "ada", file: undefined },
  },
};

pure("decodeState() returns what encodeState() was given", () => {
  assertEquals(decodeState(encodeState(LEASED)), LEASED);
});

pure("decodeState() takes nothing that is cut or changed anywhere for a state", () => {
  const bytes = encodeState(LEASED);
  for (let end = 0; end < bytes.length; end++) {
    assertEquals(decodeState(bytes.subarray(0, end)), undefined);
  }
  const json = JSON.parse(new TextDecoder().decode(bytes));
  const isRefused = (changed: unknown): boolean =>
    decodeState(new TextEncoder().encode(JSON.stringify(changed))) === undefined;
  for (const key of ["version", "lease", "id", "size", "stage", "schedule", "parts"]) {
    for (const value of [undefined, -1, 0.5, {}, "x", [[]], [[1, 2, 3, 4]], true]) {
      assert(isRefused({ ...json, [key]: value }), `${key}: ${JSON.stringify(value)}`);
    }
  }
  for (const key of ["name", "uploadId", "tail", "samples", "ticket", "failures", "certain"]) {
    for (const value of [-1, 0.5, {}, null, [[]], [1, 2, -3], [1, 2, 3, 4], true]) {
      assert(isRefused({ ...json, [key]: value }), `${key}: ${JSON.stringify(value)}`);
    }
  }
  for (const name of ["", "../a", "a//b", ".inlet/up/x", "a\n", 1, null]) {
    assert(isRefused({ ...json, want: name }) && isRefused({ ...json, name }), `${name}`);
  }
  assert(isRefused({ ...json, stage: "publishing" }), "without facts");
  assert(isRefused({ ...json, stage: "published" }), "without an outcome");
  assert(isRefused({ ...json, uploadId: undefined }), "parts of no upload");
  assert(isRefused({ ...json, samples: [[8_388_611, "AQID"]] }), "a sample of what is not there");
  assert(isRefused({ ...json, lease: { ...json.lease, ttlMs: 1e9 } }), "a lease of days");
});

pure(
  "addSamples() keeps samples of all that has arrived alike, and cutSamples() what is left",
  () => {
    const bytes = crypto.getRandomValues(new Uint8Array(40_000));
    let behind = 0;
    for (let round = 0; round < 200; round++) {
      const parts = [bytes.subarray(0, 30_000), bytes.subarray(30_000)] as const;
      let samples = addSamples([], 0, takeSamples(0, parts[0]), parts[0].length);
      samples = addSamples(samples, 30_000, takeSamples(30_000, parts[1]), parts[1].length);
      assertEquals(samples.length, MAX_SAMPLES);
      for (const sample of samples) {
        assertEquals(sample.bytes, bytes.slice(sample.offset, sample.offset + sample.bytes.length));
      }
      behind += samples.filter(({ offset }) => offset >= 30_000).length;
      assert(cutSamples(samples, 30_000).every(({ offset }) => offset < 30_000));
    }
    // A quarter of 3,200; ten standard deviations to either side.
    assert(behind > 550 && behind < 1050, `${behind}`);
  },
);

pure(
  "decodeState() takes no state whose parts or tail are larger than its schedule has them",
  () => {
    const { lease, state } = LEASED;
    const [part] = state.parts;
    const decoded = (changed: Partial<Leased["state"]>): Leased | undefined =>
      decodeState(encodeState({ lease, state: { ...state, samples: [], ...changed } }));
    const isTaken = (changed: Partial<Leased["state"]>): boolean => decoded(changed) !== undefined;
    const whole = part!.size;
    const parts = (...sizes: number[]) => sizes.map((size) => ({ ...part!, size }));
    const tail = (size: number) => ({ number: 1, size, crc: 1 });
    assert(isTaken({ parts: parts(whole, whole, 5), tail: undefined }));
    assert(isTaken({ parts: parts(whole), tail: tail(whole) }));
    assert(!isTaken({ parts: parts(whole, 5, whole), tail: undefined }));
    assert(!isTaken({ parts: parts(whole + 1), tail: undefined }));
    assert(!isTaken({ parts: parts(whole), tail: tail(whole + 1) }));
    assert(!isTaken({ certain: { parts: [], tail: tail(whole + 1) } }));
    assert(isTaken({ parts: parts(...Array(10_000).fill(whole)), tail: undefined }));
  },
);
