import { describe, expect, test } from "bun:test";
import {
  type Address,
  allowsAddress,
  allowsHost,
  parseAddress,
  parseAllowedNetworks,
  specialRange,
} from "../../src/platform/addresses.ts";
import { AppError } from "../../src/platform/errors.ts";

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`${text} is not an address`);
  return parsed;
}

describe("special ranges", () => {
  // cidr, first address, last address: the edges of every range of the two IANA registries and of what we add to them.
  const edges = [
    ["0.0.0.0/32", "0.0.0.0", "0.0.0.0"],
    ["0.0.0.0/8", "0.0.0.1", "0.255.255.255"],
    ["10.0.0.0/8", "10.0.0.0", "10.255.255.255"],
    ["100.64.0.0/10", "100.64.0.0", "100.127.255.255"],
    ["127.0.0.0/8", "127.0.0.0", "127.255.255.255"],
    ["168.63.129.16/32", "168.63.129.16", "168.63.129.16"],
    ["169.254.0.0/16", "169.254.0.0", "169.254.255.255"],
    ["172.16.0.0/12", "172.16.0.0", "172.31.255.255"],
    ["192.0.0.0/24", "192.0.0.0", "192.0.0.255"],
    ["192.0.2.0/24", "192.0.2.0", "192.0.2.255"],
    ["192.31.196.0/24", "192.31.196.0", "192.31.196.255"],
    ["192.52.193.0/24", "192.52.193.0", "192.52.193.255"],
    ["192.88.99.0/24", "192.88.99.0", "192.88.99.255"],
    ["192.168.0.0/16", "192.168.0.0", "192.168.255.255"],
    ["192.175.48.0/24", "192.175.48.0", "192.175.48.255"],
    ["198.18.0.0/15", "198.18.0.0", "198.19.255.255"],
    ["198.51.100.0/24", "198.51.100.0", "198.51.100.255"],
    ["203.0.113.0/24", "203.0.113.0", "203.0.113.255"],
    ["224.0.0.0/4", "224.0.0.0", "239.255.255.255"],
    ["240.0.0.0/4", "240.0.0.0", "255.255.255.254"],
    ["255.255.255.255/32", "255.255.255.255", "255.255.255.255"],
    ["::/128", "::", "::"],
    ["::1/128", "::1", "::1"],
    ["::/96", "::2", "::ffff:ffff"],
    ["::ffff:0:0/96", "::ffff:0.0.0.0", "::ffff:255.255.255.255"],
    ["::ffff:0:0:0/96", "::ffff:0:0:0", "::ffff:0:ffff:ffff"],
    ["64:ff9b::/96", "64:ff9b::", "64:ff9b::ffff:ffff"],
    ["64:ff9b:1::/48", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"],
    ["100::/64", "100::", "100::ffff:ffff:ffff:ffff"],
    ["100:0:0:1::/64", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"],
    ["2001::/32", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2001::/23", "2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2001:2::/48", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"],
    ["2001:3::/32", "2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2001:4:112::/48", "2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff"],
    ["2001:10::/28", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2001:20::/28", "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2001:30::/28", "2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2002::/16", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["2620:4f:8000::/48", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"],
    ["3ffe::/16", "3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["3fff::/20", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["5f00::/16", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["fc00::/7", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["fe80::/10", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["fec0::/10", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["ff00::/8", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["outside 2000::/3", "4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["outside 2000::/3", "1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ] as const;

  test.each(edges)("%s holds %s and %s", (cidr, first, last) => {
    expect(specialRange(address(first))?.cidr).toBe(cidr);
    expect(specialRange(address(last))?.cidr).toBe(cidr);
  });

  // The neighbours just outside of the ranges, and well-known public servers.
  const open = [
    ["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"],
    ["168.63.129.15", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0"],
    ["192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "223.255.255.255"],
    [
      "8.8.8.8",
      "2000::",
      "2001:200::",
      "2001:db7::",
      "2001:db9::",
      "2003::",
      "2606:4700::1111",
      "3ffd::",
      "3fff:1000::",
    ],
  ].flat();

  test.each(open)("%s is public", (text) => {
    expect(specialRange(address(text))).toBeNull();
  });
});

describe("parseAddress", () => {
  test.each(["", "1.2.3", "010.0.0.1", "0x7f.0.0.1", "1.2.3.256", "1.2.3.4.5", "fe80::1%eth0", "::g", "example.com"])(
    "does not guess at %p",
    (text) => {
      expect(parseAddress(text)).toBeNull();
    },
  );
});

describe("ALLOWED_NETWORKS", () => {
  const allowed = parseAllowedNetworks([
    "10.1.0.0/16",
    " fd00:1::/32 ",
    "192.168.0.7",
    "192.168.0.8:8080",
    "[fd00:2::1]:8443",
    "ERP.internal",
    "crm.internal.:9000",
    "",
  ]);

  test.each([
    ["10.1.2.3", 80, true],
    ["10.2.0.0", 80, false],
    ["192.168.0.7", 1234, true],
    ["192.168.0.8", 8080, true],
    ["192.168.0.8", 80, false],
    ["192.168.0.9", 8080, false],
    ["fd00:1::9", 80, true],
    ["fd00:2::1", 8443, true],
    ["fd00:2::1", 443, false],
    ["::ffff:10.1.2.3", 80, false],
    ["2002:a01:203::", 80, false],
    ["64:ff9b::a01:203", 80, false],
  ])("%s on port %p: %p", (text, port, expected) => {
    expect(allowsAddress(allowed, address(text), port)).toBe(expected);
  });

  test.each([
    ["erp.internal", 80, true],
    ["www.erp.internal", 80, false],
    ["crm.internal", 9000, true],
    ["crm.internal", 80, false],
  ])("host %s on port %p: %p", (host, port, expected) => {
    expect(allowsHost(allowed, host, port)).toBe(expected);
  });

  test("a mapped entry opens the mapped spelling only", () => {
    const mapped = parseAllowedNetworks(["::ffff:10.0.0.5"]);
    expect(allowsAddress(mapped, address("::ffff:10.0.0.5"), 80)).toBe(true);
    expect(allowsAddress(mapped, address("10.0.0.5"), 80)).toBe(false);
  });

  test.each([
    ["10.0.0.0/33", "0 to 32"],
    ["10.0.0.0/", "0 to 32"],
    ["10.0.0.0/8/8", "0 to 32"],
    ["fd00::/129", "0 to 128"],
    ["10.0.0.5/8", "write 10.0.0.0/8"],
    ["fd00::5/8", "write fd00::/8"],
    ["010.0.0.0/8", "not an IP address"],
    ["erp.internal/8", "not an IP address"],
    ["http://erp.internal", "not an IP address"],
    ["10.0.0", "neither a network"],
    ["0x0a000001", "neither a network"],
    ["*.internal", "neither a network"],
    ["erp internal", "neither a network"],
    ["erp.internal:0", "from 1 to 65535"],
    ["erp.internal:70000", "from 1 to 65535"],
  ])("refuses %p and says why", (entry, reason) => {
    const read = () => parseAllowedNetworks(["10.0.0.0/8", entry]);
    expect(read).toThrow(AppError);
    expect(read).toThrow(`"${entry}"`);
    expect(read).toThrow(reason);
  });
});
