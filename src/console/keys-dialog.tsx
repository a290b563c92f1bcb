import { signal } from '@preact/signals';
import { KEY_MEANINGS } from './keyboard.ts';
import { Dialog } from './parts/dialog.tsx';

export const keysAreShown = signal(false);

/** What each key does. */
export const KeysDialog = () => {
  const close = (): void => {
    keysAreShown.value = false;
  };
  return (
    <Dialog title="Keys" onClose={close}>
      <dl class="keys">
        {KEY_MEANINGS.map(([key, other, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd> {other !== '' && <kbd>{other}</kbd>}
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <div class="dialog-buttons">
        <button type="button" class="primary" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
};
