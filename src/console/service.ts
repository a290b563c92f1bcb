/** Which service the page is of: a recorder, which guards one machine, or the fleet, which gathers many. The page says it. */
interface Page {
  readonly document?: { readonly documentElement: { readonly dataset: Readonly<Record<string, string | undefined>> } };
}

export const isFleet = (globalThis as Page).document?.documentElement.dataset['service'] === 'fleet';

export const SERVICE_NAME = isFleet ? 'Incident fleet' : 'Incident recorder';
