/**
 * The model that evidence names, for `quarantine_model`: it has to say which model, and takes that from the evidence
 * (`model_path`, else `violation_0_path`, and `model_name`) of the first report, else of the latest. A reporter chooses
 * these texts and the target acts on them, so they must be safe to use as a relative path and as a name.
 */
import type { Channel, ContainmentAction } from '../../machines/vocabulary.ts';
import type { JsonObject } from './entries.ts';
import { forbiddenInName } from './hidden-characters.ts';

/** What is known of an incident from its reports. */
export interface ReportedEvidence {
  readonly evidence?: JsonObject | undefined;
  readonly latest_report?: { readonly evidence?: JsonObject | undefined } | undefined;
}

export interface NamedModel {
  readonly path?: string;
  readonly name?: string;
}

const NO_MODEL = 'the evidence names no model: it has neither model_path, violation_0_path nor model_name';

/** The model that the evidence names, or why none can be passed on: a person has to act then. */
export function modelNamedBy({ evidence, latest_report }: ReportedEvidence): NamedModel | string {
  const model = modelIn(evidence) ?? modelIn(latest_report?.evidence);
  if (model === undefined) return NO_MODEL;
  const { path, name } = model;
  const fault =
    (path === undefined ? undefined : faultOfPath(path)) ?? (name === undefined ? undefined : faultOfName(name));
  return fault === undefined ? model : `the evidence can't be passed on: ${fault}; a person has to name the model`;
}

/**
 * Why an action can't be carried out from what is reported; undefined when it can. A service that fetches the action
 * reads the evidence itself, so only evidence without a model is an obstacle to it.
 */
export function obstacleTo(action: ContainmentAction, via: Channel, reported: ReportedEvidence): string | undefined {
  if (action !== 'quarantine_model') return undefined;
  const model = modelNamedBy(reported);
  if (typeof model !== 'string') return undefined;
  return via === 'push' || model === NO_MODEL ? model : undefined;
}

/** The model that evidence names; undefined when it names none. */
function modelIn(evidence: JsonObject | undefined): NamedModel | undefined {
  const path = textIn(evidence, 'model_path') ?? textIn(evidence, 'violation_0_path');
  const name = textIn(evidence, 'model_name');
  if (path === undefined && name === undefined) return undefined;
  return { ...(path === undefined ? {} : { path }), ...(name === undefined ? {} : { name }) };
}

const textIn = (evidence: JsonObject | undefined, key: string): string | undefined => {
  const value = evidence === undefined || !Object.hasOwn(evidence, key) ? undefined : evidence[key];
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
};

/** The longest path and name of a model that is passed on, in bytes. */
const LONGEST_PATH = 1024;
const LONGEST_NAME = 256;

/** A percent sign before two digits, which a service may decode; and letters that are drawn like a slash. */
const ENCODED = /%[\da-f]{2}/i;
const LIKE_A_SLASH = /[\u2044\u2215\u2216\u27cb\u27cd\u29f5\u29f8\u29f9]/;

/** Why a path is not passed on: it could name a file outside the directory of models, or be read as something else. */
function faultOfPath(text: string): string | undefined {
  if (Buffer.byteLength(text) > LONGEST_PATH) return `the path of the model has more than ${LONGEST_PATH} bytes`;
  if (isUnprintable(text)) return 'the path of the model holds characters that can not be seen';
  // What a service reads that folds variants of characters: full stops and slashes have some.
  const path = text.normalize('NFKC').trim();
  if (/^(?:[/~]|[\w+.-]+:)|\\/.test(path)) return 'the path of the model is not relative';
  if (path.startsWith('-')) return 'the path of the model begins with a hyphen, like an option';
  if (hasParent(path)) return 'the path of the model has ".." in it';
  if (ENCODED.test(path)) return 'the path of the model holds encoded characters';
  return LIKE_A_SLASH.test(path) ? 'the path of the model holds a sign that looks like a slash' : undefined;
}

/** Whether a part of a path is "..": alone, or with spaces that some file systems leave out. */
const hasParent = (path: string): boolean => path.split('/').some((part) => part.trim() === '..');

function faultOfName(name: string): string | undefined {
  if (Buffer.byteLength(name) > LONGEST_NAME) return `the name of the model has more than ${LONGEST_NAME} bytes`;
  if (isUnprintable(name)) return 'the name of the model holds characters that can not be seen';
  return /^[\p{L}\p{N}][\p{L}\p{N}\p{M} ._:@+/()-]*$/u.test(name) && !hasParent(name.normalize('NFKC'))
    ? undefined
    : 'the name of the model holds signs that a name has not';
}

const isUnprintable = (text: string): boolean => forbiddenInName(text) !== undefined;
