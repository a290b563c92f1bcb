/**
 * `npm run package [-- DIRECTORY]`: makes two packages, each with the pinned Node and everything that a host needs:
 *
 * - `incident-recorder-<version>-linux-<architecture>.tgz`: the recorder, the command line and the shipper, with their
 *   units, the policy and `install.sh`;
 * - `incident-fleet-<version>-linux-<architecture>.tgz`: the fleet, with its dependencies, its unit and `install.sh`.
 *
 * `--recorder` or `--fleet` makes only that one. The paths are written to standard output, the recorder's first.
 *
 * Two builds make the same packages, byte for byte: names are sorted, and a package contains nothing about the machine,
 * the user or the time. V8's cached data differs each time and can't be checked, so install.sh makes it on the host.
 * `SHA256SUMS` lists every file, for `sha256sum --check`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseArgs } from 'node:util';
import { VERSION } from '../version.ts';
import { packagesImportedBy } from './imported-packages.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PLATFORM = `linux-${process.arch}`;
const PINNED_NODE = `node_modules/node-${PLATFORM}`;

interface Package {
  readonly name: string;
  /** Maps each name in the package to its place in the repository. */
  readonly contents: Readonly<Record<string, string>>;
  /** What of these places stays out: paths relative to the repository. */
  readonly isLeftOut: (path: string) => boolean;
}

const NODE = { 'bin/node': `${PINNED_NODE}/bin/node`, 'bin/node.LICENSE': `${PINNED_NODE}/LICENSE` };

/** Same name in the package as in the repository. */
const alike = (...paths: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(paths.map((path) => [path, path]));

/** The files of the fleet in `dist/`: the recorder has nothing to do with them, nor with what they need. */
const isOfFleet = (path: string): boolean => /^(dist|systemd)\/fleet(?=[./]|$)/.test(path);

/** The READMEs, with the pictures in them, besides those in `policy` and `systemd`: every link in them leads somewhere. */
const DOCUMENTATION = [
  'README.md',
  'CHANGELOG.md',
  'machines/README.md',
  'machines/incident.svg',
  'src/README.md',
  'src/audit/README.md',
  'src/bundle/README.md',
  'src/client/README.md',
  'src/ship/README.md',
  'src/console/screenshots',
  'test/README.md',
];

const recorder = (): Package => ({
  name: 'incident-recorder',
  contents: {
    ...NODE,
    'install.sh': 'systemd/install.sh',
    // Its "type" tells Node that dist/ holds ES modules; otherwise Node would have to look at the code.
    ...alike('dist', 'policy', 'systemd', 'LICENSE', 'package.json', ...DOCUMENTATION),
  },
  isLeftOut: (path) => path === 'systemd/install.sh' || isOfFleet(path),
});

/** What of `dist/` the fleet has no use for: the service, the command line, and the modules for those who report. */
const OF_RECORDER = /^dist\/(bundle|service|warm-up|cli|client)(?=[./]|$)/;
/** What a package of npm has beside what runs: types, maps, CommonJS next to modules, and PGlite's extensions. */
const NOT_RUN = /\.(map|d\.[cm]?ts|tar\.gz)$/;

const fleet = (): Package => {
  if (!existsSync(join(ROOT, 'dist/fleet.js'))) throw new Error('dist/fleet.js is not there: npm run build makes it');
  return fleetPackage();
};

const fleetPackage = (): Package => ({
  name: 'incident-fleet',
  contents: {
    ...NODE,
    'install.sh': 'systemd/fleet/install.sh',
    systemd: 'systemd/fleet',
    ...alike('dist', 'policy/incident-access.schema.json', 'LICENSE', 'CHANGELOG.md', 'package.json'),
    ...(existsSync(join(ROOT, 'src/fleet/README.md')) ? { 'README.md': 'src/fleet/README.md' } : {}),
    ...alike(...packagesImportedBy(join(ROOT, 'dist'), /^fleet(?=[./]|$)/, join(ROOT, 'node_modules'))),
  },
  isLeftOut: (path) =>
    path === 'systemd/fleet/install.sh' ||
    OF_RECORDER.test(path) ||
    (path.startsWith('node_modules/') && !path.startsWith(PINNED_NODE) && NOT_RUN.test(path)),
});

async function makePackage({ name, contents, isLeftOut }: Package, directory: string): Promise<string> {
  const full = `${name}-${VERSION}-${PLATFORM}`;
  const stage = await mkdtemp(join(tmpdir(), `${name}-package-`));
  try {
    const tree = join(stage, full);
    await mkdir(join(tree, 'bin'), { recursive: true });
    for (const [to, from] of Object.entries(contents)) {
      const isSingle = from.endsWith('install.sh');
      const filter = (path: string): boolean =>
        !path.endsWith('.cache') && (isSingle || !isLeftOut(relative(ROOT, path)));
      await cp(join(ROOT, from), join(tree, to), { recursive: true, filter });
    }
    await writeFile(join(tree, 'SHA256SUMS'), await sums(tree));

    const archive = join(stage, 'archive.tar');
    const reproducibly = [
      '--sort=name',
      '--mtime=@0',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--mode=u=rwX,go=rX',
    ];
    execFileSync('tar', ['--create', `--file=${archive}`, '--format=ustar', ...reproducibly, '-C', stage, full]);
    const made = join(resolve(directory), `${full}.tgz`);
    await writeFile(`${made}.new`, gzipSync(await readFile(archive)));
    await rename(`${made}.new`, made);
    return made;
  } finally {
    await rm(stage, { recursive: true });
  }
}

/** The output of sha256sum for every file of the tree, sorted by name. */
async function sums(tree: string): Promise<string> {
  const files = (await readdir(tree, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(tree, join(entry.parentPath, entry.name)))
    .toSorted();
  let lines = '';
  for (const file of files) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(tree, file))) hash.update(chunk as Buffer);
    lines += `${hash.digest('hex')}  ${file}\n`;
  }
  return lines;
}

const { values, positionals } = parseArgs({
  options: { recorder: { type: 'boolean' }, fleet: { type: 'boolean' } },
  allowPositionals: true,
});
if (!existsSync(join(ROOT, PINNED_NODE))) throw new Error(`${PINNED_NODE} is not there: packages are made on Linux`);
for (const [isWanted, wanted] of [
  [!values.fleet, recorder],
  [!values.recorder, fleet],
] as const) {
  if (isWanted) process.stdout.write(`${await makePackage(wanted(), positionals[0] ?? ROOT)}\n`);
}
