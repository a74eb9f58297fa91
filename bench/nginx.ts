/**
 * nginx as a server of files: WebDAV to store them, sendfile to send them, one process.
 *
 * @module
 */

import { makeCertificate } from "./keys.ts";
import { type Receiver, storing } from "./peers.ts";
import { freePort, startServer } from "./processes.ts";
import type { Workspace } from "./workspace.ts";

/** What {@linkcode startNginx} needs. */
export const NGINX = "nginx";

/** The folder of its directory that has the files, so that its addresses are those of inlet. */
const FILES = "files";

/** Directories that it makes, whether it uses them or not. */
const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/**
 * Starts an nginx with a configuration of its own.
 *
 * @param encrypted Whether it speaks TLS 1.3, with a certificate that is thrown away; that takes
 * `OPENSSL`.
 */
export async function startNginx(
  workspace: Workspace,
  stack: AsyncDisposableStack,
  { encrypted }: { encrypted: boolean },
): Promise<Receiver> {
  const [home, root] = [workspace.directory(), workspace.directory()];
  const directory = `${root}/${FILES}`;
  await Deno.mkdir(directory);
  const port = freePort();
  const config = `${home}/nginx.conf`;
  await Deno.writeTextFile(
    config,
    `
# The process that is started serves by itself: its processor time is counted.
daemon off;
master_process off;
pid ${home}/pid;
error_log stderr notice;
events {}
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_max_body_size 0;
  ${TEMPORARY.map((name) => `${name}_temp_path ${home}/${name};`).join("\n  ")}
  server {
    listen 127.0.0.1:${port}${encrypted ? " ssl" : ""};
    ${encrypted ? await certificateLines(workspace) : ""}
    root ${root};
    dav_methods PUT;
  }
}
`,
  );
  // It says this once it listens.
  const listens = { says: /using the "\w+" event method/, port };
  return storing(
    directory,
    stack.use(await startServer([NGINX, "-e", "stderr", "-c", config], {}, listens)),
  );
}

async function certificateLines(workspace: Workspace): Promise<string> {
  const { certificate, privateKey } = await makeCertificate(workspace);
  return `ssl_protocols TLSv1.3; ssl_certificate ${certificate}; ssl_certificate_key ${privateKey};`;
}
