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

/** Lets a test be tried again when it fails, and says each time that it is, and why. */
const retryAloud = (test: Mocha.Test): void => {
  test.retries(TRIES - 1);
  const body = test.fn as (this: unknown) => Promise<void>;
  // The next try has the function of this one.
  if (aloud.has(body)) return;
  let tries = 0;
  const tryAloud = async function (this: unknown): Promise<void> {
    tries += 1;
    try {
      await body.call(this);
    } catch (error) {
      if (tries < TRIES)
        console.warn(`TRIED AGAIN after try ${tries} of ${TRIES}: ${test.fullTitle()}: ${String(error)}`);
      throw error;
    }
  };
  aloud.add(tryAloud);
  test.fn = tryAloud;
};

/** Takes away what the browser itself says of requests that were meant to be refused; `reason` is in each. */
export const forgive = ({ complaints }: Tab, reason: string): void => {
  const others = complaints.filter((complaint) => !complaint.includes(reason));
  complaints.splice(0, complaints.length, ...others);
};

export interface Tab extends Page {
  /** What the page complained of: errors in its console, exceptions, violations of its policy. */
  readonly complaints: string[];
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
  beforeEach(function allowAnotherTry() {
    if (this.currentTest !== undefined) retryAloud(this.currentTest);
  });
  afterEach(async function closeTabs() {
    const done = opened.splice(0);
    await Promise.all(done.map((tab) => tab.context().close()));
    // A try that failed has its own reason, and no error of a hook, after which Mocha would end the suite, hides it.
    if (this.currentTest?.state !== 'passed') return;
    for (const { complaints } of done) expect(complaints).to.deep.equal([]);
  });

  return async (address, options = {}) => {
    const context = await browser!.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    const complaints: string[] = [];
    const tab = Object.assign(page, { complaints });
    opened.push(tab);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== new URL(address).origin) complaints.push(`asked ${request.url()}`);
    });
    await page.goto(address);
    return tab;
  };
}
