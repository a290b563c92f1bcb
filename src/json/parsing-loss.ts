/** Something in a JSON text that `JSON.parse` would lose. */
interface ParsingLoss {
  readonly message: string;
  /** Like `evidence.gpu[3].temp` or `evidence["a b"]`; empty for the root. */
  readonly path: string;
}

/** An object or array around the current place. */
interface Container {
  readonly isObject: boolean;
  /** An object's keys so far; made with the first of them, because a text may hold very many empty objects. */
  keys: Set<string> | undefined;
  /** The current index or key; undefined where an object's next string is a key. */
  at: string | number | undefined;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Finds the first thing in a JSON text that `JSON.parse` loses or that can't be kept, in one pass without recursion.
 * @param text must be valid JSON: the grammar is not checked
 * @param maxDepth how deep objects and arrays may nest
 * @param keepsNumbers whether the reader keeps numbers as they are written, so that no digit is lost
 * @returns undefined when nothing is lost
 */
export const findParsingLoss = (text: string, maxDepth: number, keepsNumbers = false): ParsingLoss | undefined => {
  const mayHoldLoneSurrogates = !text.isWellFormed() || text.includes('\\ud') || text.includes('\\uD');
  const containers: Container[] = [];
  const loss = (message: string): ParsingLoss => ({ message, path: pathOf(containers) });
  let inner: Container | undefined;
  let end: number;

  for (let start = 0; start < text.length; start = end) {
    end = start + 1;
    const code = text.charCodeAt(start);
    switch (code) {
      case QUOTE: {
        end = endOfString(text, start);
        if (inner?.isObject && inner.at === undefined) {
          const key = decodeString(text.slice(start, end));
          inner.at = key;
          inner.keys ??= new Set();
          if (inner.keys.has(key)) return loss('duplicate key');
          if (key === '__proto__') return loss('the key __proto__ is not allowed');
          if (!key.isWellFormed()) return loss('lone surrogate in a key');
          inner.keys.add(key);
        } else if (mayHoldLoneSurrogates && !decodeString(text.slice(start, end)).isWellFormed()) {
          return loss('lone surrogate in a string');
        }
        break;
      }
      case COMMA:
        if (inner !== undefined) inner.at = typeof inner.at === 'number' ? inner.at + 1 : undefined;
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (containers.length === maxDepth) return loss('nested too deeply');
        inner = { isObject: code === OPEN_BRACE, keys: undefined, at: code === OPEN_BRACE ? undefined : 0 };
        containers.push(inner);
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        containers.pop();
        inner = containers.at(-1);
        break;
      default:
        if (code === MINUS || (code >= DIGIT_0 && code <= DIGIT_9)) {
          end = endOfNumber(text, start);
          const fault = keepsNumbers ? undefined : numberFault(text.slice(start, end));
          if (fault !== undefined) return loss(fault);
        }
    }
  }
  return undefined;
};

/** Where the string ends that begins at `start`, in valid JSON. */
export const endOfString = (text: string, start: number): number => {
  let end = start;
  let escaped: boolean;
  do {
    end = text.indexOf('"', end + 1);
    let before = end - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    escaped = (end - before) % 2 === 0;
  } while (escaped);
  return end + 1;
};

const decodeString = (literal: string): string =>
  literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);

const endOfNumber = (text: string, start: number): number => {
  let end = start + 1;
  while (end < text.length && !',]} \t\n\r'.includes(text.charAt(end))) end++;
  return end;
};

/** Decimals of up to 15 digits without an exponent: a double keeps all of them distinct (C's DBL_DIG). */
const SHORT_DECIMAL = /^[-.\d]{1,15}$/;

const numberFault = (literal: string): string | undefined => {
  const value = Number(literal);
  const shortest = String(value);
  if (shortest === literal || SHORT_DECIMAL.test(literal)) return undefined;
  if (!Number.isFinite(value)) return 'number too large';
  if (decimalOf(shortest) === decimalOf(literal)) return undefined;
  return value === 0 ? 'number too close to zero' : 'number with more digits than can be kept';
};

/**
 * The magnitude of a decimal literal in one spelling: significant digits and a power of ten, such as `15e-1` for 1.50.
 * Trailing zeros are counted by hand, because a regular expression for them takes quadratic time.
 */
const decimalOf = (literal: string): string => {
  const [mantissa = '', exponent = '0'] = literal.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = (whole + fraction).replace(/^0+/, '');
  let length = digits.length;
  while (digits[length - 1] === '0') length--;
  if (length === 0) return '0';
  return `${digits.slice(0, length)}e${Number(exponent) - fraction.length + digits.length - length}`;
};

const LONGEST_KEY_SHOWN = 64;

const pathOf = (containers: readonly Container[]): string =>
  containers.reduce((path, { at }) => {
    if (at === undefined) return path;
    if (typeof at === 'number') return `${path}[${at}]`;
    const key = at.length > LONGEST_KEY_SHOWN ? `${at.slice(0, LONGEST_KEY_SHOWN)}…` : at;
    if (!/^[A-Za-z_$][\w$]*…?$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
    return path === '' ? key : `${path}.${key}`;
  }, '');
