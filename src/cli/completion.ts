/** `incident-recorder completion`: the script that a shell sources to complete this command line. */
import type { Command } from 'commander';
import { writeLines } from './terminal/output.ts';

/** Each script asks `incident-recorder complete`, and offers file names when that offers nothing. */
const SCRIPTS = {
  bash: [
    '# Source it, or put it into /usr/share/bash-completion/completions/incident-recorder.',
    '_incident_recorder() {',
    '  mapfile -t COMPREPLY < <("$1" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1)',
    '}',
    'complete -o default -F _incident_recorder incident-recorder',
  ],
  zsh: [
    '#compdef incident-recorder',
    '# Source it, or put it as _incident-recorder into a directory of $fpath.',
    '_incident_recorder() {',
    '  local -a offers',
    '  offers=(${(f)"$("$words[1]" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})',
    '  offers=("${(@)offers//:/\\\\:}")',
    '  offers=("${(@)offers/$\'\\t\'/:}")',
    '  if (( $#offers )); then _describe incident-recorder offers; else _files; fi',
    '}',
    'if [[ $funcstack[1] == _incident-recorder ]]; then _incident_recorder; else compdef _incident_recorder incident-recorder; fi',
  ],
  fish: [
    '# Source it, or put it into ~/.config/fish/completions/incident-recorder.fish.',
    'function __incident_recorder_offers',
    '  set -l words (commandline -opc) (commandline -ct)',
    '  set -l offers ($words[1] complete -- $words[2..] 2>/dev/null)',
    '  if set -q offers[1]; printf "%s\\n" $offers; else; __fish_complete_path $words[-1]; end',
    'end',
    "complete -c incident-recorder -f -k -a '(__incident_recorder_offers)'",
  ],
} as const;

export const define = (command: Command): Command =>
  command
    .description('Prints a script that lets a shell complete subcommands, options, their values, and incidents.')
    .addArgument(command.createArgument('<shell>', 'your shell').choices(Object.keys(SCRIPTS)))
    .action((shell: keyof typeof SCRIPTS) => writeLines(SCRIPTS[shell]));
