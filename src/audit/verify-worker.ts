/* oxlint-disable unicorn/require-post-message-target-origin -- a thread's port has no origin */
/** A worker that verifies a part of a log. It posts the bytes that it has verified, at last the result. */
import { parentPort, workerData } from 'node:worker_threads';
import { chainHash } from './chain-hash.ts';
import { type Part, verifyPart } from './verify-part.ts';

const { part, key } = workerData as { readonly part: Part; readonly key: Uint8Array | undefined };
const valid = await verifyPart(part, chainHash(key), (bytes) => parentPort?.postMessage({ bytes }));
parentPort?.postMessage({ valid });
