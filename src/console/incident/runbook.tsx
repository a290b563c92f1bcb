import { linkIn } from './link-in.ts';
import { Verbatim } from '../parts/verbatim.tsx';

/** What the policy says about what to do: a link where it is an http or https URL, otherwise text. */
export const Runbook = ({ text }: { readonly text: string }) => {
  const link = linkIn(text);
  return (
    <div class="runbook">
      <dt>Runbook</dt>
      <dd>
        {link === undefined ? (
          <Verbatim text={text} />
        ) : (
          <a href={link} target="_blank" rel="noopener noreferrer nofollow">
            <Verbatim text={text} />
          </a>
        )}
      </dd>
    </div>
  );
};
