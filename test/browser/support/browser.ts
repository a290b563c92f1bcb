import { existsSync } from 'node:fs';
import { expect } from 'chai';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);

/** As root there is no sandbox to be had; the rest keeps it from looking for Google's hosts. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/** How long a condition is waited for, in milliseconds: the machine may be slow and busy. */
const PATIENCE = 30_000;

/** A browser on a machine that is busy with other things may be too slow for one try. */
const TRIES = 3;

const aloud = new WeakSet<object>();

/** Lets a test be tried again when it or `finish` fails, and says each time that it is, and why. */
const retryAloud = (test: Mocha.Test, finish: () => Promise<void>): void => {
  test.retries(TRIES - 1);
  const body = test.fn as (this: unknown) => Promise<void>;
  // The next try has the function of this one.
  if (aloud.has(body)) return;
  let tries = 0;
  const tryAloud = async function (this: unknown): Promise<void> {
    tries += 1;
    try {
      await body.call(this);
      await finish();
    } catch (error) {
      if (tries < TRIES)
        console.warn(`TRIED AGAIN after try ${tries} of ${TRIES}: ${test.fullTitle()}: ${String(error)}`);
      throw error;
    }
  };
  aloud.add(tryAloud);
  test.fn = tryAloud;
};

/** Ignores what the browser says of requests that were meant to fail, before and from now on; `reason` is in each. */
export const forgive = ({ complaints, forgiven }: Tab, reason: string): void => {
  forgiven.push(reason);
  const others = complaints.filter((complaint) => !complaint.includes(reason));
  complaints.splice(0, complaints.length, ...others);
};

export interface Tab extends Page {
  /** What the page complained of: errors in its console, exceptions, violations of its policy. */
  readonly complaints: string[];
  /** What is in complaints that are not kept. */
  readonly forgiven: string[];
}

/**
 * Gives a function that opens a page at an address, in a browser of its own (called inside `describe`, before what gives
 * the services, so that the pages are closed before the services end). A page that has complained fails its test.
 */
export function tabs(): (address: string, options?: BrowserContextOptions) => Promise<Tab> {
  let browser: Browser | undefined;
  const opened: Tab[] = [];

  before(async function launch() {
    if (CHROMIUM === undefined) {
      console.warn(`SKIPPED: ${this.test?.parent?.fullTitle()}: this machine lacks the package chromium`);
      this.skip();
    } else {
      browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS, timeout: 60_000 });
    }
  });
  after(() => browser?.close());
  /** Closes the pages; gives what they have complained of. */
  const closeTabs = async (): Promise<readonly string[]> => {
    const done = opened.splice(0);
    await Promise.all(done.map((tab) => tab.context().close()));
    return done.flatMap(({ complaints }) => complaints);
  };
  beforeEach(function allowAnotherTry() {
    // As part of the test and not of a hook: Mocha would skip the hooks after one that fails.
    retryAloud(this.currentTest!, async () => {
      expect(await closeTabs(), 'what the pages complained of').to.deep.equal([]);
    });
  });
  afterEach(async () => {
    await closeTabs();
  });

  return async (address, options = {}) => {
    const context = await browser!.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    const complaints: string[] = [];
    const forgiven: string[] = [];
    const complain = (complaint: string): void => {
      if (!forgiven.some((reason) => complaint.includes(reason))) complaints.push(complaint);
    };
    const tab = Object.assign(page, { complaints, forgiven });
    opened.push(tab);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complain(message.text());
    });
    page.on('pageerror', (error) => complain(String(error)));
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== new URL(address).origin) complain(`asked ${request.url()}`);
    });
    await page.goto(address);
    return tab;
  };
}
