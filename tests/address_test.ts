import { assertEquals } from "@std/assert";
import { formatAddress, hostOf, inZone, isLinkLocal, zoneOf } from "../lib/address.ts";
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

pure(
  "zoneOf() and isLinkLocal() read addresses, and inZone() adds what the system leaves out",
  () => {
    assertEquals(zoneOf("fe80::77%v0"), "v0");
    assertEquals(zoneOf("[fe80::77%wlan0.1]"), "wlan0.1");
    assertEquals([zoneOf("fe80::77"), zoneOf("a%b"), zoneOf("127.0.0.1")], [
      undefined,
      undefined,
      undefined,
    ]);
    for (const hostname of ["fe80::1", "FEBF::1", "[fe80::1%lo]"]) {
      assertEquals(
        isLinkLocal(hostname),
        true,
      );
    }
    for (const hostname of ["fec0::1", "::1", "fe80.example"]) {
      assertEquals(
        isLinkLocal(hostname),
        false,
      );
    }
    const zoned = (hostname: string, zone?: string): string =>
      inZone({ hostname, port: 1 }, zone).hostname;
    assertEquals(zoned("fe80::1", "v0"), "fe80::1%v0");
    assertEquals(zoned("fe80::1%v1", "v0"), "fe80::1%v1");
    assertEquals([zoned("::1", "v0"), zoned("fe80::1")], ["::1", "fe80::1"]);
  },
);
