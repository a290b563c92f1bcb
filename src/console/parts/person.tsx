/** A person: the first letter in a disc, and the name, which is foreign text. */
import { VerbatimLine } from './verbatim.tsx';

interface PersonProps {
  readonly name: string;
  /** Whether it is who reads this. */
  readonly isMe?: boolean;
}

export const Person = ({ name, isMe = false }: PersonProps) => (
  <span class={`person ${isMe ? 'me' : ''}`}>
    <i aria-hidden="true">{[...name][0]?.toLowerCase() ?? '?'}</i>
    <VerbatimLine text={name} />
  </span>
);
