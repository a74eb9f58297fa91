/**
 * Takes a form (multipart/form-data) apart while it comes.
 *
 * @module
 */

import type { BusboyFileStream, BusboyInstance } from "@fastify/busboy";
import { explain, InletError } from "../lib/errors.ts";
import { load } from "../lib/packages.ts";
import { Refusal } from "./problem.ts";

/** Most files of a form: each has a temporary file that is open until the form has come. */
export const MAX_FILES = 250;

/** Most fields of a form that are no files. */
export const MAX_FIELDS = 100;

/** What else bounds a form. A field is not looked at, and a header holds one name of a file. */
const LIMITS = {
  files: MAX_FILES,
  fields: MAX_FIELDS,
  parts: MAX_FILES + MAX_FIELDS,
  fieldSize: 1024,
  headerPairs: 20,
  headerSize: 8 * 1024,
};

/** A boundary as RFC 2046, section 5.1.1, has it, in quotes or without. */
const BOUNDARY =
  /;\s*boundary=(?:"[\w'()+,\-./:=? ]{0,69}[\w'()+,\-./:=?]"|[^\s";]{1,70})(?:\s*;|\s*$)/i;

/** Takes one form apart. */
export class FormParser {
  /**
   * Receives a file. They come one after another, and the next one only once this has settled. It has
   * to read all of the content, which fails if the form does not have the end of it.
   */
  onFile: (name: string, content: AsyncIterable<Uint8Array>) => Promise<void> = () =>
    Promise.resolve();
  readonly #busboy: BusboyInstance;
  /** Those that are not read to their end. */
  readonly #contents = new Set<BusboyFileStream>();
  /** Settles with the last file that has begun. */
  #files: Promise<void> = Promise.resolve();
  #failure: InletError | undefined;
  /** Ends what is being waited for. */
  #giveUp: (error: InletError) => void = () => {};

  private constructor(busboy: BusboyInstance) {
    this.#busboy = busboy;
    busboy.on("error", () => this.#fail(malformed()));
    busboy.on("filesLimit", () => this.#fail(tooMany(`${MAX_FILES} files`)));
    busboy.on("fieldsLimit", () => this.#fail(tooMany(`${MAX_FIELDS} fields`)));
    busboy.on("partsLimit", () => this.#fail(tooMany(`${LIMITS.parts} parts`)));
    busboy.on("file", (_field, content, name) => {
      // It fails with the form, which is told, and may have no reader yet.
      content.on("error", () => {});
      this.#contents.add(content);
      content.once("close", () => this.#contents.delete(content));
      this.#files = this.#files.then(() => this.#file(decodeName(name), content));
      this.#files.catch((error) => this.#fail(explain(error)));
    });
  }

  /**
   * Begins a form.
   *
   * @param contentType The field `Content-Type` of the request.
   * @throws {Refusal} 415 if it is no form; 400 if it has no boundary
   */
  static async of(contentType = ""): Promise<FormParser> {
    if (!/^multipart\/form-data\s*(;|$)/i.test(contentType)) {
      throw new Refusal(415, "Cannot take this Content-Type: send multipart/form-data, or use PUT");
    }
    if (!BOUNDARY.test(contentType)) throw malformed();
    // Not sooner: other requests do not wait for it.
    const { Busboy } = await load("@fastify/busboy");
    return new FormParser(
      new Busboy({
        headers: { "content-type": contentType },
        // The store has the rules for names, and refuses what they do not permit.
        preservePath: true,
        isPartAFile: (_field, _type, name) => name !== undefined,
        limits: LIMITS,
      }),
    );
  }

  /**
   * Takes the whole form apart.
   *
   * @param receive Receives the body of the request; it fails if that is cut.
   * @throws {InletError} what `receive` or `onFile` throws; `bad-request` if the form has no end
   */
  async whole(
    receive: (write: (chunk: Uint8Array) => Promise<void>) => Promise<unknown>,
  ): Promise<void> {
    try {
      await receive((chunk) => this.#wait((done) => this.#busboy.write(chunk, () => done())));
      // A form that was cut ends, too: only one that did not fail before that is whole.
      await this.#wait((done) => this.#busboy.once("finish", done).end());
      await this.#wait((done) => this.#files.then(done, () => {}));
    } finally {
      this.#busboy.destroy();
      this.#contents.forEach((content) => content.destroy(malformed()));
      // What is being written is not torn from its file.
      await this.#files.catch(() => {});
    }
  }

  async #file(name: string, content: BusboyFileStream): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (name !== "") return await this.onFile(name, content);
    // A browser sends this for an input without a file.
    for await (const _ of content) {
      throw new InletError("bad-name", "Cannot store a file of this form: it has no name");
    }
  }

  /** Waits until a step is done, or the form has failed. */
  #wait(step: (done: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#giveUp = reject;
      step(resolve);
    });
  }

  #fail(error: InletError): void {
    this.#failure ??= error;
    this.#giveUp(this.#failure);
  }
}

/** Browsers and curl escape these three in a name, and nothing else: HTML, section 4.10.22.8. */
function decodeName(name: string): string {
  return name.replace(/%(22|0D|0A)/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
}

function malformed(): Refusal {
  return new Refusal(400, "Cannot take this form: it is malformed");
}

function tooMany(limit: string): Refusal {
  return new Refusal(413, `Cannot take this form: the limit is ${limit}`, { code: "too-large" });
}
