/**
 * The URL of a target, as the policy writes it: `http://host:port/path` for TCP, `https://host:port/path` with TLS, or
 * `unix:/socket/path:/path` for a unix socket.
 */
import { createHash } from 'node:crypto';
import { isLoopback } from '../loopback.ts';

export type TargetUrl =
  | {
      readonly kind: 'tcp';
      readonly text: string;
      readonly host: string;
      readonly port: number;
      readonly path: string;
      /** There with TLS. */
      readonly secure?: true;
    }
  | { readonly kind: 'unix'; readonly text: string; readonly socket: string; readonly path: string };

export const URL_FORMS =
  'http://127.0.0.1:port/path or unix:/path/of/socket:/path (https://host:port/path with ALLOW_NON_LOOPBACK=1)';

/** `sun_path` holds 108 bytes, the last of them NUL: unix(7). */
const LONGEST_SOCKET_PATH = 107;
const LONGEST_URL = 1024;
/** Enough to tell a few receivers apart. */
const TAG_DIGITS = 8;
/** A path and a query of RFC 3986: visible ASCII without a fragment. */
const PATH = /^\/[!"$-~]*$/;

/** Parses a target's URL. Returns undefined when it has neither form. */
export function parseTargetUrl(text: string): TargetUrl | undefined {
  if (text.length > LONGEST_URL) return undefined;
  return text.startsWith('unix:') ? parseUnix(text) : parseTcp(text);
}

/** Whether the connection is encrypted, and the service proves by a certificate who it is. */
export const isSecure = (url: TargetUrl): boolean => url.kind === 'tcp' && url.secure === true;

/** Whether a request to this URL stays on this machine. */
export const staysHere = (url: TargetUrl): boolean => url.kind === 'unix' || isLoopback(url.host);

/**
 * What anybody may see of an address: how its host or socket is reached. The path may hold a secret, as those of many
 * receivers do. An address without a path of its own is shown as it is written.
 */
export const originOf = (url: TargetUrl): string => {
  if (url.path === '/') return url.text;
  return url.kind === 'unix' ? `unix:${url.socket}` : new URL(url.text).origin;
};

/** Tells addresses with the same origin apart without showing their paths: the beginning of a hash, in hexadecimal. */
const tagOf = ({ text }: TargetUrl): string => createHash('sha256').update(text).digest('hex').slice(0, TAG_DIGITS);

/** The name of an address where many may read it: its origin and its tag. */
export const nameOf = (url: TargetUrl): string => (url.path === '/' ? url.text : `${originOf(url)}#${tagOf(url)}`);

function parseUnix(text: string): TargetUrl | undefined {
  const [, socket = '', path = ''] = /^unix:(\/[^:\0]+):(\/.*)$/.exec(text) ?? [];
  if (socket === '' || Buffer.byteLength(socket) > LONGEST_SOCKET_PATH || !PATH.test(path)) return undefined;
  return { kind: 'unix', text, socket, path };
}

function parseTcp(text: string): TargetUrl | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text);
  const path = `${pathname}${search}`;
  if (username !== '' || password !== '' || hash !== '' || hostname === '' || !PATH.test(path)) return undefined;
  const host = hostname.replace(/^\[|\]$/g, '');
  if (protocol !== 'https:') return { kind: 'tcp', text, host, port: Number(port || 80), path };
  return { kind: 'tcp', text, host, port: Number(port || 443), path, secure: true };
}
