import { useEffect, useRef } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { describedAs, identity } from '../identity.ts';
import { me } from '../me.ts';
import { allowed, switchDesktop, switchSound } from '../notices.ts';
import { identify, leave, operator } from '../operator.ts';
import { Person } from '../parts/person.tsx';
import { changeTheme, theme } from '../theme.ts';
import { spelled } from '../format.ts';

/** Who is at the page, with what that allows, and what they want to be told. */
export const PersonMenu = () => {
  const isOpen = useSignal(false);
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen.value) return undefined;
    const close = (event: Event): void => {
      if (event instanceof KeyboardEvent && event.key === 'Escape') {
        event.preventDefault();
        isOpen.value = false;
        menu.current?.querySelector('button')?.focus();
      } else if (!(event instanceof KeyboardEvent) && !menu.current?.contains(event.target as Node)) {
        isOpen.value = false;
      }
    };
    // Before the page's own keys.
    addEventListener('keydown', close, { capture: true });
    addEventListener('pointerdown', close);
    return () => {
      removeEventListener('keydown', close, { capture: true });
      removeEventListener('pointerdown', close);
    };
  }, [isOpen.value]);
  return (
    <div class="menu" ref={menu}>
      <button
        type="button"
        class="quiet sm who"
        aria-expanded={isOpen.value}
        aria-haspopup="true"
        onClick={() => (isOpen.value = !isOpen.value)}
      >
        <Who />
      </button>
      {isOpen.value && <Menu onDone={() => (isOpen.value = false)} />}
    </div>
  );
};

/** `ada · operator`; with a token that several share, that the name is a claim. */
const Who = () => {
  const known = identity.value;
  const name = me.value;
  if (operator.value === undefined) return <>No token</>;
  if (known?.shared !== false) {
    return (
      <>
        {name !== undefined && <Person name={name} isMe />}
        <span class={name === undefined ? '' : 'roles'}>
          {name === undefined ? 'shared token' : '· shared token, name is a claim'}
        </span>
      </>
    );
  }
  const [role = 'no role', ...others] = known.roles;
  return (
    <>
      <Person name={known.principal} isMe />
      <span class="roles muted">
        · {role}
        {others.length > 0 && ` +${others.length}`}
      </span>
    </>
  );
};

const Menu = ({ onDone }: { readonly onDone: () => void }) => {
  const known = identity.value;
  const isKnown = operator.value !== undefined;
  const then = (act: () => void) => (): void => {
    onDone();
    act();
  };
  return (
    <div class="drop" role="group" aria-label="You">
      <p>
        {!isKnown && 'Nobody has given a token to this page.'}
        {isKnown && known?.shared === false && describedAs(known)}
        {isKnown && known?.shared !== false && (
          <>Shared token, name is a claim{known !== undefined && `: ${known.roles.join(', ')}`}</>
        )}
      </p>
      {isKnown && known?.shared === true && (
        <button type="button" onClick={then(() => void identify())}>
          {me.value === undefined ? 'Give your name' : 'Give another name'}
        </button>
      )}
      {isKnown ? (
        <button type="button" onClick={then(leave)}>
          Forget the token
        </button>
      ) : (
        <button type="button" onClick={then(() => void identify())}>
          Give a token
        </button>
      )}
      <hr />
      <p class="small muted">When something critical is reported</p>
      <button type="button" role="switch" aria-checked={allowed.value.desktop} onClick={() => void switchDesktop()}>
        Desktop notice: {allowed.value.desktop ? 'on' : 'off'}
      </button>
      <button type="button" role="switch" aria-checked={allowed.value.sound} onClick={switchSound}>
        Sound: {allowed.value.sound ? 'on' : 'off'}
      </button>
      <hr />
      <button type="button" onClick={changeTheme} title="Change between the system’s theme, light and dark">
        {spelled(theme.value)} theme
      </button>
    </div>
  );
};
