/**
 * `npm run package [-- DIRECTORY]`: makes `incident-recorder-<version>-linux-<architecture>.tgz` with everything that a
 * host needs: `dist/`, the pinned Node, the unit with its files, the policy and `install.sh`.
 *
 * Two builds make the same package, byte for byte: names are sorted, and the package contains nothing about the
 * machine, the user or the time. V8's cached data differs each time and can't be checked, so install.sh makes it on the
 * host. `SHA256SUMS` lists every file, for `sha256sum --check`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { VERSION } from '../version.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/**
 * The READMEs with the pictures in them, besides those in `policy` and `systemd`: every link in them leads somewhere.
 */
const DOCUMENTATION = [
  'README.md',
  'CHANGELOG.md',
  'machines/README.md',
  'machines/incident.svg',
  'src/README.md',
  'src/audit/README.md',
  'src/client/README.md',
  'src/console/screenshots',
  'test/README.md',
];

/** Maps each name in the package to its place in the repository. */
const contents = (pinnedNode: string): Readonly<Record<string, string>> => ({
  'bin/node': `${pinnedNode}/bin/node`,
  'bin/node.LICENSE': `${pinnedNode}/LICENSE`,
  dist: 'dist',
  policy: 'policy',
  systemd: 'systemd',
  'install.sh': 'systemd/install.sh',
  LICENSE: 'LICENSE',
  ...Object.fromEntries(DOCUMENTATION.map((path) => [path, path])),
  // Its "type" tells Node that dist/ holds ES modules; otherwise Node would have to look at the code.
  'package.json': 'package.json',
});

async function makePackage(directory: string): Promise<string> {
  const platform = `linux-${process.arch}`;
  const pinnedNode = `node_modules/node-${platform}`;
  if (!existsSync(join(ROOT, pinnedNode))) throw new Error(`${pinnedNode} is not there: packages are made on Linux`);

  const name = `incident-recorder-${VERSION}-${platform}`;
  const stage = await mkdtemp(join(tmpdir(), 'incident-recorder-package-'));
  try {
    const tree = join(stage, name);
    await mkdir(join(tree, 'bin'), { recursive: true });
    for (const [to, from] of Object.entries(contents(pinnedNode))) {
      await cp(join(ROOT, from), join(tree, to), { recursive: true, filter: (path) => !path.endsWith('.cache') });
    }
    await rm(join(tree, 'systemd/install.sh'));
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
    execFileSync('tar', ['--create', `--file=${archive}`, '--format=ustar', ...reproducibly, '-C', stage, name]);
    const made = join(resolve(directory), `${name}.tgz`);
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

process.stdout.write(`${await makePackage(process.argv[2] ?? ROOT)}\n`);
