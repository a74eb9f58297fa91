/**
 * A way to a bucket that can die or stop, and with it the server that uses it.
 *
 * @module
 */

import type { Bucket } from "../lib/s3/bucket.ts";

/** A bucket that answers nothing any more once it is dead. */
export interface MortalBucket {
  readonly bucket: Bucket;
  /** Settles when it dies. */
  readonly died: Promise<void>;
  /** Has it die. What is under way may still take effect. */
  kill(): void;
  /** Holds its requests and answers, as if the process were stopped, until the result is called. */
  stop(): () => void;
}

/**
 * Makes a way to a bucket that can die.
 *
 * @param isLast Whether it dies when a request has taken effect. Its answer is lost then.
 */
export function mortalBucket(
  bucket: Bucket,
  isLast: (method: keyof Bucket, args: readonly unknown[]) => boolean = () => false,
): MortalBucket {
  const { promise, resolve } = Promise.withResolvers<void>();
  const never = new Promise<never>(() => {});
  let isDead = false;
  let running = Promise.resolve();
  const kill = (): void => {
    isDead = true;
    resolve();
  };
  const mortal = new Proxy(bucket, {
    get: (target, method: keyof Bucket) => {
      const action = target[method] as (...args: unknown[]) => unknown;
      if (method === "list" || method === "uploads") return action.bind(target);
      return async (...args: unknown[]) => {
        await running;
        if (isDead) await never;
        const answer = await action.apply(target, args);
        await running;
        if (!isDead && isLast(method, args)) kill();
        if (isDead) await never;
        return answer;
      };
    },
  });
  const stop = (): () => void => {
    const { promise, resolve } = Promise.withResolvers<void>();
    running = promise;
    return resolve;
  };
  return { bucket: mortal, died: promise, kill, stop };
}
