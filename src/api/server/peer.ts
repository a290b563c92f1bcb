/**
 * Who is at the other end of a connection.
 *
 * A peer is trusted from its first request with the service token on. Every other one is a stranger: strangers share what
 * the trusted leave, connection by connection, because nothing else tells one stranger from another.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { RecorderError } from '../../errors.ts';

export interface Peer {
  readonly trusted: boolean;
  /** Waits until the peer may use the processor again; a trusted peer never waits. */
  turn(): Promise<void>;
}

const PEERS = new WeakMap<Socket, Peer>();

/** Makes `peer` the one that `peerOf` gives for requests on this connection. */
export const setPeer = (socket: Socket, peer: Peer): void => {
  PEERS.set(socket, peer);
};

/** The peer that sent a request; a stranger where the server has not said otherwise. */
export const peerOf = ({ socket }: IncomingMessage): Peer => PEERS.get(socket) ?? STRANGER;

/**
 * The turns of a request that takes long, to be awaited before each part of the work.
 * @returns what throws RecorderError `overloaded` when the client has left: nobody needs the rest
 */
export const turnsOf = (request: IncomingMessage): (() => Promise<void>) => {
  const peer = peerOf(request);
  return async () => {
    await peer.turn();
    if (request.socket.destroyed) throw new RecorderError('overloaded', 'the client has left');
  };
};

const STRANGER: Peer = { trusted: false, turn: () => Promise.resolve() };
