/**
 * Packs files, folders and symbolic links as one archive, tar or zip, while it is sent.
 *
 * The same entries give the same bytes, whoever packs them and in whatever time zone: owners are left
 * out, and the dates of a zip, which has no zone, are in UTC.
 *
 * @module
 */

import { InletError } from "../lib/errors.ts";
import { load } from "../lib/packages.ts";

/** What archives are made as, with the media types. */
export const ARCHIVES = {
  tar: { type: "application/x-tar", pack: packTar },
  zip: { type: "application/zip", pack: packZip },
} as const;

/** The format of an archive. */
export type ArchiveFormat = keyof typeof ARCHIVES;

/** An entry of an archive, with its path in it. */
export interface ArchiveEntry {
  readonly name: string;
  readonly modified: Date;
  /** Permission bits, if they are known. */
  readonly mode: number | undefined;
  /** A folder, a symbolic link with its target, or a file with its content, which is not reused. */
  readonly what:
    | { readonly type: "folder" }
    | { readonly type: "link"; readonly to: string }
    | { readonly type: "file"; readonly size: number; readonly content: AsyncIterable<Uint8Array> };
}

/** Most entries of a zip as client-zip makes it: its 64-bit form counts no more than the old one. */
const MAX_ZIP_ENTRIES = 0xffff - 1;

/** Permission bits of what is not known to have others. */
const USUAL_MODE = { folder: 0o755, link: 0o777, file: 0o644 } as const;

/** The bits by which a zip of Unix tells that an entry is a symbolic link. */
const LINK_TYPE = 0o120000;

/**
 * Packs a tar archive (POSIX pax). Times keep their milliseconds.
 *
 * @returns Its bytes: about 8 MiB are packed ahead. It fails if the entries do.
 */
async function packTar(entries: AsyncIterable<ArchiveEntry>): Promise<ReadableStream<Uint8Array>> {
  const { createTarPacker } = await load("modern-tar");
  const { readable, controller } = createTarPacker();
  const pack = async (): Promise<void> => {
    for await (const { name, modified, mode, what } of entries) {
      const { type } = what;
      const writer = controller.add({
        name: type === "folder" ? `${name}/` : name,
        size: type === "file" ? what.size : 0,
        mode: mode ?? USUAL_MODE[type],
        type: type === "folder" ? "directory" : type === "link" ? "symlink" : "file",
        ...type === "link" && { linkname: what.to },
        ...tarTime(modified),
      }).getWriter();
      if (type === "file") { for await (const piece of what.content) await writer.write(piece); }
      await writer.close();
    }
    controller.finalize();
  };
  pack().catch((error) => controller.error(error));
  return readable;
}

/** A time, with a record of its own where whole seconds from 1970 on do not hold it. */
function tarTime(modified: Date): { mtime: Date; pax?: Record<string, string> } {
  const ms = modified.getTime();
  const mtime = new Date(Math.max(ms, 0));
  return ms >= 0 && ms % 1000 === 0 ? { mtime } : { mtime, pax: { mtime: String(ms / 1000) } };
}

/** Packs a zip archive, without compression. A symbolic link is one for Info-ZIP, which Unix has. */
async function packZip(entries: AsyncIterable<ArchiveEntry>): Promise<ReadableStream<Uint8Array>> {
  const { makeZip } = await load("client-zip");
  const inputs = async function* () {
    let count = 0;
    for await (const { name, modified, mode = undefined, what } of entries) {
      if (++count > MAX_ZIP_ENTRIES) {
        const why = `the limit is ${MAX_ZIP_ENTRIES} files and folders, use tar`;
        throw new InletError("too-large", `Cannot make this zip: ${why}`);
      }
      const bits = mode ?? USUAL_MODE[what.type];
      const fields = { name, lastModified: new ZipDate(modified), mode: bits };
      if (what.type === "file") yield { ...fields, input: what.content };
      else if (what.type === "folder") yield fields;
      else yield { ...fields, mode: LINK_TYPE | bits, input: what.to };
    }
  };
  return makeZip(inputs());
}

/** What the dates of a zip can hold. */
const FIRST_ZIP_DATE = Date.UTC(1980, 0, 1);
const LAST_ZIP_DATE = Date.UTC(2107, 11, 31, 23, 59, 58);

/** The nearest time that a zip can hold. Its fields, which are written there, are those of UTC. */
class ZipDate extends Date {
  constructor(time: Date) {
    super(Math.min(Math.max(time.getTime(), FIRST_ZIP_DATE), LAST_ZIP_DATE));
  }

  override getFullYear(): number {
    return this.getUTCFullYear();
  }

  override getMonth(): number {
    return this.getUTCMonth();
  }

  override getDate(): number {
    return this.getUTCDate();
  }

  override getHours(): number {
    return this.getUTCHours();
  }

  override getMinutes(): number {
    return this.getUTCMinutes();
  }

  override getSeconds(): number {
    return this.getUTCSeconds();
  }
}
