/**
 * What the progress of a transfer is shown by.
 *
 * @module
 */

/** What is shown of a transfer at one moment. */
export interface Moment {
  /** Name of what moves, or empty. */
  readonly name: string;
  /** What is done while no bytes move, such as `connecting`; shown in place of the figures. */
  readonly doing: string | undefined;
  /** Percent, files, bytes, speed and time left, as far as each is known. */
  readonly figures: readonly string[];
  /** Whether all of it was transferred. */
  readonly isComplete: boolean;
}

/** Shows transfers, one after the other. */
export interface ProgressView {
  /** Milliseconds between two calls of `show`. */
  readonly intervalMs: number;
  /** Shows how far the transfer is. */
  show(moment: Moment): void;
  /** Called before a line is printed during the transfer. */
  makeRoom(moment: Moment): void;
  /**
   * Called when the transfer is over.
   *
   * @param moment `undefined` if nothing of it was transferred.
   */
  end(moment: Moment | undefined): void;
}
