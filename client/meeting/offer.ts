/**
 * `--offer`: prints a code, and sends files or a message to whoever comes with it.
 *
 * @module
 */

import { codeSecret, SALT_BYTES } from "../../lib/auth/code_secret.ts";
import { ContentSource } from "../../lib/body/given_body.ts";
import { FileSource, type Item, SymbolicLink } from "../../lib/body/sources.ts";
import { readStdin } from "../../lib/body/stdio.ts";
import { Progress } from "../../lib/cli/progress.ts";
import { jsonOutput } from "../../lib/cli/json_output.ts";
import { variable } from "../../lib/environment.ts";
import { exitCode, explain, InletError } from "../../lib/errors.ts";
import { DEFAULT_TIMEOUT_MS } from "../../lib/net/whole_line.ts";
import { formatBytes, formatCount } from "../../lib/text.ts";
import { formatCrc, parsePlate, type Plate } from "../../protocol.ts";
import type { Dialer } from "../dialer.ts";
import type { Items } from "../items.ts";
import { writeOutput } from "../output.ts";
import { openReport } from "../open_report.ts";
import type { OfferAction } from "../meeting_plan.ts";
import type { Plan } from "../plan.ts";
import type { SendResult } from "../result.ts";
import { resultOf, sendFiles, type SendFilesOptions } from "../send.ts";
import { sendAll } from "../send_queue.ts";
import { CODE_VARIABLE } from "./ask.ts";
import { SILENT_MS, WaitingOffer } from "./waiting_offer.ts";
import { WordList } from "./code.ts";
import { OfferDialer } from "./offer_dialer.ts";
import { MAX_MESSAGE_BYTES, type Terms } from "./terms.ts";
import { tunnelsClosed } from "./tunnel.ts";

/** Offers what an action names. Returns the exit code. */
export async function runOffer(
  dialer: Dialer,
  action: OfferAction,
  plan: Plan,
  options: SendFilesOptions,
): Promise<number> {
  if (action.isMessage) return await offerMessage(dialer, action, plan, options);
  const { progress } = dialer.context;
  const { files, as, listed } = action;
  const send = { type: "send" as const, files, as, ...listed && { listed } };
  const report = await openReport(progress, send, plan, options.signal);
  const onResult = (result: SendResult): void => report.add(result);
  const instead = async (items: Items): Promise<void> => {
    const { first } = items;
    // No receiver waits as long as a pipe's writer may take.
    if (first && "ready" in first) await first.ready?.();
    await items.measure(options.signal);
    const all = items.ahead;
    await offering(dialer, action, plan, options, () => termsOfItems(all), async (through) => {
      await sendAll(through, items, {
        mode: options.mode,
        skipSame: options.skipSame ?? options.checksum ?? false,
        checksum: options.checksum ?? false,
        onResult: (item, result) => report.add({ ...resultOf(item, result), way: through.way }),
      });
    });
  };
  try {
    const onLeftOut = report.leftOut.bind(report);
    await sendFiles(dialer, files, { ...options, onResult }, { ...send, onLeftOut, instead });
  } catch (error) {
    report.fail(explain(error));
  }
  const failure = await report.end();
  return failure ? exitCode(failure) : 0;
}

async function offerMessage(
  dialer: Dialer,
  action: OfferAction,
  plan: Plan,
  options: SendFilesOptions,
): Promise<number> {
  const content = await readMessage();
  const source = new ContentSource("", content);
  const terms: Terms = {
    ...{ files: 0, folders: 0, bytes: content.length },
    ...{ names: [], hasMore: false, isMessage: true },
  };
  await offering(dialer, action, plan, options, () => terms, async (through) => {
    await through.withSession(async (client) => {
      through.context.progress.begin(content.length);
      const stored = await client.say(source);
      if (plan.json) {
        const { size: bytes, crc } = stored;
        jsonOutput.add({ event: "message", bytes, crc: formatCrc(crc) });
      }
    });
  });
  await jsonOutput.printer.printed;
  return 0;
}

/** Makes a code, prints it, and sends to whoever comes with it. */
async function offering(
  dialer: Dialer,
  { seconds, isDirect }: OfferAction,
  { json }: Plan,
  options: SendFilesOptions,
  terms: () => Terms,
  send: (through: OfferDialer) => Promise<void>,
): Promise<void> {
  const { signal = new AbortController().signal, onNotice = () => {}, rate } = options;
  const { timeoutMs: idleTimeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const { plate, secret } = await codeParts();
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const derived = codeSecret(secret, salt);
  derived.catch(() => {});
  const tunnel = { idleTimeoutMs, signal, rate };
  dialer.context.progress.doing("connecting");
  {
    await using waiting = new WaitingOffer({
      ...{ plate, salt, secret: derived, seconds, signal, onNotice, tunnel },
      // The progress is that of the tunnel: what happens at the server meanwhile is none.
      reach: (signal) =>
        dialer.beside({ signal, progress: new Progress(), timeoutMs: SILENT_MS, retries: 0 }),
    });
    const code = `${await waiting.opened}-${secret}`;
    if (json) jsonOutput.add({ event: "offered", words: code });
    else {
      onNotice(`Whoever has this code gets it, within ${timeText(seconds)}, and once:`);
      await writeOutput(new TextEncoder().encode(`${code}\n`));
    }
    const ways = { secret: await derived, isDirect, tunnel, carrier: signal };
    await send(new OfferDialer(waiting, terms, ways, options));
  }
  await tunnelsClosed();
}

/** Such as `10 minutes` or `90 seconds`. */
function timeText(seconds: number): string {
  const [count, unit] = seconds % 60 === 0 ? [seconds / 60, "minute"] : [seconds, "second"];
  return `${formatCount(count)} ${unit}${count === 1 ? "" : "s"}`;
}

/** A new code, or that of an offer that was broken off. */
async function codeParts(): Promise<{ plate: Plate; secret: string }> {
  const words = await WordList.load();
  const known = variable(CODE_VARIABLE);
  if (known) {
    const { plate, secret } = words.read(known);
    return { plate: parsePlate(plate)!, secret };
  }
  const { word, secret } = words.draw();
  return { plate: { word }, secret };
}

/** What the items of an offer are, as they are now. */
export function termsOfItems(items: readonly Item[]): Terms {
  const names = new Set<string>();
  const folders = new Set<string>();
  let files = 0;
  let bytes: number | null = 0;
  for (const item of items) {
    const { name } = item;
    const parts = name.split("/");
    const isFolder = !("open" in item) && !(item instanceof SymbolicLink);
    for (let depth = 1; depth < parts.length + (isFolder ? 1 : 0); depth++) {
      folders.add(parts.slice(0, depth).join("/"));
    }
    names.add(parts.length > 1 || isFolder ? `${parts[0]}/` : name);
    if (isFolder) continue;
    files++;
    if (item instanceof SymbolicLink) continue;
    const size = item instanceof FileSource ? sizeOf(item) : item.size;
    bytes = bytes === null || size === null ? null : bytes + size;
  }
  const told = { names: [...names], hasMore: false, isMessage: false };
  return { files, folders: folders.size, bytes, ...told };
}

/** What is gone fails when it is sent. */
function sizeOf(file: FileSource): number {
  try {
    return file.measure();
  } catch {
    return 0;
  }
}

async function readMessage(): Promise<Uint8Array> {
  const content = new Uint8Array(MAX_MESSAGE_BYTES + 1);
  let length = 0;
  for (let read; (read = await readStdin(content.subarray(length))) !== null;) {
    length += read;
    if (length <= MAX_MESSAGE_BYTES) continue;
    const why = `it is longer than ${formatBytes(MAX_MESSAGE_BYTES)}`;
    throw new InletError("usage", `Cannot offer the message: ${why}; give --as NAME for a file`);
  }
  if (length === 0) throw new InletError("usage", "Cannot offer nothing: the message is empty");
  return content.slice(0, length);
}
