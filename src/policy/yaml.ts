/**
 * Reads YAML into plain values, with the line of each.
 *
 * js-yaml's own loader forgets positions and stops at the first duplicate key. So this file builds the value from
 * js-yaml's event stream and continues after a fault. It takes the subset that a policy needs: one document, mappings
 * whose keys are words, lists, and scalars as the core schema of YAML 1.2 resolves them (`yes` is text). It refuses
 * anchors, aliases and tags, so that nothing in the file can be larger or different than it looks.
 */
import { constructFromEvents, EVENT_ID, getScalarValue, parseEvents, SCALAR_STYLE, YAMLException } from 'js-yaml';
import type { Event, MappingEvent, ScalarEvent, SequenceEvent } from 'js-yaml';
import { quoted } from './fault-messages.ts';

export interface YamlFault {
  readonly line: number;
  readonly message: string;
}

export interface LocatedValue {
  /** Mappings are objects without a prototype. Undefined when the text holds no document or can't be read as YAML. */
  readonly value: unknown;
  /** The line of the value at a path, or of the nearest existing value around it. Lines count from 1. */
  readonly lineOf: (path: readonly PropertyKey[]) => number;
  readonly faults: readonly YamlFault[];
}

/** Far deeper than any policy, and shallow enough for the stack. */
const DEEPEST = 16;

/** Limits what a hostile file can cost, here and in the schema. The built-in table takes about a hundred events. */
const MOST_EVENTS = 10_000;

/** Reads a text. Never throws: `faults` says what is wrong, and the value holds what could be read. */
export const readYaml = (text: string): LocatedValue => {
  try {
    const events = parseEvents(text, { maxDepth: DEEPEST });
    return events.length > MOST_EVENTS
      ? unreadable(`the file holds ${events.length} YAML events; at most ${MOST_EVENTS} are allowed`)
      : new Composer(text, events).document();
  } catch (error) {
    // According to its documentation, the parser may throw other errors than its own.
    if (!(error instanceof YAMLException)) return unreadable(`can't be read as YAML: ${String(error)}`);
    return unreadable(`not valid YAML: ${error.reason}`, (error.mark?.line ?? 0) + 1);
  }
};

const unreadable = (message: string, line = 1): LocatedValue => ({
  value: undefined,
  lineOf: () => line,
  faults: [{ line, message }],
});

/** Builds the value in one pass over the events. Positions only grow, so lines are counted on the way. */
class Composer {
  readonly #text: string;
  readonly #events: IterableIterator<Event>;
  readonly #faults: YamlFault[] = [];
  /** For each mapping and list, the line of each of its members. */
  readonly #lines = new Map<unknown, Map<PropertyKey, number>>();
  #line = 1;
  #offset = 0;

  constructor(text: string, events: readonly Event[]) {
    this.#text = text;
    this.#events = events.values();
  }

  document(): LocatedValue {
    this.#next();
    const first = this.#next();
    const top = this.#line;
    const value = first && this.#value(first);
    this.#next();
    if (this.#next() !== undefined) {
      this.#next();
      this.#fault('a second document begins here; a policy is one document');
    }
    return { value, lineOf: (path) => this.#lineOf(value, path, top), faults: this.#faults };
  }

  #next(): Event | undefined {
    const event = this.#events.next().value as Event | undefined;
    const start = event === undefined ? -1 : startOf(event);
    for (; this.#offset < start; this.#offset += 1) if (this.#text[this.#offset] === '\n') this.#line += 1;
    return event;
  }

  /** Reads the value that begins with the event, to its end. Returns undefined for an alias. */
  #value(event: Event): unknown {
    switch (event.type) {
      case EVENT_ID.MAPPING:
        this.#refuseProperties(event);
        return this.#mapping();
      case EVENT_ID.SEQUENCE:
        this.#refuseProperties(event);
        return this.#list();
      case EVENT_ID.SCALAR:
        this.#refuseProperties(event);
        return this.#scalar(event);
      case EVENT_ID.ALIAS:
        this.#fault('aliases (*) are not used in a policy; write the value out');
        return undefined;
      case EVENT_ID.DOCUMENT:
      case EVENT_ID.POP:
        return undefined;
      default:
        return event satisfies never;
    }
  }

  #mapping(): Readonly<Record<string, unknown>> {
    const mapping: Record<string, unknown> = Object.create(null);
    const lines = this.#linesOf(mapping);
    for (const event of this.#members()) {
      const key = this.#key(event);
      const line = this.#line;
      const first = key !== undefined && lines.get(key);
      if (first) this.#fault(`duplicate key ${quoted(key)}, first on line ${first}`);
      const value = this.#value(this.#next()!);
      if (key === undefined || first) continue;
      lines.set(key, line);
      if (value !== undefined) mapping[key] = value;
    }
    return mapping;
  }

  #list(): readonly unknown[] {
    const list: unknown[] = [];
    const lines = this.#linesOf(list);
    for (const event of this.#members()) {
      const line = this.#line;
      const value = this.#value(event);
      if (value === undefined) continue;
      lines.set(list.length, line);
      list.push(value);
    }
    return list;
  }

  /** Yields the first event of each member, up to the end of the mapping or list. */
  *#members(): Generator<Event> {
    for (let event = this.#next(); event && event.type !== EVENT_ID.POP; event = this.#next()) yield event;
  }

  /** Reads a key. Returns undefined when the key is refused. */
  #key(event: Event): string | undefined {
    if (event.type !== EVENT_ID.SCALAR) {
      this.#fault('a key must be a word');
      this.#value(event);
      return undefined;
    }
    this.#refuseProperties(event);
    const key = this.#textOf(event);
    if (key !== '__proto__') return key;
    // Schemas silently ignore this key, so it is refused here.
    this.#fault(`unknown key ${quoted(key)}`);
    return undefined;
  }

  #scalar(event: ScalarEvent): unknown {
    const text = this.#textOf(event);
    if (event.style !== SCALAR_STYLE.PLAIN || event.tagStart >= 0) return text;
    return constructFromEvents([DOCUMENT, event, { type: EVENT_ID.POP }], { source: this.#text })[0];
  }

  #textOf(event: ScalarEvent): string {
    return event.valueStart < 0 ? '' : getScalarValue(this.#text, event);
  }

  #refuseProperties(event: ScalarEvent | SequenceEvent | MappingEvent): void {
    if (event.anchorStart >= 0) this.#fault('anchors (&) are not used in a policy; write each value out');
    if (event.tagStart >= 0) this.#fault('tags (!) are not used in a policy; write the value alone');
  }

  #fault(message: string): void {
    this.#faults.push({ line: this.#line, message });
  }

  #linesOf(container: object): Map<PropertyKey, number> {
    const lines = new Map<PropertyKey, number>();
    this.#lines.set(container, lines);
    return lines;
  }

  #lineOf(root: unknown, path: readonly PropertyKey[], top: number): number {
    let value = root;
    let line = top;
    for (const step of path) {
      const found = this.#lines.get(value)?.get(step);
      if (found === undefined) break;
      line = found;
      value = (value as Record<PropertyKey, unknown>)[step];
    }
    return line;
  }
}

/** The event around a single scalar: with it, the core schema resolves the scalar like one in a whole document. */
const DOCUMENT: Event = { type: EVENT_ID.DOCUMENT, explicitStart: false, explicitEnd: false, directives: [] };

/** Where an event begins in the text, including its anchor and tag; -1 for an event without text. */
const startOf = (event: Event): number => {
  switch (event.type) {
    case EVENT_ID.SCALAR:
      return earliest(event.anchorStart, event.tagStart, event.valueStart);
    case EVENT_ID.MAPPING:
    case EVENT_ID.SEQUENCE:
      return earliest(event.anchorStart, event.tagStart, event.start);
    case EVENT_ID.ALIAS:
      return event.anchorStart;
    case EVENT_ID.DOCUMENT:
    case EVENT_ID.POP:
      return -1;
    default:
      return event satisfies never;
  }
};

const earliest = (...offsets: readonly number[]): number =>
  offsets.reduce((first, offset) => (first < 0 || (offset >= 0 && offset < first) ? offset : first), -1);
