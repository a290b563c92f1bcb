import { counted } from '../format.ts';
import type { FleetMachine } from './live-fleet.ts';

interface FindMachinesProps {
  readonly typed: string;
  readonly onType: (typed: string) => void;
  /** How many machines have what was typed. */
  readonly found: number;
}

/** A field that finds machines by what their names and labels contain. */
export const FindMachines = ({ typed, onType, found }: FindMachinesProps) => (
  <label class="find-machine">
    <span class="unseen">Find machines by name or label</span>
    <input
      type="search"
      placeholder="Find a machine"
      autocomplete="off"
      spellcheck={false}
      maxLength={200}
      value={typed}
      onInput={({ currentTarget: { value } }) => onType(value)}
    />
    <span class="small muted" role="status">
      {typed.trim() !== '' && `${counted(found, 'machine')} found`}
    </span>
  </label>
);

/** Whether each word that was typed is in the name of a machine or in its labels, as `site=berlin`. */
export const isFound = ({ machine, name, labels }: FleetMachine, typed: string): boolean => {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const said = [machine, name, ...Object.entries(labels).map((label) => label.join('='))].join(' ').toLowerCase();
  return words.every((word) => said.includes(word));
};
