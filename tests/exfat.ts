/**
 * A disk without hard links, permission bits and links, on which some characters cannot be in names:
 * exFAT on a loop device, by FUSE. It takes the rights of root to mount it.
 *
 * @module
 */

import { run, tempDir } from "./helpers.ts";

/** Mounts and unmounts a small one. */
export const CAN_MOUNT_EXFAT = `command -v mkfs.exfat mount.exfat-fuse losetup umount &&
  dir=$(mktemp -d) && truncate -s 16M $dir/image && mkfs.exfat $dir/image && mkdir $dir/disk &&
  device=$(losetup --find --show $dir/image) && mount.exfat-fuse $device $dir/disk
  status=$?
  umount $dir/disk; losetup -d $device; rm -r $dir
  exit $status`;

/** Whether one can be mounted here. */
export function canMountExfat(): boolean {
  const args = ["-c", CAN_MOUNT_EXFAT];
  return new Deno.Command("sh", { args, stdout: "null", stderr: "null" }).outputSync().success;
}

/** A mounted disk, which is unmounted when it goes out of scope. */
export interface ExfatDisk extends AsyncDisposable {
  readonly path: string;
}

/** Makes and mounts a disk of 256 MiB. */
export async function exfatDisk(): Promise<ExfatDisk> {
  const temp = await tempDir();
  const [image, path] = [`${temp.path}/image`, `${temp.path}/disk`];
  await Deno.mkdir(path);
  await succeed("truncate", ["-s", "256M", image]);
  await succeed("mkfs.exfat", ["-c", "4K", image]);
  const device = (await succeed("losetup", ["--find", "--show", image])).trim();
  try {
    await succeed("mount.exfat-fuse", [device, path]);
  } finally {
    // It is given back as soon as it is unmounted.
    await succeed("losetup", ["-d", device]);
  }
  return {
    path,
    async [Symbol.asyncDispose](): Promise<void> {
      await succeed("umount", [path]);
      await temp[Symbol.asyncDispose]();
    },
  };
}

async function succeed(command: string, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout;
}
