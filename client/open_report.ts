/**
 * Chooses how the results of a transfer are told: as text for people, or as JSON.
 *
 * @module
 */

import type { Plan, Transfer } from "./plan.ts";
import { type ReportedProgress, TextReport } from "./report.ts";
import type { Report } from "./report_forms.ts";

/**
 * Opens the report of a transfer.
 *
 * @param stop Aborted when the program is told to stop.
 */
export async function openReport(
  progress: ReportedProgress,
  action: Transfer,
  { quiet, json, mode }: Pick<Plan, "quiet" | "json" | "mode">,
  stop: AbortSignal | undefined,
): Promise<Report> {
  const { type, listed } = action;
  if (json) {
    const { JsonReport } = await import("./json_report.ts");
    return new JsonReport(action, mode.name, stop);
  }
  const several = listed !== undefined ||
    (type === "send" ? action.files : action.names).length > 1;
  const untried = type === "send" ? "not sent" : "not received";
  return new TextReport(progress, { quiet, several, untried });
}
