import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Addresses that no other machine can reach: RFC 1122, section 3.2.1.3, and RFC 4291, section 2.5.3. */
const IPV4_LOOPBACK = '127.';
let loopback: BlockList | undefined;
/** The same for IPv6, in every spelling. Made when it is first used: that loads two of Node's modules. */
const ipv6Loopback = (): BlockList => {
  if (loopback !== undefined) return loopback;
  loopback = new BlockList();
  loopback.addSubnet(`${IPV4_LOOPBACK}0.0.0`, 8);
  loopback.addAddress('::1', 'ipv6');
  return loopback;
};

/** Whether a host can only be this machine. `host` is a name, or an address without brackets. */
export const isLoopback = (host: string): boolean => {
  if (isIPv4(host)) return host.startsWith(IPV4_LOOPBACK);
  if (isIPv6(host)) return ipv6Loopback().check(host, 'ipv6');
  return host.toLowerCase() === 'localhost';
};
