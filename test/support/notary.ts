import { readFileSync } from 'node:fs';
import { ROLES } from '../../machines/vocabulary.ts';
import { type Anchor, anchorText } from '../../src/anchor.ts';
import { CompactRange } from '../../src/audit/compact-range.ts';
import { filesOf } from '../../src/audit/verify.ts';
import { readEntry } from '../../src/domain/entries.ts';
import { canonicalForm } from '../../src/json/canonical-form.ts';
import type { JsonValue } from '../../src/json/exact-json.ts';
import { newSigner, type Signer, signNote, verifierKeyOf } from '../../src/signed-note.ts';

const FLEET = 'fleet.example.org';
export const MACHINE = 'oven-3';

/** An access file with which whoever has the service token may do everything, for a machine of a fleet. */
export const accessInFleet = (notary: Notary, fleet: object = {}, more: object = {}): string =>
  JSON.stringify({
    version: 1,
    service_token: { roles: ROLES, sources: 'any', classes: 'any', actions: 'any' },
    fleet_key: notary.key,
    fleet: { machine: MACHINE, roles: ['operator', 'recovery', 'admin'], ...fleet },
    ...more,
  });

/** Stands in for a fleet: holds the entries of one machine's log, and signs how far they go. */
export class Notary {
  readonly signer: Signer;
  readonly #hashes: string[] = [];
  #commands = 0;

  constructor(name = FLEET) {
    this.signer = newSigner(name);
  }

  /** As an access file has it. */
  get key(): string {
    return verifierKeyOf(this.signer);
  }

  /** How many entries it holds. */
  get through(): number {
    return this.#hashes.length;
  }

  /** Takes the entries of a log that it does not hold yet. */
  async fetch(path: string): Promise<this> {
    for (const file of await filesOf(path)) {
      for (const line of readFileSync(file, 'utf8').split('\n').slice(0, -1)) {
        const { data, entry_hash } = readEntry(line);
        if (data.seq === this.#hashes.length + 1) this.#hashes.push(entry_hash);
      }
    }
    return this;
  }

  /** @param changes what the anchor says instead of what is so */
  anchor(changes: Partial<Anchor> = {}): Anchor {
    const seq = changes.seq ?? this.#hashes.length;
    const range = CompactRange.empty();
    for (const hash of this.#hashes.slice(0, seq)) range.append(Buffer.from(hash, 'hex'));
    return {
      fleet: this.signer.name,
      machine: MACHINE,
      log: this.#hashes[0] ?? '',
      seq,
      hash: this.#hashes[seq - 1] ?? '',
      root: range.root().toString('hex'),
      time: '2026-11-22T07:12:00.000Z',
      ...changes,
    };
  }

  /** The signed note. */
  note(changes: Partial<Anchor> = {}, signer = this.signer): string {
    return signNote(anchorText(this.anchor(changes)), signer);
  }

  /** A command to the machine, signed. */
  command(command: string, body: object, changes: object = {}, signer = this.signer): string {
    this.#commands += 1;
    const asked = {
      id: `CMD-${this.#commands}`,
      machine: MACHINE,
      log: this.#hashes[0] ?? '',
      command,
      body,
      idempotency_key: `key-${this.#commands}`,
      by: 'ada',
      role: 'operator',
      issued: new Date().toISOString(),
      expires: new Date(Date.now() + 3_600_000).toISOString(),
      ...changes,
    };
    return signNote(`incident-fleet/command/v1\n${canonicalForm(asked as unknown as JsonValue)}\n`, signer);
  }
}
