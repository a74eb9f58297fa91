/**
 * A way to a bucket that can die, and with it the server that uses it.
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
  const kill = (): void => {
    isDead = true;
    resolve();
  };
  const mortal = new Proxy(bucket, {
    get: (target, method: keyof Bucket) => {
      const action = target[method] as (...args: unknown[]) => unknown;
      if (method === "list" || method === "uploads") return action.bind(target);
      return async (...args: unknown[]) => {
        if (isDead) await never;
        const answer = await action.apply(target, args);
        if (!isDead && isLast(method, args)) kill();
        if (isDead) await never;
        return answer;
      };
    },
  });
  return { bucket: mortal, died: promise, kill };
}
