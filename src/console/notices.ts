/**
 * Being told of critical incidents while the page is open: a desktop notice, and a sound. Both are off until the person
 * allows them here (and the browser agrees), and both are remembered by the browser. A burst is one notice.
 */
import { signal } from '@preact/signals';
import { SECOND } from '../clock.ts';
import { isMoreSevere, type Severity } from '../../machines/vocabulary.ts';
import type { Entry } from '../domain/entries.ts';
import { attention } from './attention.ts';
import { counted } from './format.ts';
import { listen } from './live-entries.ts';
import { announce } from './live-region.ts';
import { fragmentOf, goTo } from './route.ts';
import { isFleet } from './service.ts';

const STORED_AS = 'incident-recorder.notices';
/** Reports within this time are one notice; and the list has time to learn whether they are silenced. */
const TOGETHER = 1 * SECOND;

interface Allowed {
  readonly desktop: boolean;
  readonly sound: boolean;
}

const stored = (): Allowed => {
  try {
    const { desktop = false, sound = false } = JSON.parse(localStorage.getItem(STORED_AS) ?? '{}') as Partial<Allowed>;
    return { desktop: desktop && Notification.permission === 'granted', sound };
  } catch {
    return { desktop: false, sound: false };
  }
};

export const allowed = signal<Allowed>({ desktop: false, sound: false });

const allow = (change: Partial<Allowed>): void => {
  allowed.value = { ...allowed.peek(), ...change };
  localStorage.setItem(STORED_AS, JSON.stringify(allowed.peek()));
};

/** Switches the desktop notice; the browser asks the person first. */
export const switchDesktop = async (): Promise<void> => {
  if (allowed.peek().desktop) allow({ desktop: false });
  else if ((await Notification.requestPermission()) === 'granted') allow({ desktop: true });
  else announce('The browser does not allow notices from this page');
};

/** Switches the sound, and plays it once when it is on. */
export const switchSound = (): void => {
  allow({ sound: !allowed.peek().sound });
  if (allowed.peek().sound) beep();
};

let audio: AudioContext | undefined;

/** Two short tones. */
const beep = (): void => {
  audio ??= new AudioContext();
  void audio.resume();
  for (const [start, pitch] of [
    [0, 880],
    [0.18, 660],
  ] as const) {
    const tone = new OscillatorNode(audio, { frequency: pitch });
    const volume = new GainNode(audio, { gain: 0.2 });
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + start);
    tone.stop(audio.currentTime + start + 0.14);
  }
};

/** The critical incident that an entry brings or makes. */
const criticalOf = ({ event, data }: Entry): string | undefined => {
  if (event === 'incident.reported') return data.severity === 'critical' && !data.drill ? data.incident : undefined;
  if (event !== 'incident.recurred' || data.severity !== 'critical') return undefined;
  const before: Severity | undefined = attention.shown.peek().get(data.incident)?.severity;
  return before !== undefined && isMoreSevere('critical', before) ? data.incident : undefined;
};

let waiting: string[] = [];

const tell = (): void => {
  const ids = waiting;
  waiting = [];
  const list = attention.shown.peek();
  // What is silenced or was taken on meanwhile needs nobody.
  const rows = list.rows.peek().filter(({ id }) => ids.includes(id));
  const [first] = rows;
  if (first === undefined) return;
  if (allowed.peek().sound) beep();
  if (!allowed.peek().desktop) return;
  const title = rows.length === 1 ? 'Critical incident' : counted(rows.length, 'critical incident');
  const notice = new Notification(title, { body: `${first.class} from ${first.source}`, tag: 'critical' });
  notice.addEventListener('click', () => {
    focus();
    goTo(fragmentOf({ view: 'incidents', id: first.id, query: 'attention=true' }));
    notice.close();
  });
};

/** What the stream of a fleet says of a campaign. */
interface CampaignEvent {
  readonly event: string;
  readonly data: { readonly campaign?: string; readonly class?: string; readonly machines?: number };
}

/** Says that the same happens on several machines, once when it is raised; a desktop notice and the sound as allowed. */
const tellOfCampaign = ({ event, data: { campaign, class: name = '', machines = 0 } }: CampaignEvent): void => {
  if (event !== 'campaign.raised' || campaign === undefined) return;
  announce(`Campaign: ${name} on ${counted(machines, 'machine')}`);
  const { desktop, sound } = allowed.peek();
  if (sound) beep();
  if (!desktop) return;
  const notice = new Notification(`The same on ${counted(machines, 'machine')}`, { body: name, tag: campaign });
  notice.addEventListener('click', () => {
    focus();
    goTo(fragmentOf({ view: 'campaigns', id: campaign, query: '' }));
    notice.close();
  });
};

/** Gives notice of critical incidents, and of campaigns, while the page is open. */
export const followCritical = (): void => {
  allowed.value = stored();
  listen((entry) => {
    const id = criticalOf(entry);
    const { desktop, sound } = allowed.peek();
    if (isFleet) tellOfCampaign(entry as unknown as CampaignEvent);
    if (id === undefined || (!desktop && !sound)) return;
    if (waiting.length === 0) setTimeout(tell, TOGETHER);
    waiting.push(id);
  });
};
