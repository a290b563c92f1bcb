import { announce } from '../live-region.ts';

interface CopyButtonProps {
  /** Makes the text to copy. */
  readonly text: () => string;
  /** The name of the text: `Copy …`. */
  readonly what: string;
  readonly label?: string;
}

/** Copies text exactly as it is. */
export const CopyButton = ({ text, what, label = 'Copy' }: CopyButtonProps) => {
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text());
      announce(`Copied ${what}`);
    } catch {
      announce(`The browser does not let ${what} be copied`);
    }
  };
  return (
    <button type="button" class="quiet" aria-label={`Copy ${what}`} title={`Copy ${what}`} onClick={() => void copy()}>
      {label}
    </button>
  );
};
