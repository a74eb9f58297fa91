/**
 * Types of what is used of @std: the package on npm carries none.
 *
 * The signatures are those of JSR's @std, as far as this project needs them. They go when deno.json
 * maps @std to `jsr:` again.
 */

declare module "@std/assert" {
  export function assert(condition: unknown, message?: string): asserts condition;
  export function assertEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertLess<T>(actual: T, expected: T, message?: string): void;
  export function assertMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertNotMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertStringIncludes(actual: string, expected: string, message?: string): void;
  // deno-lint-ignore no-explicit-any -- any constructor will do
  export function assertInstanceOf<T extends new (...args: any[]) => any>(
    actual: unknown,
    expected: T,
    message?: string,
  ): asserts actual is InstanceType<T>;
  export function assertThrows<E extends Error = Error>(
    action: () => unknown,
    // deno-lint-ignore no-explicit-any -- any constructor will do
    ErrorClass?: new (...args: any[]) => E,
    messageIncludes?: string,
  ): E;
  export function assertRejects<E extends Error = Error>(
    action: () => PromiseLike<unknown>,
    // deno-lint-ignore no-explicit-any -- any constructor will do
    ErrorClass?: new (...args: any[]) => E,
    messageIncludes?: string,
  ): Promise<E>;
}

declare module "@std/async/delay" {
  export function delay(milliseconds: number, options?: { signal?: AbortSignal }): Promise<void>;
}

declare module "@std/bytes/concat" {
  export function concat(buffers: readonly Uint8Array[]): Uint8Array<ArrayBuffer>;
}

declare module "@std/bytes/ends-with" {
  export function endsWith(source: Uint8Array, suffix: Uint8Array): boolean;
}

declare module "@std/bytes/equals" {
  export function equals(a: Uint8Array, b: Uint8Array): boolean;
}

declare module "@std/bytes/starts-with" {
  export function startsWith(source: Uint8Array, prefix: Uint8Array): boolean;
}

declare module "@std/cli/parse-args" {
  export function parseArgs(args: string[], options: {
    string?: string[];
    boolean?: string[];
    collect?: string[];
    unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  }): Record<string, unknown> & { _: (string | number)[] };
}

declare module "@std/fmt/bytes" {
  export function format(bytes: number, options?: { binary?: boolean }): string;
}

declare module "@std/fmt/colors" {
  export function bgRgb8(text: string, colour: number): string;
  export function bold(text: string): string;
  export function dim(text: string): string;
  export function green(text: string): string;
  export function red(text: string): string;
  export function rgb8(text: string, colour: number): string;
  export function stripAnsiCode(text: string): string;
}

declare module "@std/fs/walk" {
  export interface WalkEntry extends Deno.DirEntry {
    path: string;
  }
  export function walk(root: string, options?: {
    includeDirs?: boolean;
    includeSymlinks?: boolean;
  }): AsyncIterableIterator<WalkEntry>;
}

declare module "@std/http/etag" {
  export function ifMatch(value: string | null, etag: string | undefined): boolean;
  export function ifNoneMatch(value: string | null, etag: string | undefined): boolean;
}

declare module "@std/http/negotiation" {
  export function accepts(
    request: { headers: { get(name: "accept"): string | null } },
    ...types: readonly string[]
  ): string | undefined;
  export function acceptsEncodings(
    request: { headers: { get(name: "accept-encoding"): string | null } },
    ...encodings: readonly string[]
  ): string | undefined;
}

declare module "@std/path/basename" {
  export function basename(path: string): string;
}

declare module "@std/path/constants" {
  export const SEPARATOR: string;
}

declare module "@std/path/dirname" {
  export function dirname(path: string): string;
}

declare module "@std/path/from-file-url" {
  export function fromFileUrl(url: string): string;
}

declare module "@std/path/join" {
  export function join(...paths: string[]): string;
}

declare module "@std/path/posix/glob-to-regexp" {
  export function globToRegExp(glob: string): RegExp;
}

declare module "@std/path/relative" {
  export function relative(from: string, to: string): string;
}

declare module "@std/path/resolve" {
  export function resolve(...paths: string[]): string;
}

declare module "@std/streams" {
  export class TextLineStream extends TransformStream<string, string> {}
}

declare module "@std/text/levenshtein-distance" {
  export function levenshteinDistance(one: string, other: string): number;
}
