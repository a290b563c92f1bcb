/** The hashes of Merkle trees as RFC 6962, section 2.1, defines them, with SHA-256. */
import { createHash } from 'node:crypto';

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

/** @param data of the leaf */
export const leafHash = (data: Uint8Array): Buffer => createHash('sha256').update(LEAF).update(data).digest();

export const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer =>
  createHash('sha256').update(NODE).update(left).update(right).digest();

/** The root of a tree without leaves. */
export const emptyRoot = (): Buffer => createHash('sha256').digest();
