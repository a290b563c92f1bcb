import { StringDecoder } from 'node:string_decoder';

/**
 * Replaces iconv-lite in the bundle, for raw-body, which uses nothing but this function.
 *
 * Request bodies are read as `binary`, so the tables of other character sets (130 kB) would never be used. Node's decoder
 * knows its own encodings only, and throws `ERR_UNKNOWN_ENCODING` for any other.
 */
export const getDecoder = (encoding: BufferEncoding): StringDecoder => new StringDecoder(encoding);
