import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

interface DialogProps {
  readonly title: string;
  /** What it is about: below the title, and part of the dialog's name. */
  readonly about?: ComponentChildren;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  /** `palette` has no visible title, `sheet` is as high as the page where that is narrow. */
  readonly kind?: 'plain' | 'palette' | 'sheet';
}

/**
 * A modal dialog. Escape closes it, and the focus returns to where it was. Inside: a form or a `div` with
 * `DialogBody` and `DialogFoot`.
 */
export const Dialog = ({ title, about, onClose, children, kind = 'plain' }: DialogProps) => {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const isGone = useRef(false);
  useLayoutEffect(() => {
    const element = dialog.current!;
    const before = document.activeElement;
    element.showModal();
    return () => {
      // While it is open nothing behind it takes the focus. After Escape the browser has closed it.
      isGone.current = true;
      element.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    // The browser says that it is closed later, when this dialog may have given its answer and left the page.
    <dialog
      ref={dialog}
      class={kind === 'plain' ? '' : kind}
      aria-labelledby={titleId}
      onClose={() => !isGone.current && onClose()}
    >
      <header id={titleId} class={kind === 'palette' ? 'unseen' : ''}>
        <h2>{title}</h2>
        {about !== undefined && <p class="small muted">{about}</p>}
      </header>
      {children}
    </dialog>
  );
};

/** What a dialog says and asks. */
export const DialogBody = ({ children }: { readonly children: ComponentChildren }) => (
  <div class="body">{children}</div>
);

interface DialogFootProps {
  /** What follows, and in whose name: one sentence. */
  readonly says?: ComponentChildren;
  /** The buttons, the one that does it last. */
  readonly children: ComponentChildren;
}

/** The line of buttons at the end of a dialog. */
export const DialogFoot = ({ says, children }: DialogFootProps) => (
  <footer>
    {says !== undefined && <p class="small muted">{says}</p>}
    <span class="end">{children}</span>
  </footer>
);

interface ChoiceProps<Value extends string> {
  readonly label: string;
  readonly options: readonly (readonly [value: Value, label: string])[];
  readonly value: Value | undefined;
  readonly disabled?: boolean;
  readonly onChoose: (value: Value) => void;
}

/** One of a few, as a row of buttons: a group of radio buttons to the keyboard. */
export const Choice = <Value extends string>({ label, options, value, disabled, onChoose }: ChoiceProps<Value>) => {
  const name = useId();
  return (
    <fieldset class="choice" disabled={disabled}>
      <legend>{label}</legend>
      {options.map(([option, words]) => (
        <label key={option}>
          <input
            type="radio"
            class="unseen"
            name={name}
            value={option}
            checked={option === value}
            onChange={() => onChoose(option)}
          />
          <span>{words}</span>
        </label>
      ))}
    </fieldset>
  );
};
