import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A modal dialog. Escape closes it, and the focus returns to where it was. */
export const Dialog = ({ title, onClose, children }: DialogProps) => {
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
    <dialog ref={dialog} aria-labelledby={titleId} onClose={() => !isGone.current && onClose()}>
      <h2 id={titleId}>{title}</h2>
      {children}
    </dialog>
  );
};
