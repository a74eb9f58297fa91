/**
 * What all parts of a bucket store share.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import type { PartPool } from "./part_pool.ts";
import { MAX_KEY_BYTES } from "../s3/address.ts";
import type { Bucket } from "../s3/bucket.ts";
import type { LinkRule } from "../store/link_rules.ts";
import { safeName } from "../store/names.ts";
import { quoted } from "../text.ts";
import { stoppable } from "./stoppable.ts";

/** Options of a bucket store. */
export interface BucketStoreOptions {
  readonly bucket: Bucket;
  /**
   * What the keys of all its objects begin with: nothing, or it ends with `/`.
   *
   * @default {""}
   */
  readonly prefix?: string | undefined;
  /**
   * Milliseconds that a partial file is kept, if the client asked to resume it. 0 keeps none.
   *
   * @default {86_400_000}
   */
  readonly keepPartialsMs?: number | undefined;
  /**
   * Most uploads that go on over several requests, those that are published and not forgotten included.
   *
   * @default {10_000}
   */
  readonly maxUploads?: number | undefined;
  /**
   * Whether a part of a name may begin with a dot.
   *
   * @default {true}
   */
  readonly dotfiles?: boolean | undefined;
  /**
   * Which symbolic links are made and listed.
   *
   * @default {"tree"}
   */
  readonly links?: LinkRule | undefined;
  /**
   * Whether no message may tell that a name is taken. A folder then gets a number where a link has its
   * name too; otherwise that is refused.
   *
   * @default {false}
   */
  readonly hidesNames?: boolean | undefined;
  /**
   * Whether nothing is written or removed.
   *
   * @default {false}
   */
  readonly readOnly?: boolean | undefined;
  /**
   * The memory for parts of uploads.
   *
   * @default that of the process
   */
  readonly pool?: PartPool | undefined;
  /**
   * Milliseconds after which an upload that nobody has a ticket of can be taken over from a server that
   * has died.
   *
   * @default {15_000}
   */
  readonly leaseMs?: number | undefined;
  /**
   * Called with a line for the operator, once each.
   *
   * @default {() => {}}
   */
  readonly warn?: ((message: string) => void) | undefined;
}

/** An upload that has not ended. */
export interface InFlight {
  /** Ends it, as far as that takes no wait. */
  close(): void;
}

/** Most messages that are remembered as told. The oldest is forgotten first. */
const MAX_WARNINGS = 1000;

/** The bucket, how names become keys in it, and the options of its store. */
export class BucketContext {
  readonly bucket: Bucket;
  /** Empty, or it ends with `/`. */
  readonly prefix: string;
  readonly keepPartialsMs: number;
  readonly maxUploads: number;
  readonly leaseMs: number | undefined;
  readonly links: LinkRule;
  readonly hidesNames: boolean;
  readonly readOnly: boolean;
  /** Most bytes of UTF-8 in a name, so that its key is not too long. */
  readonly maxNameBytes: number;
  readonly inFlight = new Set<InFlight>();
  readonly #stop = new AbortController();
  readonly #dotfiles: boolean;
  readonly #warn: (message: string) => void;
  readonly #warned = new Set<string>();

  constructor(options: BucketStoreOptions) {
    this.bucket = stoppable(options.bucket, () => this.signal);
    this.prefix = options.prefix ?? "";
    this.readOnly = options.readOnly ?? false;
    this.keepPartialsMs = this.readOnly ? 0 : options.keepPartialsMs ?? 24 * 3_600_000;
    this.leaseMs = options.leaseMs;
    this.maxUploads = options.maxUploads ?? 10_000;
    this.links = options.links ?? "tree";
    this.hidesNames = options.hidesNames ?? false;
    this.#dotfiles = options.dotfiles ?? true;
    this.#warn = options.warn ?? (() => {});
    // The key of a folder has a slash behind its name.
    this.maxNameBytes = MAX_KEY_BYTES - new TextEncoder().encode(this.prefix).length - 1;
  }

  /** Aborts when what is under way has to end. A request that reads needs no other. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Ends what is under way, as far as that takes no wait, and all that is begun later. */
  stop(): void {
    this.#stop.abort(new InletError("shutdown", "The server shut down before this was complete"));
    for (const upload of this.inFlight) upload.close();
  }

  /** The key of a stored name; of a folder, if the name ends with `/`. */
  key(name: string): string {
    return this.prefix + name;
  }

  /**
   * Converts a name from the peer to a stored name.
   *
   * @throws {InletError} `bad-name`, also for a part that begins with a dot, where that is refused
   */
  safe(name: string): string {
    const safe = safeName(name, this.maxNameBytes);
    if (!this.#dotfiles && /(^|\/)\./.test(safe)) {
      const what = `Cannot take the name ${quoted(name)}`;
      throw new InletError("bad-name", `${what}: a part of it begins with a dot`);
    }
    return safe;
  }

  /** Whether a stored name may be listed: `dotfiles` can leave it out. */
  isShown(name: string): boolean {
    return this.#dotfiles || !/(^|\/)\./.test(name);
  }

  /** Reports what the operator should know, each message once. */
  warnOnce(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    if (this.#warned.size > MAX_WARNINGS) this.#warned.delete(this.#warned.keys().next().value!);
    this.#warn(message);
  }
}
