import { fragmentOf } from '../route.ts';
import { VerbatimLine } from './verbatim.tsx';

/** The name of a machine of the fleet, which leads to all about it. */
export const Machine = ({ name }: { readonly name: string }) => (
  <a class="machine-name" href={fragmentOf({ view: 'machines', id: name, query: '' })} title={`Show ${name}`}>
    <VerbatimLine text={name} />
  </a>
);
