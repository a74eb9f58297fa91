/**
 * The state of an upload in parts: the object from which any server can go on with it.
 *
 * It is JSON. Servers of another version write into the same bucket, and so may others who may write
 * there: what is read is checked like any other input.
 *
 * An upload is in one stage after another:
 *
 * 1. `open`: parts arrive. Whoever holds the lease (leased.ts) sends them.
 * 2. `publishing`: all has arrived, and its facts are known. A Complete may be under way, so nobody may
 *    abort the upload any more: radosgw drops the data of a completed one later, at its garbage collection.
 * 3. `published`: the file is there. The state stays for a while, for a client whose answer was lost.
 *
 * Or it is `discarding`: its parts may be gone. It is neither resumed nor completed any more.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { Outcome } from "../store/ongoing.ts";
import { safeName } from "../store/names.ts";
import { OWN_PREFIX } from "./layout.ts";
import { decodeSchedule, partRange, type PartSchedule } from "./part_schedule.ts";

/** Where states stand, below the prefix of the store. */
export const STATES = `${OWN_PREFIX}up/`;

/** Most bytes of a state that is read: 10,000 parts have about 600 KB, and details 192 KiB. */
export const MAX_STATE_BYTES: number = 2 * 1024 * 1024;

/** Most bytes of one sample. */
export const SAMPLE_BYTES = 256;

/** Most samples of one upload: as many ranges as a client answers for. */
export const MAX_SAMPLES = 16;

/** How far an upload is. */
export type Stage = "open" | "publishing" | "published" | "discarding";

/** A part that is stored. */
export interface NotedPart {
  /** In bytes. */
  readonly size: number;
  /** CRC-32. */
  readonly crc: number;
  /** As the store gave it. */
  readonly etag: string;
}

/** The object with what has arrived behind the last whole part. */
export interface NotedTail {
  /** Its number, which no other tail of the upload has. */
  readonly number: number;
  /** In bytes. */
  readonly size: number;
  /** CRC-32. */
  readonly crc: number;
}

/** Bytes of the content, by which a client proves that it has the file. */
export interface Sample {
  /** Where they are. */
  readonly offset: number;
  /** At most {@linkcode SAMPLE_BYTES}. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What has arrived. */
export interface Arrived {
  /** The parts that are stored: the first ones, without a gap. */
  readonly parts: readonly NotedPart[];
  /** What follows them. */
  readonly tail?: NotedTail | undefined;
}

/** What a wire keeps of an upload that goes on over several requests. */
export interface Ongoing {
  /** At most 64 KiB of text. */
  readonly details: string;
  /** Who began it. */
  readonly owner?: string | undefined;
  /** The hash of the fingerprint of its file. */
  readonly file?: string | undefined;
}

/** What is known of an upload. */
export interface UploadState extends Arrived {
  /** A random UUID: the `inlet-id` of its placeholder and of its file. */
  readonly id: string;
  /** The name that its client wants. */
  readonly want: string;
  /** In bytes; `null` if its client does not know it. */
  readonly size: number | null;
  readonly stage: Stage;
  /** The name that it has claimed, or is about to claim: this is saved first. */
  readonly name?: string | undefined;
  /** That of the upload in parts at that name, once it has begun. */
  readonly uploadId?: string | undefined;
  /** Where parts begin. It never changes. */
  readonly schedule: PartSchedule;
  readonly samples: readonly Sample[];
  /** The metadata of the file, of an upload that is being published or is published. */
  readonly facts?: Readonly<Record<string, string>> | undefined;
  /** What became of it, if it is published. */
  readonly outcome?: Outcome | undefined;
  /** SHA-256 of the ticket by which its client resumes it. */
  readonly ticket?: string | undefined;
  /** How many attempts to resume it failed with wrong content. */
  readonly failures: number;
  /** What counts if the attempt that is under way is not confirmed. */
  readonly certain?: Arrived | undefined;
  /** Only of an upload that goes on over several requests. */
  readonly ongoing?: Ongoing | undefined;
}

/** Who may change the state. */
export interface Lease {
  /** Random, of whoever saved it. */
  readonly holder: string;
  /** Whether it is held, and not released. */
  readonly isHeld: boolean;
  /** Counts what was saved, so that no two states have the same bytes and so the same ETag. */
  readonly serial: number;
  /** Milliseconds for which the lease is held after it was saved. */
  readonly ttlMs: number;
  /** Milliseconds since something arrived, when it was saved. */
  readonly idleMs: number;
}

/** A state and its lease, as they stand in an object. */
export interface Leased {
  readonly lease: Lease;
  readonly state: UploadState;
}

/** Bytes that have arrived. */
export function bytesOf({ parts, tail }: Arrived): number {
  return parts.reduce((sum, { size }) => sum + size, tail?.size ?? 0);
}

/** What counts of what has arrived. */
export function certainOf({ certain, parts, tail }: UploadState): Arrived {
  return certain ?? { parts, tail };
}

/** The state of an upload of which nothing has arrived. */
export function newState(
  known: Pick<UploadState, "id" | "want" | "size" | "schedule" | "ticket" | "ongoing">,
): UploadState {
  return { ...known, stage: "open", parts: [], samples: [], failures: 0 };
}

/** The key of a state. @param hash What it is found by. */
export function stateKey(prefix: string, hash: string, id: string): string {
  return `${prefix}${STATES}${hash}/${id}`;
}

/** What an empty object among the states begins with that finds one by the file: behind it is its hash. */
export const ONGOING_REFERENCE = "ongoing-";

/** The key of the state of an upload that goes on over several requests. @param hash Of its id. */
export function ongoingKey(prefix: string, hash: string): string {
  return `${prefix}${OWN_PREFIX}ongoing/${hash}`;
}

/** The key of a tail, or what the keys of all tails of an upload begin with. */
export function tailKey(prefix: string, id: string, number: number | ""): string {
  return `${prefix}${OWN_PREFIX}tail/${id}/${number}`;
}

/** The key of the facts of a file that was sent in parts. */
export function factsKey(prefix: string, id: string): string {
  return `${prefix}${OWN_PREFIX}facts/${id}`;
}

/** Hashes what an upload is found by, or a ticket: reading the bucket's keys gives nobody an upload. */
export async function hashOf(
  kind: "file" | "ticket" | "upload" | "sent",
  secret: string,
): Promise<string> {
  const bytes = new TextEncoder().encode(`inlet ${kind} ${secret}`);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Makes the id of an upload. */
export function newId(): string {
  return crypto.randomUUID();
}

/** Encodes a state with its lease. */
export function encodeState({ lease, state }: Leased): Uint8Array<ArrayBuffer> {
  const samples = state.samples.map(({ offset, bytes }) => [offset, bytes.toBase64()]);
  const { certain } = state;
  const json = {
    ...{ version: VERSION, lease, ...state, samples, ...encodeArrived(state) },
    ...certain && { certain: encodeArrived(certain) },
  };
  return new TextEncoder().encode(JSON.stringify(json));
}

/** The version of the states that are written. */
const VERSION = 1;

function encodeArrived({ parts, tail }: Arrived): Json {
  return {
    parts: parts.map(({ size, crc, etag }) => [size, crc, etag]),
    ...tail && { tail: [tail.number, tail.size, tail.crc] },
  };
}

/** Decodes a state; returns `undefined` if it is none, or of another version. */
export function decodeState(bytes: Uint8Array): Leased | undefined {
  if (bytes.length > MAX_STATE_BYTES) return undefined;
  try {
    const json = objectIn(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
    if (json.version !== VERSION) return undefined;
    return { lease: leaseIn(json.lease), state: stateIn(json) };
  } catch (error) {
    const isRefused = error instanceof Malformed || error instanceof InletError;
    if (isRefused || error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Something that is not as it has to be. */
class Malformed extends Error {}

type Json = Readonly<Record<string, unknown>>;

function leaseIn(value: unknown): Lease {
  const { holder, isHeld, serial, ttlMs, idleMs } = objectIn(value);
  return {
    holder: textIn(holder, 64),
    isHeld: isHeld !== false,
    serial: countIn(serial),
    ttlMs: countIn(ttlMs, MAX_TTL_MS),
    idleMs: countIn(idleMs),
  };
}

/** Longest lease that is believed: nobody can keep an upload from others for longer. */
const MAX_TTL_MS = 60_000;

function stateIn(json: Json): UploadState {
  const { id, want, size, stage, name, uploadId, facts, outcome, ticket, certain, ongoing } = json;
  const schedule = decodeSchedule(json.schedule);
  if (!STAGES.has(stage as Stage) || !schedule) throw new Malformed();
  const arrived = arrivedIn(json, schedule);
  const state: UploadState = {
    ...{ id: idIn(id), want: nameIn(want), stage: stage as Stage, schedule },
    size: size === null ? null : countIn(size),
    name: optional(name, nameIn),
    uploadId: optional(uploadId, (text) => textIn(text, MAX_TEXT)),
    ...arrived,
    samples: samplesIn(json.samples, bytesOf(arrived)),
    facts: optional(facts, recordIn),
    outcome: optional(outcome, outcomeIn),
    ticket: optional(ticket, (text) => hexIn(text, 64)),
    failures: countIn(json.failures),
    certain: optional(certain, (value) => arrivedIn(objectIn(value), schedule)),
    ongoing: optional(ongoing, ongoingIn),
  };
  checkStage(state);
  return state;
}

const STAGES: ReadonlySet<Stage> = new Set(["open", "publishing", "published", "discarding"]);

/** Longest name of anything else, in UTF-16. */
const MAX_TEXT = 4096;

/** What each stage needs. */
function checkStage({ stage, name, uploadId, parts, facts, outcome }: UploadState): void {
  if (parts.length > 0 && (name === undefined || uploadId === undefined)) throw new Malformed();
  if (stage === "publishing" && (!facts || uploadId === undefined)) throw new Malformed();
  if ((stage === "published") !== (outcome !== undefined)) throw new Malformed();
}

/** What has arrived, in parts as they are due: buffers have their sizes. */
function arrivedIn({ parts, tail }: Json, schedule: PartSchedule): Arrived {
  const noted = listIn(parts, 10_000).map((part): NotedPart => {
    const [size, crc, etag] = listIn(part, 3);
    return { size: countIn(size), crc: countIn(crc, MAX_CRC), etag: textIn(etag, 256) };
  });
  noted.forEach(({ size }, index) => {
    const { bytes } = partRange(schedule, index + 1);
    if (size > bytes || size < bytes && index < noted.length - 1) throw new Malformed();
  });
  const rest = optional(tail, tailIn);
  if (rest && rest.size > partRange(schedule, noted.length + 1).bytes) throw new Malformed();
  return { parts: noted, tail: rest };
}

const MAX_CRC = 0xffffffff;

function tailIn(value: unknown): NotedTail {
  const [number, size, crc] = listIn(value, 3);
  return { number: countIn(number), size: countIn(size), crc: countIn(crc, MAX_CRC) };
}

function samplesIn(value: unknown, all: number): Sample[] {
  return listIn(value, MAX_SAMPLES).map((sample) => {
    const [offset, base64] = listIn(sample, 2);
    const bytes = Uint8Array.fromBase64(textIn(base64, 2 * SAMPLE_BYTES));
    const isWithin = bytes.length > 0 && bytes.length <= SAMPLE_BYTES;
    if (!isWithin || countIn(offset) + bytes.length > all) throw new Malformed();
    return { offset: countIn(offset), bytes };
  });
}

function outcomeIn(value: unknown): Outcome {
  const { name, size } = objectIn(value);
  return { name: nameIn(name), size: countIn(size) };
}

function ongoingIn(value: unknown): Ongoing {
  const { details, owner, file } = objectIn(value);
  return {
    details: textIn(details, 64 * 1024),
    owner: optional(owner, (text) => textIn(text, MAX_TEXT)),
    file: optional(file, (text) => hexIn(text, 64)),
  };
}

function recordIn(value: unknown): Record<string, string> {
  const entries = Object.entries(objectIn(value)).map(([key, text]) => [key, textIn(text, 1024)]);
  return Object.fromEntries(entries);
}

function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}

function objectIn(value: unknown): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Malformed();
  return value as Json;
}

function listIn(value: unknown, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw new Malformed();
  return value;
}

function textIn(value: unknown, most: number): string {
  if (typeof value !== "string" || value.length > most) throw new Malformed();
  return value;
}

/** A name below the prefix: a state must not have another key written. */
function nameIn(value: unknown): string {
  const name = textIn(value, MAX_TEXT);
  if (safeName(name) !== name) throw new Malformed();
  return name;
}

/** It becomes a part of keys. */
function idIn(value: unknown): string {
  const id = textIn(value, 36);
  if (!/^[0-9a-f-]{36}$/.test(id)) throw new Malformed();
  return id;
}

function hexIn(value: unknown, digits: number): string {
  const text = textIn(value, digits);
  if (text.length !== digits || !/^[0-9a-f]*$/.test(text)) throw new Malformed();
  return text;
}

function countIn(value: unknown, most = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > most) {
    throw new Malformed();
  }
  return value as number;
}
