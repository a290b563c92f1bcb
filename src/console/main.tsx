/** The console: the incidents on record and the commands of operators, in one page. */
import { render } from 'preact';
import { App } from './app.tsx';
import { attention } from './attention.ts';
import { followKeys } from './keyboard.ts';
import { followLeaving } from './last-seen.ts';
import { connection, followLog, listen } from './live-entries.ts';
import { followCritical } from './notices.ts';
import { relearn, resume } from './operator.ts';
import { followAddress } from './route.ts';
import { followTheme } from './theme.ts';

followTheme();
followAddress();
resume();
followLog();
followKeys();
followLeaving();
attention.follow();
followCritical();
listen(({ event }) => {
  if (event === 'access.loaded') relearn();
});
connection.subscribe((state) => {
  if (state === 'live') relearn();
});
render(<App />, document.getElementById('app')!);
