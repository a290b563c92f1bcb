/** The hashes of Merkle trees as RFC 6962, section 2.1, defines them, with SHA-256. */
import { hash } from 'node:crypto';

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

/** @param data of the leaf */
export const leafHash = (data: Uint8Array): Buffer => sha256(Buffer.concat([LEAF, data]));

export const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.concat([NODE, left, right]));

/** The root of a tree without leaves. */
export const emptyRoot = (): Buffer => sha256(Buffer.alloc(0));

const sha256 = (data: Buffer): Buffer => hash('sha256', data, 'buffer');
