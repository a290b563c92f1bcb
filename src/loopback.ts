import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Addresses that no other machine can reach: RFC 1122, section 3.2.1.3, and RFC 4291, section 2.5.3. */
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether a host can only be this machine. `host` is a name, or an address without brackets. */
export const isLoopback = (host: string): boolean => {
  if (isIPv4(host)) return LOOPBACK.check(host);
  if (isIPv6(host)) return LOOPBACK.check(host, 'ipv6');
  return host.toLowerCase() === 'localhost';
};
