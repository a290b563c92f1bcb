import { signal } from '@preact/signals';
import { ACT_NAMES, keyInWords, rowOfAct } from './keyboard.ts';
import { Dialog, DialogBody, DialogFoot } from './parts/dialog.tsx';

export const keysAreShown = signal(false);

/** What each key does. */
export const KeysDialog = () => {
  const close = (): void => {
    keysAreShown.value = false;
  };
  const rows = ACT_NAMES.map(rowOfAct).filter(({ keys }) => keys.length > 0);
  return (
    <Dialog title="Keys" onClose={close}>
      <DialogBody>
        <div class="keys">
          {[...Map.groupBy(rows, ({ group }) => group)].map(([group, some]) => (
            <section key={group}>
              <h3>{group}</h3>
              <dl>
                {some.map(({ keys, does }) => (
                  <div key={does}>
                    <dt>
                      {keys.map((key) => (
                        <kbd key={key}>{keyInWords(key)}</kbd>
                      ))}
                    </dt>
                    <dd>{does}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
      </DialogBody>
      <DialogFoot says="While a dialog is open, no key reaches the page.">
        <button type="button" class="primary" onClick={close}>
          Close
        </button>
      </DialogFoot>
    </Dialog>
  );
};
