import { assertEquals, assertRejects } from "@std/assert";
import { connect } from "../lib/net/connect.ts";
import { InletError } from "../lib/errors.ts";
import { assertRefused, fixture, freePort, integration, readAll, run } from "./helpers.ts";

const PATIENT = { timeoutMs: 60_000, signal: new AbortController().signal };

integration("connect() opens a connection to a server", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  using connection = await connect({ hostname: "localhost", port }, PATIENT);
  using conn = await listener.accept();
  assertEquals(connection.remote, `127.0.0.1:${port}`);
  await connection.write(new TextEncoder().encode("hello\n"));
  await connection.closeWrite();
  assertEquals(await readAll(conn), "hello\n");
});

integration("connect() says that the connection was refused", async () => {
  const port = freePort();
  const error = await assertRejects(
    () => connect({ hostname: "127.0.0.1", port }, PATIENT),
    InletError,
    `Cannot connect to 127.0.0.1:${port}: connection refused; is the server running?`,
  );
  assertEquals(error.code, "lost");
});

/** A network whose system hands out one port first, in which a command runs. */
const ONE_PORT = "ip link set lo up && echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range";

for (const mode of ["files", "raw"]) {
  integration(`a client in mode ${mode} that would be connected to itself is refused`, async () => {
    const client = ["run", "-A", "client.ts", "127.0.0.1", "40000", fixture("hello.txt")];
    assertRefused(
      await run("unshare", [
        ...["-rn", "sh", "-c", `${ONE_PORT} && exec "$@"`, "sh", Deno.execPath()],
        ...[...client, "--mode", mode],
      ]),
      4,
      "Cannot connect to 127.0.0.1:40000: connection refused; is the server running?",
    );
  }, {
    programs: ["ip"],
    succeeds: [`unshare -rn sh -c '${ONE_PORT}'`, "unshare, and to be allowed to set its ports"],
  });
}

integration("connect() says that the host does not exist", async () => {
  const error = await assertRejects(
    () => connect({ hostname: "no-such-host.invalid", port: 5000 }, PATIENT),
    InletError,
    "Cannot connect to no-such-host.invalid:5000: no such host",
  );
  assertEquals(error.code, "lost");
});

integration("connect() gives up with the reason of its signal", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const controller = new AbortController();
  const reason = new InletError("interrupted", "Interrupted");
  const options = { timeoutMs: 60_000, signal: controller.signal };
  using connection = await connect({ hostname: "127.0.0.1", port }, options);
  const reading = connection.readLine();
  controller.abort(reason);
  assertEquals(await assertRejects(() => reading), reason);
  assertEquals(
    await assertRejects(() => connect({ hostname: "127.0.0.1", port }, options)),
    reason,
  );
});
