/**
 * What a workload is: one question, measured, and answered as one section.
 *
 * @module
 */

import type { Section } from "../report.ts";
import type { Workspace } from "../workspace.ts";

/** What every workload is handed. */
export interface Bench {
  readonly workspace: Workspace;
  /** Counted runs of each candidate. */
  readonly runs: number;
  /** Bytes of the big file. */
  readonly size: number;
  /** How many small files. */
  readonly files: number;
  /** How many clients at once. */
  readonly clients: number;
  /** A folder of this machine that is like those of people: of it a copy is sent. */
  readonly tree: string;
}

/** Measures, and reports. */
export type Workload = (bench: Bench) => Promise<Section>;
