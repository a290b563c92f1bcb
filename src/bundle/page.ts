/**
 * The page of a bundle: what is on record of its incidents, to be read and printed. It needs nothing from outside, and
 * holds no script. Foreign text is shown as text, and hidden characters by their code point.
 */
import { codePointOf, hiddenCharacters } from '../domain/hidden-characters.ts';
import { claimedAnchor } from '../anchor.ts';
import type { Signed } from '../domain/caller.ts';
import type { AnchorOnRecord } from '../domain/entries.ts';
import { writeExact } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { BundledMachine, FleetSigner, Proof } from './format.ts';

export interface PageEntry {
  readonly seq: number;
  /** RFC 3339. */
  readonly at: string;
  readonly event: string;
  readonly state: string;
  readonly who: string;
  readonly words: string;
  readonly hash: string;
}

export interface PageIncident {
  readonly incident: Readonly<Record<string, JsonValue>> & { readonly id: string };
  readonly entries: readonly PageEntry[];
  /** SVG; undefined where not all of its entries are in the bundle. */
  readonly chart: string | undefined;
  /** How many entries are not in the bundle. */
  readonly missing: number;
}

type AnchorShown = Pick<AnchorOnRecord, 'anchored_seq' | 'anchor' | 'machine' | 'time' | 'root'>;

export interface PageAbout {
  readonly ids: readonly string[];
  readonly madeAt: string;
  readonly caller: Signed;
  readonly head: { readonly seq: number; readonly entry_hash: string };
  readonly logId: string | undefined;
  readonly algorithm: string;
  readonly proofs: readonly Proof[];
  /** How far somebody else has signed the log. */
  readonly anchor: AnchorShown | undefined;
  /** The fleet that makes it, and the machine; undefined where the recorder makes it. */
  readonly fleet: { readonly signed_by: FleetSigner; readonly machine: BundledMachine } | undefined;
}

/** Black on white in both themes, since it is to be printed. */
const STYLE = `
:root { color-scheme: light }
body { font: 14px/1.45 Helvetica, Arial, 'Liberation Sans', sans-serif; color: #171c22; background: #fff; margin: 24px auto; max-width: 1000px; padding: 0 16px }
h2, p { overflow-wrap: anywhere } h1 { font-size: 20px; margin: 0 0 4px } h2 { font-size: 17px; margin: 32px 0 8px; break-after: avoid } h3 { font-size: 14px; margin: 20px 0 6px; break-after: avoid }
p { margin: 4px 0 } .small { color: #545e69; font-size: 12px }
dl { display: grid; grid-template-columns: fit-content(30%) minmax(0, 1fr); gap: 2px 16px; margin: 0 } dt { color: #545e69; overflow-wrap: anywhere } dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; font-size: 12px } th, td { text-align: left; vertical-align: top; padding: 3px 8px 3px 0; border-bottom: 1px solid #cfd5db; overflow-wrap: anywhere }
@media screen and (min-width: 640px) { td:nth-child(2), td:nth-child(4) { white-space: nowrap } }
thead { display: table-header-group } tr { break-inside: avoid }
code, pre, .hash { font: 11px/1.4 ui-monospace, 'Liberation Mono', monospace; overflow-wrap: anywhere; white-space: pre-wrap }
bdi.text { unicode-bidi: isolate; white-space: pre-wrap } .hidden { border: 1px solid #b00d2c; color: #b00d2c; font-size: 10px; padding: 0 2px }
figure { margin: 8px 0; overflow-x: auto } figure img { max-width: 100%; height: auto }
@media screen and (max-width: 640px) {
  body { margin: 12px auto } dl { display: block } dd { margin: 0 0 6px }
  table, tbody, tr, td { display: block } thead { display: none } td { border: 0; padding: 0 } tr { border-bottom: 1px solid #cfd5db; padding: 6px 0 }
}
@media print { body { margin: 0; max-width: none } section { break-before: page } section:first-of-type { break-before: auto } }`.trim();

let pattern: RegExp | undefined;
/** Made when it is first used: to read its text takes a hundredth of a start. */
const hiddenPattern = (): RegExp => (pattern ??= hiddenCharacters({ except: '\t\n' }));
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (one) => ENTITIES[one]!);

/** Foreign text, isolated, with its hidden characters visible. */
function shown(text: string): string {
  let at = 0;
  let html = '';
  for (const { 0: hidden, index } of text.matchAll(hiddenPattern())) {
    html += `${escaped(text.slice(at, index))}<span class="hidden">${codePointOf(hidden)}</span>`;
    at = index + hidden.length;
  }
  return `<bdi class="text">${html}${escaped(text.slice(at))}</bdi>`;
}

/** A value to be read: a list by lines, else indented where that does not change how a number is spelt. */
function textOf(value: JsonValue): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.length > 0) return value.map((one: JsonValue) => writeExact(one)).join('\n');
  const exact = writeExact(value);
  return JSON.stringify(value) === exact ? JSON.stringify(value, undefined, 1) : exact;
}

/** What is shown in a part of its own. */
const APART: ReadonlySet<string> = new Set(['id', 'description', 'evidence', 'containment', 'latest_report']);

const PROOF_WORDS: Readonly<Record<Proof, string>> = {
  'audit-key': 'the audit key verifies every line of the log, and the whole bundle',
  signature: 'an Ed25519 signature, verified without any secret, covers every field',
};

/** The page as far as its first incident. */
export function pageBegin(about: PageAbout): string {
  const { ids, madeAt, caller, head, logId, algorithm, proofs, anchor, fleet } = about;
  const who = [caller.by ?? caller.principal, caller.role].filter((one) => one !== undefined).join(' as ');
  const words =
    proofs.length === 0
      ? 'nothing but SHA-256, which shows accidents and no forgery'
      : proofs.map((one) => PROOF_WORDS[one]).join('; ');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Incidents: ${escaped(ids.join(', '))}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>${STYLE}</style></head><body><main>
<h1>${ids.length === 1 ? 'Incident' : `${ids.length} incidents`} on record</h1>
<p>Made ${escaped(madeAt)}${who === '' ? '' : ` for ${shown(who)}`}. Log ${escaped(logId ?? 'without an identity')} (${escaped(algorithm)}), ${head.seq} entries, head <span class="hash">${escaped(head.entry_hash)}</span>.</p>
${fleet === undefined ? '' : `<p>${fleetWords(fleet)}</p>\n`}<p>${anchorWords(anchor)}</p>
<p class="small">Proved by: ${words}. This page is one field of the bundle: check the bundle with <code>incident-recorder verify-bundle</code> before you rely on the page.</p>
`;
}

function fleetWords({ signed_by: signer, machine }: NonNullable<PageAbout['fleet']>): string {
  const { name, history, standing, diverged, unverified_from: from } = machine;
  const verified =
    from === null
      ? 'It has verified the hash of every entry.'
      : `From entry ${from} on it has verified the links alone.`;
  const left = standing === 'left' ? ' The machine has left this history and goes on with another one.' : '';
  const after =
    diverged === null
      ? ''
      : ` This history differs from history ${shown(diverged.from)}, which the machine had before, from entry ${diverged.at_seq} on.`;
  return `Made and signed by the fleet ${shown(signer.fleet)}, not by the recorder, from the log of the machine ${shown(name)} as the machine has sent it: history ${shown(history)}. ${verified}${left}${after}`;
}

function anchorWords(anchor: AnchorShown | undefined): string {
  if (anchor === undefined) return 'Not anchored: nobody else has signed how far the log went.';
  const { anchored_seq: seq, machine, time, root } = anchor;
  const { fleet } = claimedAnchor(anchor.anchor);
  return `Anchored: ${shown(fleet)} has signed at ${escaped(time)} that the log of ${shown(machine)} had ${seq} entries, with the root <span class="hash">${escaped(root)}</span>.`;
}

export const pageEnd = (): string => '</main></body></html>\n';

/** What the page shows of an incident. */
export function pageSection({ incident, entries, chart, missing }: PageIncident): string {
  const { id, description = '', evidence, containment, latest_report: latest } = incident;
  const facts = Object.entries(incident).filter(([name]) => !APART.has(name));
  return `<section><h2>${escaped(id)}</h2>
<p>${brief(description)}</p>
<h3>Facts</h3>${listOf(facts)}
${evidence === undefined ? '' : `<h3>Evidence</h3>${listOf(Object.entries(evidence as Readonly<Record<string, JsonValue>>))}`}
${latest === undefined ? '' : `<h3>Latest report</h3>${listOf(Object.entries(latest as Readonly<Record<string, JsonValue>>))}`}
${containment === undefined ? '' : `<h3>Containment</h3><pre>${shown(textOf(containment))}</pre>`}
<h3>Timeline</h3>
${missing > 0 ? `<p>${missing} entries about it are not in this bundle.</p>` : ''}
<table><thead><tr><th>Entry</th><th>Time</th><th>Event</th><th>State</th><th>Who</th><th>What</th><th>Hash</th></tr></thead><tbody>
${entries.map(rowOf).join('\n')}
</tbody></table>
${chart === undefined ? '' : `<h3>Statechart</h3><figure><img alt="The statechart with the path of the incident" src="data:image/svg+xml;base64,${Buffer.from(chart).toString('base64')}"></figure>`}
</section>
`;
}

/** How much of a value is shown, in UTF-16 units: a page of paper or two. */
const LONGEST_SHOWN = 4000;
const brief = (value: JsonValue): string => {
  const text = textOf(value);
  if (text.length <= LONGEST_SHOWN) return shown(text);
  const begin = text.slice(0, LONGEST_SHOWN).replace(/[\uD800-\uDBFF]$/, '');
  return `${shown(begin)}<span class="small"> … and ${text.length - begin.length} characters more, which the bundle holds</span>`;
};

/** How long a list is, in characters of HTML, before it says how many more there are. */
const LONGEST_LIST = 64 * 1024;

function listOf(members: readonly (readonly [string, JsonValue])[]): string {
  let html = '';
  for (const [at, [name, value]] of members.entries()) {
    if (html.length > LONGEST_LIST)
      return `<dl>${html}</dl><p class="small">${members.length - at} more are in the fields of the bundle.</p>`;
    html += `<dt>${shown(name)}</dt><dd>${brief(value)}</dd>`;
  }
  return `<dl>${html}</dl>`;
}

const rowOf = ({ seq, at, event, state, who, words, hash }: PageEntry): string =>
  `<tr><td>${seq}</td><td>${escaped(at)}</td><td>${escaped(event)}</td><td>${escaped(state)}</td><td>${shown(who)}</td><td>${shown(words)}</td><td class="hash">${escaped(hash.slice(0, 16))}</td></tr>`;
