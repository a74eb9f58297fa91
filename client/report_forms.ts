/**
 * What each form of the client's output does: text for people in report.ts, JSON for programs in
 * json_report.ts.
 *
 * @module
 */

import type { Printer } from "../lib/body/printer.ts";
import type { InletError } from "../lib/errors.ts";
import type { FilesClient } from "../modes/files/client.ts";
import type { Stored } from "../protocol.ts";
import type { SendResult } from "./result.ts";

/** A result, and for a download where it went. */
export type Outcome = SendResult & {
  /** The path that it was saved at, on this machine. */
  path?: string;
  /** Set if a pipe or a device is there. */
  isStream?: true;
  /** How it went from the one client to the other. */
  way?: "direct" | "relayed";
  /** The folder that the name in `stored` is relative to, if there is no path. */
  directory?: string;
};

/** Tells the results of a transfer. */
export interface Report {
  /** Adds the result of one file. */
  add(outcome: Outcome): void;
  /** Notes that a folder is downloaded, and where to. */
  begin(folder: string, into: string): void;
  /** Notes how many entries of a folder were excluded. */
  leftOut(folder: string, count: number): void;
  /** Adds a failure. */
  fail(error: InletError, how?: Failing): void;
  /** Notes the end of a transfer, which may be one of several. */
  endTransfer(): void;
  /** Tells the sums. Returns the failure with the highest exit code. */
  end(): InletError | undefined | Promise<InletError | undefined>;
}

/** What is known of a failure beside its error. */
export interface Failing {
  /** Whether it was printed already: what stops a folder stops all its files. */
  isRepeated?: boolean;
  /** The file it concerns, where the error does not name it. */
  label?: string;
  /** The name on the server that it concerns, or the path here: the error names it too. */
  file?: string | undefined;
  path?: string;
}

/** The form of the answers to what transfers no files: text for people, or JSON. */
export interface Answers {
  readonly report: Report;
  /** Prints the lines of both lists, if not a printer of their own does. */
  readonly printer?: Printer;
  /** The lines of a list. @param name Without it, everything. */
  entries(client: FilesClient, name?: string): AsyncIterable<string[]>;
  /** The lines of `status`. */
  clients(client: FilesClient): AsyncIterable<string[]>;
  /** Tells that a message was written. */
  said?(stored: Stored): void;
}

/** What a dry run says of an entry. */
export type DryWord = "new" | "changed" | "same" | "excluded";

/** How many entries there are of each kind. */
export type DryCounts = Readonly<Partial<Record<DryWord, number>>>;

/** The form of the list of a dry run: text for people, or JSON. */
export interface DryList {
  readonly report: Report;
  readonly printer: Printer;
  /** The line of an entry, without its ending. @param size In bytes, if it is known. */
  line(word: DryWord, size: number | null, name: string): string;
  /**
   * Tells the sums, behind what was printed.
   *
   * @param bytes Bytes that would be transferred.
   * @returns The failure with the highest exit code.
   */
  end(counts: DryCounts, bytes: number): Promise<InletError | undefined>;
}
