/**
 * The answer of a store to one request, or that there was none.
 *
 * @module
 */

/** An answer, whatever it says. Its content is read to the end, or cancelled. */
export interface Answer {
  /** The status of HTTP. */
  readonly status: number;
  /** Its headers. */
  readonly headers: Headers;
  /**
   * Reads more of its content; `undefined` at the end.
   *
   * @param memory Is used up: what is returned may lie in it.
   * @throws {NoAnswer} if the rest does not come
   */
  read(memory?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Reads no more. */
  cancel(): Promise<void>;
}

/** No answer, or not the whole of it: what the request has done is unknown. */
export class NoAnswer extends Error {
  /** The same for all of them. */
  override readonly name = "NoAnswer";
  /** Whether trying again is of no use. */
  readonly isFinal: boolean;

  /** @param message What the store does, as in `it does not answer`. */
  constructor(message: string, options: ErrorOptions & { isFinal?: boolean } = {}) {
    super(message, options);
    this.isFinal = options.isFinal ?? false;
  }
}

/** Reads text, and no more than so many bytes of it. */
export async function textUpTo(answer: Answer, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (let chunk; bytes <= maxBytes && (chunk = await answer.read());) {
    text += decoder.decode(chunk, { stream: true });
    bytes += chunk.length;
  }
  await answer.cancel();
  return text + decoder.decode();
}

const UNREACHABLE = "it cannot be reached";
const UNTRUSTED = "its certificate is not one that this machine trusts";

/** The reasons in the texts and codes of what the system, fetch and node:http throw. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED|os error (?:111|61|10061)\b/, "it refuses connections"],
  [/ENOTFOUND|EAI_|dns error|failed to lookup/, "no machine of its name is known"],
  [/E(?:HOST|NET)(?:UNREACH|DOWN)|os error (?:10[01]|113|51|65|1005[01]|10065)\b/, UNREACHABLE],
  [/ETIMEDOUT|os error (?:110|60|10060)\b/, UNREACHABLE],
  [
    /HPE_|invalid HTTP|parsed/,
    "it does not speak HTTP; with TLS, its address begins with https://",
  ],
];

/** The same of what will be so the next time. */
const FINAL: typeof REASONS = [
  [/opening CA file/, "the file that DENO_CERT names cannot be read"],
  [/UnknownIssuer/, `${UNTRUSTED}; DENO_CERT=FILE names its authority`],
  [/peer certificate/, UNTRUSTED],
  [/Requests to port \d+ are blocked/, "Deno connects to no port that is reserved for another use"],
  [/InvalidContentType/, "it does not speak TLS: its address begins with http://"],
];

/** Says why no answer came, from what was thrown. */
export function noAnswerFor(error: unknown): NoAnswer {
  const texts = [error, (error as Error)?.cause].map((part) => {
    const { code, message } = (part ?? {}) as { code?: unknown; message?: unknown };
    return `${code ?? ""} ${message ?? ""}`;
  });
  const text = texts.join(" ");
  const final = FINAL.find(([pattern]) => pattern.test(text))?.[1];
  if (final !== undefined) return new NoAnswer(final, { cause: error, isFinal: true });
  const why = REASONS.find(([pattern]) => pattern.test(text))?.[1];
  return new NoAnswer(why ?? "the connection broke off", { cause: error });
}
