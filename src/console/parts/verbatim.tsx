import { useState } from 'preact/hooks';
import { beginning, piecesOf } from '../visible-text.ts';
import { grouped } from '../format.ts';

/**
 * Foreign text, shown as text: isolated from the direction of the text around it, with control and invisible characters
 * as code points. Beyond `longest` UTF-16 units the rest is shown on request.
 */
export const Verbatim = ({ text, longest = 2000 }: { readonly text: string; readonly longest?: number }) => {
  const [isWhole, showWhole] = useState(false);
  const shown = isWhole ? text : beginning(text, longest);
  return (
    <>
      <bdi class="verbatim">
        {piecesOf(shown).map(({ text: piece, name }) =>
          name === undefined ? (
            piece
          ) : (
            <span class="hidden-character" title={name}>
              {piece}
            </span>
          ),
        )}
      </bdi>
      {shown.length < text.length && (
        <button type="button" class="link more" onClick={() => showWhole(true)}>
          … show all {grouped(text.length)} characters
        </button>
      )}
    </>
  );
};

/** The same on one line, cut to fit. */
export const VerbatimLine = ({ text }: { readonly text: string }) => (
  <bdi class="verbatim-line">
    {piecesOf(beginning(text, LONGEST_LINE).replaceAll(/[\n\t]/g, ' ')).map(({ text: piece, name }) =>
      name === undefined ? (
        piece
      ) : (
        <span class="hidden-character" title={name}>
          {piece}
        </span>
      ),
    )}
  </bdi>
);

const LONGEST_LINE = 240;
