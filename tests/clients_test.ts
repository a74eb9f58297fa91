import { assertEquals, assertMatch } from "@std/assert";
import { type Client, Clients } from "../lib/server/clients.ts";
import { pure } from "./helpers.ts";

function statusOf(clients: Clients): string[] {
  return [...clients.status()].flat();
}

pure("Clients numbers those it lets in, and turns away one more than its limit", () => {
  const clients = new Clients(2);
  const first = clients.admit("127.0.0.1:40001")!;
  const second = clients.admit("127.0.0.1:40002")!;
  assertEquals([first.number, second.number, clients.connected], [1, 2, 2]);
  assertEquals(clients.admit("127.0.0.1:40003"), undefined);
  clients.leave(first);
  assertEquals(clients.connected, 1);
  assertEquals(clients.admit("127.0.0.1:40004")!.number, 3);
  assertEquals(statusOf(clients).length, 3);
});

pure("Clients counts a client that leaves once, however often it is told", () => {
  const clients = new Clients(2);
  const first = clients.admit("127.0.0.1:40001")!;
  clients.admit("127.0.0.1:40002");
  clients.leave(first);
  clients.leave(first);
  assertEquals([clients.connected, clients.connectedFrom("127.0.0.1:9")], [1, 1]);
});

pure("Clients holds each address to a number, IPv4 within IPv6 to that of IPv4", () => {
  const clients = new Clients(10, 2);
  const first = clients.admit("127.0.0.1:40001")!;
  clients.admit("[::ffff:127.0.0.1]:40002");
  assertEquals(clients.isCrowded("127.0.0.1:40003"), true);
  assertEquals(clients.admit("127.0.0.1:40003"), undefined);
  assertEquals(clients.admit("[::FFFF:127.0.0.1]:40003"), undefined);
  assertEquals(clients.admit("[::1]:40003")!.number, 3);
  clients.leave(first);
  assertEquals(clients.admit("127.0.0.1:40004")!.number, 4);
});

pure("Clients gives one address half of the places, and this machine all of them", () => {
  const clients = new Clients(20);
  for (let port = 1; port <= 10; port++) clients.admit(`192.0.2.1:${port}`);
  assertEquals([clients.connected, clients.limitFor("192.0.2.1:99")], [10, 10]);
  assertEquals(clients.admit("192.0.2.1:99"), undefined);
  assertEquals(clients.admit("[::ffff:192.0.2.1]:99"), undefined);
  for (const host of ["127.0.0.1", "127.0.0.9", "[::1]", "[::ffff:127.0.0.1]"]) {
    assertEquals(clients.limitFor(`${host}:1`), Infinity);
  }
  for (let port = 1; port <= 9; port++) clients.admit(`127.0.0.1:${port}`);
  assertEquals(clients.admit("192.0.2.2:1")!.number, 20);
});

pure(
  "Clients with few places gives them to whoever comes, and keeps to a limit that is given",
  () => {
    assertEquals(new Clients(19).limitFor("192.0.2.1:1"), Infinity);
    assertEquals(new Clients(100, 2).limitFor("127.0.0.1:1"), 2);
  },
);

pure("Clients.status() tells who is connected, and who left when", () => {
  const clients = new Clients(10);
  clients.admit("127.0.0.1:40001")!.name = "ben";
  clients.leave(clients.admit("[::1]:40002")!);
  const [first, second] = statusOf(clients);
  assertMatch(
    first!,
    /^client 1 \| ben \| 127\.0\.0\.1:40001 \| Start: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| End: Still Connected$/,
  );
  assertMatch(second!, /^client 2 \| \[::1\]:40002 \| Start: .{19} \| End: \d{4}-\d\d-\d\d .{8}$/);
});

pure("Clients.status() shows a client's name without what a terminal would obey", () => {
  const clients = new Clients(1);
  clients.admit("127.0.0.1:40001")!.name = "\x1b[2Jben";
  assertMatch(statusOf(clients)[0]!, /\| \\u\{1b\}\[2Jben \|/);
});

pure("Clients remembers a thousand, and forgets nobody who is still connected", () => {
  const clients = new Clients(2000);
  const stays = clients.admit("127.0.0.1:40001")!;
  for (let count = 0; count < 1500; count++) clients.leave(clients.admit("127.0.0.1:40002")!);
  const lines = statusOf(clients);
  assertEquals(lines.length, 1000);
  assertMatch(lines[0]!, new RegExp(`^client ${stays.number} .*Still Connected$`));
  assertMatch(lines[1]!, /^client 503 /);
  assertMatch(lines[999]!, /^client 1501 /);
});

pure("Clients keeps its list bounded when all of them stay", () => {
  const clients = new Clients(2000);
  for (let count = 0; count < 1200; count++) clients.admit("127.0.0.1:40001");
  assertEquals(statusOf(clients).length, 1000);
  assertEquals(clients.connected, 1200);
});

pure("Clients lists a visitor as connected, which holds no place", () => {
  const clients = new Clients(1);
  const visitor = clients.admit("127.0.0.1:40001")!;
  const visit = clients.visit(visitor, "ann");
  assertEquals([clients.connected, visitor.name, visitor.end], [0, "ann", undefined]);
  const other = clients.admit("127.0.0.1:40002")!;
  clients.introduce(other, "ann");
  assertEquals([other.name, clients.connected], ["ann-2", 1]);
  assertMatch(statusOf(clients).join("\n"), /^client 1 \| ann \|.*Connected\nclient 2 \| ann-2 \|/);
  visit[Symbol.dispose]();
  clients.leave(visitor);
  assertEquals([clients.connected, visitor.end instanceof Date], [1, true]);
  // The name is free again, and the visitor may go on as a client.
  clients.rename(other, "ann");
  clients.leave(other);
  assertEquals([other.name, clients.readmit(visitor), clients.connected], ["ann", true, 1]);
});

pure("Clients lets a visitor take its name over from a request of HTTP", () => {
  const clients = new Clients(3);
  const request = clients.admit("127.0.0.1:40001")!;
  request.wire = "http";
  clients.introduce(request, "ann");
  const visitor = clients.admit("127.0.0.1:40002")!;
  using _ = clients.visit(visitor, "ann");
  clients.leave(request);
  const third = clients.admit("127.0.0.1:40003")!;
  clients.introduce(third, "ann");
  assertEquals([visitor.name, third.name], ["ann", "ann-2"]);
});

pure("Clients gives one that comes back the name it asked for, and no number on a number", () => {
  const clients = new Clients(10);
  const [first, second, third] = [5000, 5001, 5002].map((port) => {
    const client = clients.admit(`127.0.0.1:${port}`)!;
    client.requested = "ann";
    clients.rename(client, "ann");
    return client;
  }) as [Client, Client, Client];
  assertEquals([first.name, second.name, third.name], ["ann", "ann-2", "ann-3"]);
  clients.leave(third);
  clients.leave(second);
  clients.readmit(third);
  clients.readmit(second);
  assertEquals([third.name, second.name], ["ann-2", "ann-3"]);
  for (const client of [first, second, third]) clients.leave(client);
  clients.readmit(second);
  assertEquals(second.name, "ann");
});

pure("Clients lists one that signs in late in its place, in order of admission", () => {
  const clients = new Clients(10);
  const stranger = clients.admit("127.0.0.1:5000")!;
  stranger.unauthenticated = true;
  clients.leave(stranger);
  const second = clients.admit("127.0.0.1:5001")!;
  clients.readmit(stranger);
  stranger.unauthenticated = false;
  assertEquals(clients.known, [stranger, second]);
});
