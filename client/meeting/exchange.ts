/**
 * Files between two people in sessions. The one who offers waits at the server as for a code, and the
 * one who accepts comes to it; the plate and their public keys went through their sessions before. In
 * the place of the words of a code stands the secret that they agree on by these keys.
 *
 * @module
 */

import {
  AgreementKey,
  type CheckedKey,
  checkOfferKey,
  pinOf,
} from "../../lib/auth/agreed_secret.ts";
import { codeSecret, SALT_BYTES } from "../../lib/auth/code_secret.ts";
import type { KeyPair } from "../../lib/auth/identity.ts";
import { Progress } from "../../lib/cli/progress.ts";
import { InletError } from "../../lib/errors.ts";
import { DEFAULT_TIMEOUT_MS } from "../../lib/net/whole_line.ts";
import { formatBytes, formatCount, quoted } from "../../lib/text.ts";
import { formatPlate } from "../../protocol.ts";
import type { Sending } from "../../protocol/people_lines.ts";
import type { Dialer } from "../dialer.ts";
import type { Exchange, Offering, Pins, Receiving, Transfer } from "../exchange.ts";
import type { Plan, SessionAction } from "../plan.ts";
import { sendFiles, type SendFilesOptions } from "../send.ts";
import { sendAll } from "../send_queue.ts";
import { receiveOffer } from "./accept.ts";
import { WaitingOffer } from "./waiting_offer.ts";
import { termsOfItems } from "./offer.ts";
import { OfferDialer } from "./offer_dialer.ts";
import type { Terms } from "./terms.ts";

/** Seconds that an offer in a session lasts. */
const OFFER_SECONDS = 600;

/** Letters of the word of a plate that nobody types: it cannot be guessed. */
const WORD_LETTERS = 24;

/** Makes what moves files for the sessions of one client. */
export function exchangeFor(
  dialer: Dialer,
  { isDirect }: SessionAction,
  plan: Plan,
  options: SendFilesOptions,
): Exchange {
  return {
    offer: (path, transfer) => offer(dialer, path, { isDirect, options, transfer }),
    accept: (sending, transfer) => accept(dialer, sending, { isDirect, plan, options, transfer }),
  };
}

async function offer(
  sessionDialer: Dialer,
  path: string,
  { isDirect, options, transfer: { signal, onNotice } }: {
    readonly isDirect: boolean;
    readonly options: SendFilesOptions;
    readonly transfer: Transfer;
  },
): Promise<Offering> {
  const own = await AgreementKey.draw();
  const user = await sessionDialer.userKey();
  const plate = drawPlate();
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const agreed = Promise.withResolvers<string>();
  const opened = Promise.withResolvers<Terms>();
  // A person is at the prompt meanwhile.
  const quiet = { signal, onNotice, progress: new Progress() };
  const dialer = sessionDialer.beside(quiet);
  const failures: InletError[] = [];
  const through = { ...options, ...quiet };
  const sent = sendFiles(dialer, [path], through, {
    as: undefined,
    onLeftOut: () => {},
    instead: async (items) => {
      await items.measure(signal);
      const all = [...items.ahead];
      const secret = agreed.promise.then((text) => codeSecret(text, salt));
      secret.catch(() => {});
      const tunnel = {
        idleTimeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        signal,
        rate: options.rate,
      };
      await using waiting = new WaitingOffer({
        ...{ plate, salt, secret, signal, tunnel, seconds: OFFER_SECONDS },
        reach: (signal) => sessionDialer.beside({ ...quiet, signal }),
        // What goes wrong is told of both sides by their sessions.
        onNotice: () => {},
      });
      await waiting.opened;
      const terms = termsOfItems(all);
      opened.resolve(terms);
      const ways = { secret: await secret, isDirect, tunnel, carrier: signal };
      const quietly = { ...through, onNotice: () => {} };
      const to = new OfferDialer(waiting, () => terms, ways, quietly);
      await sendAll(to, items, {
        ...{ mode: options.mode, skipSame: false, checksum: false },
        onResult: (_, result) => void ("error" in result && failures.push(result.error)),
      });
    },
  });
  sent.catch((error) => {
    opened.reject(error);
    agreed.reject(error);
  });
  agreed.promise.catch(() => {});
  const late = new InletError("denied", `Nobody has taken it within ${OFFER_SECONDS / 60} minutes`);
  const timer = setTimeout(() => agreed.reject(late), 1000 * OFFER_SECONDS);
  signal.addEventListener("abort", () => agreed.reject(signal.reason));
  sent.catch(() => {}).finally(() => clearTimeout(timer));
  const terms = await opened.promise;
  const [name = path] = terms.names;
  const met = formatPlate(plate);
  return {
    ...{ plate: met, key: await own.offered("send", met, user), size: terms.bytes, name },
    take: async (key) => {
      const other = await checkOfferKey("take", met, key);
      agreed.resolve(await secretOf(own, other, { plate: met, offerer: own }));
      return await pinsOf(user, other);
    },
    done: sent.then(() => {
      if (failures[0]) throw failures[0];
      const files = terms.files === 1 ? "" : `${formatCount(terms.files)} files, `;
      return `${files}${formatBytes(terms.bytes ?? 0)}`;
    }),
  };
}

async function accept(
  sessionDialer: Dialer,
  { plate, key, size, name }: Sending,
  { isDirect, plan, options, transfer: { signal, onNotice } }: {
    readonly isDirect: boolean;
    readonly plan: Plan;
    readonly options: SendFilesOptions;
    readonly transfer: Transfer;
  },
): Promise<Receiving> {
  const own = await AgreementKey.draw();
  const other = await checkOfferKey("send", plate, key);
  const secret = await secretOf(own, other, { plate, offerer: other });
  const user = await sessionDialer.userKey();
  const dialer = sessionDialer.beside({ signal, onNotice: () => {} });
  const agrees = (terms: Terms): Promise<boolean> => {
    const isAsOffered = terms.bytes === size && !terms.isMessage && !terms.hasMore &&
      terms.names.length === 1 && terms.names[0] === name;
    if (isAsOffered) return Promise.resolve(true);
    const why = "it is not what was offered";
    throw new InletError("denied", `Cannot take ${quoted(name)}: ${why}`);
  };
  return {
    key: await own.offered("take", plate, user),
    pins: await pinsOf(user, other),
    receive: async () => {
      // Nobody comes again to this offer after it has failed.
      const how = { code: { plate, secret }, output: ".", agrees, isDirect, isForOnce: true };
      return await receiveOffer(dialer, how, plan, { ...options, signal, onNotice });
    },
  };
}

/** What stands in the place of the words: bound to the offer, and to the keys of both sides. */
async function secretOf(
  own: AgreementKey,
  other: CheckedKey,
  { plate, offerer }: { readonly plate: string; readonly offerer: AgreementKey | CheckedKey },
): Promise<string> {
  const accepter = offerer === own ? other : own;
  return `${plate} ${offerer.point} ${accepter.point} ${await own.agree(other.point)}`;
}

async function pinsOf(user: KeyPair | undefined, { pin }: CheckedKey): Promise<Pins | undefined> {
  return user && { own: await pinOf(user), other: pin };
}

function drawPlate(): { number: string; word: string } {
  const letters = crypto.getRandomValues(new Uint8Array(WORD_LETTERS));
  const [digits = 0] = crypto.getRandomValues(new Uint16Array(1));
  return {
    number: String(digits % 10_000).padStart(4, "0"),
    word: Array.from(letters, (byte) => String.fromCharCode(0x61 + byte % 26)).join(""),
  };
}
