import { StringDecoder } from 'node:string_decoder';

/**
 * Takes the place of iconv-lite in the bundle, for raw-body, which asks it for a decoder and for nothing else.
 *
 * Request bodies are read as `binary`, so the tables of other character sets (130 kB) would never be looked at. Node's
 * decoder knows its own encodings only, and throws `ERR_UNKNOWN_ENCODING` for any other.
 */
export const getDecoder = (encoding: BufferEncoding): StringDecoder => new StringDecoder(encoding);
