/** The console: the incidents on record and the commands of operators, in one page. */
import { render } from 'preact';
import { App } from './app.tsx';
import { followLog } from './live-entries.ts';
import { resume } from './operator.ts';
import { followAddress } from './route.ts';
import { followTheme } from './theme.ts';

followTheme();
followAddress();
resume();
followLog();
render(<App />, document.getElementById('app')!);
