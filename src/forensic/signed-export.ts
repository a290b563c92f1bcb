/** How a fleet signs forensic exports: with Ed25519, where a recorder has a secret key of its own. */

/** What the service of an export is called that a fleet has made, in its `system_state`. */
export const FLEET_SERVICE = 'incident-fleet';

/** What a fleet signs of an export. It ends with no line feed, so it is no signed note. @param hash of the payload, hex */
export const signedOfExport = (hash: string): Buffer => Buffer.from(`incident-recorder-forensic/1\n${hash}`);
