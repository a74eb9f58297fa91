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

/** The uploads of the last hour that have an id. */
export class AcknowledgedUploads {
  readonly #uploads = new Map<string, { name: Promise<string>; since: number }>();

  /**
   * Publishes an upload, unless the same one was published already, or is being published.
   *
   * @param publish Publishes it.
   * @param discard Discards it, because it is there.
   * @returns The name that it has.
   */
  async publishOnce(
    { id, size, crc }: UploadId,
    publish: () => string | Promise<string>,
    discard: () => void | Promise<void> = () => {},
  ): Promise<string> {
    if (id === undefined || id === "" || id.length > MAX_ID_LENGTH) return await publish();
    const key = `${id} ${size} ${crc}`;
    // While another publishes it, waits for that one, and publishes it only if that fails.
    for (let before; (before = this.#uploads.get(key));) {
      const name = await before.name.catch(() => undefined);
      if (name === undefined) continue;
      await discard();
      return name;
    }
    this.#forgetOld();
    const name = (async () => await publish())();
    this.#uploads.set(key, { name, since: performance.now() });
    name.catch(() => this.#uploads.delete(key));
    return await name;
  }

  #forgetOld(): void {
    const oldest = performance.now() - KEPT_MS;
    for (const [key, { since }] of this.#uploads) {
      if (this.#uploads.size < MAX_UPLOADS && since >= oldest) return;
      this.#uploads.delete(key);
    }
  }
}
