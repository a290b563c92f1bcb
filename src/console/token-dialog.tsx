import { useState } from 'preact/hooks';
import type { TokenQuestion } from './operator.ts';
import { Dialog, DialogBody, DialogFoot } from './parts/dialog.tsx';

const LONGEST_NAME = 256;

/** Asks for a token, for the first command or the first read that needs one. */
export const TokenDialog = ({ refused, forReading, answer }: TokenQuestion) => {
  const [token, setToken] = useState('');
  const [name, setName] = useState('');
  const [keep, setKeep] = useState(false);
  return (
    <Dialog title="Your token, or the service token" onClose={() => answer(undefined, false)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim() !== '') answer({ token: token.trim(), name: name.trim() }, keep);
        }}
      >
        <DialogBody>
          {refused ? (
            <p class="error" role="alert">
              The service does not take that token.
            </p>
          ) : (
            <p class="hint">
              {forReading ? 'Reading and commands need' : 'Commands need'} the token that you were given. A token of
              your own says who you are.
            </p>
          )}
          <label>
            Token
            <input
              type="password"
              autocomplete="off"
              spellcheck={false}
              required
              value={token}
              onInput={({ currentTarget: { value } }) => setToken(value)}
            />
          </label>
          <label>
            Your name, if others have that token, too
            <input
              autocomplete="username"
              maxLength={LONGEST_NAME}
              value={name}
              onInput={({ currentTarget: { value } }) => setName(value)}
            />
          </label>
          <label class="tick-line">
            <input type="checkbox" checked={keep} onChange={({ currentTarget }) => setKeep(currentTarget.checked)} />
            Keep both until this tab is closed
          </label>
        </DialogBody>
        <DialogFoot>
          <button type="button" onClick={() => answer(undefined, false)}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Continue
          </button>
        </DialogFoot>
      </form>
    </Dialog>
  );
};
