import { assertEquals } from "@std/assert";
import { formatAddress, hostOf } from "../lib/address.ts";
import { pure } from "./helpers.ts";

pure("formatAddress() puts an IPv6 host in brackets", () => {
  assertEquals(formatAddress({ hostname: "127.0.0.1", port: 80 }), "127.0.0.1:80");
  assertEquals(formatAddress({ hostname: "::1", port: 5000 }), "[::1]:5000");
});

pure("hostOf() takes IPv4 within IPv6 for what it is", () => {
  assertEquals(hostOf("127.0.0.1:80"), "127.0.0.1");
  assertEquals(hostOf("[::1]:5000"), "[::1]");
  assertEquals(hostOf("[::ffff:192.0.2.7]:5000"), "192.0.2.7");
  assertEquals(hostOf("[::FFFF:192.0.2.7]:5000"), "192.0.2.7");
  assertEquals(hostOf("[::fffe:c000:207]:5000"), "[::fffe:c000:207]");
});
