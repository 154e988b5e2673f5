import { describe, expect, test } from "bun:test";
import { callerAddress } from "../../src/http/caller_address.ts";
import { networkOf } from "../../src/platform/addresses.ts";

describe("who is asking", () => {
  const cases: [name: string, peer: string, forwardedFor: string | null, behindProxy: boolean, address: string][] = [
    ["the peer itself", "203.0.113.7", null, false, "203.0.113.7"],
    ["the peer, its IPv4 address unwrapped", "::ffff:203.0.113.7", null, false, "203.0.113.7"],
    ["the peer, whatever it claims, without a proxy", "127.0.0.1", "198.51.100.1", false, "127.0.0.1"],
    ["whom the proxy on this machine names", "127.0.0.1", "198.51.100.1", true, "198.51.100.1"],
    [
      "whom the proxy names, and not whom the caller wrote before",
      "10.0.0.2",
      "6.6.6.6, 198.51.100.1",
      true,
      "198.51.100.1",
    ],
    ["the peer, when it comes from the internet past the proxy", "8.8.8.8", "198.51.100.1", true, "8.8.8.8"],
    ["the peer, when the header is no address", "127.0.0.1", "unknown", true, "127.0.0.1"],
    ["the proxy, when it names nobody", "127.0.0.1", null, true, "127.0.0.1"],
    ["an IPv6 address", "fd00::1", "2a00:1450:4001:81b::200e", true, "2a00:1450:4001:81b::200e"],
  ];
  for (const [name, peer, forwardedFor, behindProxy, address] of cases) {
    test(name, () => expect(callerAddress(peer, forwardedFor, behindProxy)).toBe(address));
  }
});

test("one customer's IPv6 addresses count as one, and not as another's", () => {
  expect(networkOf("2a00:1450:4001:81b::1")).toBe(networkOf("2a00:1450:4001:81b:ffff::9"));
  expect(networkOf("2a00:1450:4001:81b::1")).not.toBe(networkOf("2a00:1450:4001:81c::1"));
  expect(networkOf("203.0.113.7")).toBe("203.0.113.7");
});
