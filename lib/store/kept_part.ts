/**
 * The part of a file that an earlier attempt left, and its CRC-32.
 *
 * What this process wrote itself it need not read again: it remembers the CRC-32 of each partial
 * file that it leaves, together with the size and the time of last change. Otherwise the part is read,
 * which nobody has to wait for before the rest of the file moves.
 *
 * @module
 */

import { combineCrc } from "../body/crc_combine.ts";
import { tallyOf } from "../body/streams.ts";
import { explain, InletError } from "../errors.ts";
import { readInTurn } from "./checksums.ts";
import type { DiskPace } from "./disk_pace.ts";
import type { Extent } from "../body/reading.ts";
import type { Asker, Kept, Maybe } from "./store.ts";
import { type Identity, keyOf, type TempFile } from "./temp_file.ts";

/** Most partial files whose CRC-32 is remembered. The oldest is forgotten first. */
const MAX_REMEMBERED = 10_000;

type Facts = Identity & Pick<Deno.FileInfo, "size" | "mtime">;

/** The CRC-32s of the partial files that this process wrote. */
const sums = new Map<string, { facts: string; crc: number }>();

/**
 * Remembers the CRC-32 of all that was written of a file that nobody writes any more, if this process
 * knows it.
 *
 * @param part What was there before.
 * @param counted What was written behind that.
 * @param bytes Size that the file has to have.
 */
export function rememberKept(
  { file }: TempFile,
  part: KeptPart | undefined,
  counted: Extent | undefined,
  bytes: number,
): void {
  if (!counted || (part?.bytes ?? 0) + counted.bytes !== bytes) return;
  const crc = part ? part.knownCrc(counted) : counted.crc;
  const info = file.statSync();
  if (crc === undefined || info.size !== bytes) return;
  sums.delete(keyOf(info));
  sums.set(keyOf(info), { facts: factsIn(info), crc });
  if (sums.size > MAX_REMEMBERED) sums.delete(sums.keys().next().value!);
}

/** Returns the CRC-32 of a file as it is now, if it has not changed since, and forgets it. */
export function recallKept({ info }: TempFile): number | undefined {
  const known = sums.get(keyOf(info));
  sums.delete(keyOf(info));
  return known?.facts === factsIn(info) ? known.crc : undefined;
}

function factsIn({ size, mtime }: Facts): string {
  return `${size} ${mtime?.getTime()}`;
}

/** Options of a {@linkcode KeptPart}. */
export interface KeptPartOptions {
  pace: DiskPace;
  /** The action, for messages. */
  what: string;
  /** Its CRC-32, if this process knows it. */
  crc: number | undefined;
  /** Called whenever some of it was read for its CRC-32. */
  onRead(): void;
}

/** The part of a temporary file that was there when it was opened. */
export class KeptPart implements Kept {
  readonly bytes: number;
  readonly #temp: TempFile;
  readonly #options: KeptPartOptions;
  #crc: number | undefined;

  constructor(temp: TempFile, options: KeptPartOptions) {
    this.bytes = temp.info.size;
    this.#temp = temp;
    this.#options = options;
    this.#crc = options.crc;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    return await this.#opened(async (read, file) => {
      file.seekSync(offset, Deno.SeekMode.Start);
      let filled = 0;
      while (filled < into.length) {
        const bytes = await read(into.subarray(filled));
        if (bytes === null) break;
        filled += bytes;
      }
      return filled;
    });
  }

  async crc(asker: Asker = {}): Promise<number> {
    if (this.#crc !== undefined) return this.#crc;
    const { what, onRead } = this.#options;
    const { signal, onBytes } = asker;
    const compute = (): Promise<number> =>
      this.#opened(async (read) => {
        const next = async (buffer: Uint8Array): Promise<number | null> => {
          const bytes = await read(buffer);
          onRead();
          onBytes?.(bytes ?? 0);
          return bytes;
        };
        const { bytes, crc } = await tallyOf(next, this.bytes, signal);
        if (bytes === this.bytes) return crc;
        throw new InletError("aborted", `${what}: another program cut its temporary file`);
      });
    return this.#crc = await readInTurn(this.bytes, compute, asker);
  }

  /** The CRC-32 of it and of what follows, if that takes no reading. */
  knownCrc(rest: Extent): number | undefined {
    if (this.#crc === undefined) return undefined;
    return combineCrc(this.#crc, rest.crc, rest.bytes);
  }

  /** Reads with a file of its own: the other one appends to the end. */
  async #opened<T>(
    use: (read: (into: Uint8Array) => Maybe<number | null>, file: Deno.FsFile) => Promise<T>,
  ): Promise<T> {
    const { pace, what } = this.#options;
    try {
      using file = this.#temp.openAgain(what);
      return await use((into) => pace.call(() => file.readSync(into), () => file.read(into)), file);
    } catch (error) {
      throw explain(error, what);
    }
  }
}
