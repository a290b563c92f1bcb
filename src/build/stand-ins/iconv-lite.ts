import { StringDecoder } from 'node:string_decoder';

/**
 * Replaces iconv-lite in the bundle. raw-body uses only its decoder.
 *
 * Request bodies are read as `binary`, so the tables of other character sets (130 kB) are never needed. Node's decoder
 * knows Node's encodings only and throws `ERR_UNKNOWN_ENCODING` for any other.
 */
export const getDecoder = (encoding: BufferEncoding): StringDecoder => new StringDecoder(encoding);
