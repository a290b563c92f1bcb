/**
 * The description of the API, held against what the service really answers: status, media type, headers and body of each
 * answer have to be what the document says of the operation. What was seen is kept, so that a test can ask for the rest.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { createDocument } from 'zod-openapi';
import type { Answer } from '../../support/running-service.ts';

type Document = ReturnType<typeof createDocument>;

const METHODS = ['get', 'post', 'put', 'delete', 'patch'] as const;

interface Response {
  readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>;
  readonly content?: Readonly<Record<string, unknown>>;
}

export interface Operation {
  /** As in `GET /health`. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly takesBody: boolean;
  readonly takesToken: boolean;
  readonly statuses: readonly string[];
}

export class Contract {
  readonly operations: readonly Operation[];
  /** The status codes that were seen, each with its operation: `GET /health 200`. */
  readonly seen = new Set<string>();
  readonly #document: Document;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });

  constructor(document: Document) {
    this.#document = document;
    this.#ajv.addSchema(document, 'document');
    this.operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method] !== undefined).map((method) => ({
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path,
        takesBody: item[method]?.requestBody !== undefined,
        takesToken: item[method]?.security === undefined,
        statuses: Object.keys(item[method]?.responses ?? {}).filter((status) => status !== 'default'),
      })),
    );
  }

  /** Says what is wrong with an answer to an operation; nothing when it is as documented. */
  faultsOf(name: string, { status, headers, json }: Answer): readonly string[] {
    this.seen.add(`${name} ${status}`);
    const [method = '', path = ''] = name.split(' ');
    const place = this.#resolve(['paths', path, method.toLowerCase(), 'responses', String(status)]);
    if (place === undefined) return [`${name}: ${status} is not documented`];
    const response = this.#at(place) as Response;
    const missing = Object.entries(response.headers ?? {})
      .filter(([header, { required }]) => required === true && headers[header.toLowerCase()] === undefined)
      .map(([header]) => `${name} ${status}: without ${header}`);
    if (response.content === undefined) return missing;
    const type = headers['content-type'] ?? '';
    if (!Object.hasOwn(response.content, type)) return [...missing, `${name} ${status}: ${type} is not documented`];
    if (type !== 'application/json') return missing;
    const validate = this.#ajv.compile({
      $ref: `document#/${[...place, 'content', type, 'schema'].map(escape).join('/')}`,
    });
    validate(json);
    return [...missing, ...(validate.errors ?? []).map((error) => `${name} ${status}: ${JSON.stringify(error)}`)];
  }

  /** Where something stands in the document, behind references. */
  #resolve(place: readonly string[]): readonly string[] | undefined {
    const value = this.#at(place) as { readonly $ref?: string } | undefined;
    if (value?.$ref === undefined) return value === undefined ? undefined : place;
    return this.#resolve(value.$ref.replace('#/', '').split('/'));
  }

  #at(place: readonly string[]): unknown {
    return place.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], this.#document);
  }
}

/** A step of a JSON pointer in a URI fragment: RFC 6901, sections 3 and 6. */
const escape = (key: string): string => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'));
