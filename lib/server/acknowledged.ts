/**
 * Remembers which uploads were acknowledged, so that a client that did not get the answer can send
 * a file again, and it is stored once.
 *
 * @module
 */

/** Most uploads that are remembered. The oldest is forgotten first. */
const MAX_UPLOADS = 10_000;

/** Milliseconds that an upload is remembered. */
const KEPT_MS = 3_600_000;

/** Most characters of an id. */
const MAX_ID_LENGTH = 64;

/** What identifies an upload: the random id that its client chose, and its verified content. */
export interface UploadId {
  /** Missing if the client will not send the file again. */
  readonly id: string | undefined;
  /** In bytes. */
  readonly size: number;
  /** CRC-32 of the content. */
  readonly crc: number;
}

/** An upload that is published, or is being published. */
interface Known {
  name: string | Promise<string>;
  readonly since: number;
}

/** The uploads of the last hour that have an id. */
export class AcknowledgedUploads {
  readonly #uploads = new Map<string, Known>();

  /**
   * Publishes an upload, unless the same one was published already, or is being published.
   *
   * @param publish Publishes it.
   * @param discard Discards it, because it is there.
   * @returns The name that it has.
   */
  async publishOnce(
    upload: UploadId,
    publish: () => string | Promise<string>,
    discard: () => void | Promise<void> = () => {},
  ): Promise<string> {
    const key = keyOf(upload);
    if (key === undefined) return await publish();
    // While another publishes it, waits for that one, and publishes it only if that fails.
    for (let before; (before = this.#uploads.get(key));) {
      const name = await Promise.resolve(before.name).catch(() => undefined);
      if (name === undefined) continue;
      await discard();
      return name;
    }
    const name = (async () => await publish())();
    this.#add(key, name);
    name.catch(() => this.#uploads.delete(key));
    return await name;
  }

  /**
   * Begins to publish an upload, unless the same one was published already, or is being published.
   *
   * @returns Takes its name once it is published, or none if that failed.
   */
  begin(upload: UploadId): ((name?: string) => void) | undefined {
    const key = keyOf(upload);
    if (key === undefined) return forgotten;
    if (this.#uploads.has(key)) return undefined;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const known = this.#add(key, promise);
    return (name) => {
      if (name !== undefined) {
        known.name = name;
        return resolve(name);
      }
      this.#uploads.delete(key);
      // Somebody may wait for it, or nobody.
      promise.catch(() => {});
      reject(new Error("it was not published"));
    };
  }

  #add(key: string, name: Promise<string>): Known {
    this.#forgetOld();
    const known = { name, since: performance.now() };
    this.#uploads.set(key, known);
    return known;
  }

  #forgetOld(): void {
    const oldest = performance.now() - KEPT_MS;
    for (const [key, { since }] of this.#uploads) {
      if (this.#uploads.size < MAX_UPLOADS && since >= oldest) return;
      this.#uploads.delete(key);
    }
  }
}

/** Takes the name of an upload that its client will not send again. */
function forgotten(): void {}

/** Identifies an upload; `undefined` for one that its client will not send again. */
function keyOf({ id, size, crc }: UploadId): string | undefined {
  if (id === undefined || id === "" || id.length > MAX_ID_LENGTH) return undefined;
  return `${id} ${size} ${crc}`;
}
