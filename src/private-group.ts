/**
 * Who else is in a group.
 *
 * Needs Node only: the client ships with this file.
 */
import { readFileSync } from 'node:fs';

/** The group of root, or one that this user is alone in (as distributions make one for each person). */
export function isPrivateGroup(gid: number | bigint): boolean {
  if (Number(gid) === 0) return true;
  try {
    const [users, groups] = ['/etc/passwd', '/etc/group'].map((path) =>
      readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.split(':')),
    );
    const me = String(process.geteuid!());
    const names = new Set(users!.filter(([, , uid]) => uid === me).map(([name]) => name));
    const group = groups!.find(([, , id]) => id === String(gid));
    const members = (group?.[3] ?? '').split(',').filter((name) => name !== '' && !names.has(name));
    const primaries = users!.filter(([, , uid, primary]) => primary === String(gid) && uid !== me);
    return group !== undefined && members.length + primaries.length === 0;
  } catch {
    // Hidden from a confined service: then nobody knows who is in the group.
    return false;
  }
}
