/**
 * Shell completion scripts, generated from the declared options.
 *
 * @module
 */

import { InletError } from "../errors.ts";
import { quoted as nameOf } from "../text.ts";
import type { Completion, Option, Program, Shell } from "./options.ts";

/**
 * Generates the completion script for a shell.
 *
 * ```sh
 * eval "$(inlet-client --completions bash)"
 * ```
 *
 * @param command The name that the command has there.
 * @throws {InletError} `usage` if no command has this name, or it would need quotes
 */
export function completionScript(
  program: Program,
  shell: Shell,
  command: string = program.command,
): string {
  // A port or an address has no letter.
  if (!/^(?=.*[a-z])\w[\w.+-]*$/i.test(command)) {
    const how = `give the name that you installed it under, like ${program.command}`;
    throw new InletError("usage", `Cannot use ${nameOf(command)} as the command: ${how}`);
  }
  switch (shell) {
    case "bash":
      return bash({ ...program, command });
    case "zsh":
      return zsh({ ...program, command });
    case "fish":
      return fish({ ...program, command });
  }
}

/** What the script of bash hands to the command. */
const BASH_LINE = '"$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}"';

function bash({ command, options, arguments: words }: Program): string {
  const valued = Object.entries(options).filter(([, { kind }]) => kind !== "flag");
  const isFree = (completes: Completion = "nothing"): boolean => completes === "nothing";
  const free = valued.filter(([, { completes }]) => isFree(completes));
  const cases = valued.filter(([, { completes }]) => !isFree(completes)).map(([name, option]) =>
    `    --${name}) ${bashSource(option.completes)} ;;`
  );
  const names = Object.keys(options).map((name) => `--${name}`).join(" ");
  const places = words.map(({ name, completes }, index) =>
    `${name.endsWith("...") ? "*" : index + 1}) ${bashSource(completes)} ;; `
  );
  const asked = askedWith(words).map((name) => `--${name}`).join("|");
  const ifAsked = asked &&
    `if [[ "\${COMP_WORDS[*]:1:COMP_CWORD-1} " =~ (^|\\ )(${asked})\\  ]]; ` +
      "then asked=1; else ";
  const name = functionName(command);
  return `# Completions of ${command}. In ~/.bashrc: eval "$(${command} --completions bash)"
${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  local typed what=() asked found
  # An argument's place is counted as if no option preceded it. The x makes a word of an empty one.
  read -a typed <<<"\${COMP_LINE:0:COMP_POINT}x"
  # bash splits --option=value into three words.
  if [[ $word == "=" ]]; then word=""
  elif [[ $before == "=" ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  case $before in
${cases.join("\n")}
    ${free.map(([name]) => `--${name}`).join("|")}) return ;;
    *) case $word in
      -*) what=(-W "${names}") ;;
      *) ${ifAsked}case $((\${#typed[@]} - 1)) in ${places.join("")}esac${ifAsked && "; fi"} ;;
    esac ;;
  esac
  if [[ -n $asked ]]; then
    while IFS= read -r found; do COMPREPLY+=("$found"); done < <(
      ${asking(command, "bash", BASH_LINE)})
  fi
  if [[ \${#COMPREPLY[@]} == 0 && \${#what[@]} != 0 ]]; then
    # Escapes spaces in a path, and ends a folder with a slash.
    [[ $what == -W ]] || compopt -o filenames 2>/dev/null
    while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen "\${what[@]}" -- "$word")
  fi
  [[ \${#COMPREPLY[@]} == 1 && $COMPREPLY == */ ]] && compopt -o nospace 2>/dev/null
}
complete -F ${name} ${command}`;
}

/** Sets where bash gets a completion from. */
function bashSource(completes: Completion = "nothing"): string {
  if (completes === "nothing") return "";
  if (completes === "asked") return "asked=1";
  if (completes === "asked-or-file") return "asked=1 what=(-f)";
  if (completes === "file") return "what=(-f)";
  return completes === "folder" ? "what=(-d)" : `what=(-W "${wordsOf(completes).join(" ")}")`;
}

/** The options with which the program itself answers what completes an argument. */
function askedWith(words: Program["arguments"]): string[] {
  return [...new Set(words.flatMap(({ askedWith = [] }) => askedWith))];
}

/** Whether the program itself answers anything. */
function isAsked({ options, arguments: words }: Program): boolean {
  const all = [...Object.values(options), ...words];
  return all.some(({ completes }) => completes === "asked" || completes === "asked-or-file");
}

/** Asks the program, which gets no terminal to ask a person in, and whose failure nobody sees. */
function asking(command: string, shell: Shell, words: string): string {
  return `command ${command} --completions ${shell} -- ${words} </dev/null 2>/dev/null`;
}

function zsh(program: Program): string {
  const { command, options, arguments: words } = program;
  const name = functionName(command);
  const specs = [
    ...words.map(({ name: word, completes, askedWith }, index) => {
      const place = word.endsWith("...") ? "*" : index + 1;
      return `${place}:${word}:${askedWith ? `${name}_argument` : zshAction(name, completes)}`;
    }),
    ...Object.entries(options).map(([option, { kind, value, help, completes }]) => {
      const described = `[${help.replace(/[[\]:\\]/g, "\\$&")}]`;
      if (kind === "flag") return `--${option}${described}`;
      const action = zshAction(name, completes);
      return `${kind === "list" ? "*" : ""}--${option}=${described}:${value}:${action}`;
    }),
  ];
  return `#compdef ${command}
# Completions of ${command}. In ~/.zshrc, below compinit: eval "$(${command} --completions zsh)"
${name}() {
  _arguments -S \\
${specs.map((spec) => `    ${quoted(spec)}`).join(" \\\n")}
}${isAsked(program) ? zshAsking(name, program) : ""}
if [[ $funcstack[1] == ${name} ]]; then ${name} "$@"; else compdef ${name} ${command}; fi`;
}

/** The functions of zsh that ask the program. */
function zshAsking(name: string, { command, arguments: words }: Program): string {
  const line = '"${(@Q)words[1,CURRENT-1]}" "$IPREFIX$typed"';
  return `
# What the server has, one level of folders at a time.
${name}_asked() {
  local typed=$PREFIX folder
  local -a found folders
  # Within quotes it stands as it is.
  [[ -n $QIPREFIX ]] || typed=\${(Q)typed}
  found=(\${(f)"$(${asking(command, "zsh", line)})"})
  compset -P '*/' && folder=\${(M)typed##*/}
  found=("\${(@)found#$folder}")
  folders=(\${(M)found:#*/})
  compadd -S / -- \${folders%/}
  compadd -- \${found:#*/}
  (( $#found ))
}
${name}_asked_or_file() { ${name}_asked || { compset -P unix:; _files } }
${name}_argument() {
  if (( $words[(I)--(${askedWith(words).join("|")})(|=*)] )); then ${name}_asked; else _files; fi
}`;
}

function zshAction(name: string, completes: Completion = "nothing"): string {
  if (completes === "nothing") return "";
  if (completes === "asked") return `${name}_asked`;
  if (completes === "asked-or-file") return `${name}_asked_or_file`;
  if (completes === "file") return "_files";
  return completes === "folder" ? "_files -/" : `(${wordsOf(completes).join(" ")})`;
}

function fish(program: Program): string {
  const { command, options, arguments: words } = program;
  const takesFiles = words.some(({ completes }) => completes === "file");
  const ask = `(_${functionName(command)}_asked)`;
  const lines = Object.entries(options).map(([name, option]) =>
    `complete -c ${command} -l ${name}${fishValue(option, ask)} -d ${quoted(option.help, "\\'")}`
  );
  return [
    `# Completions of ${command}. In config.fish: ${command} --completions fish | source`,
    ...(takesFiles ? [] : [`complete -c ${command} -f`]),
    ...(isAsked(program) ? fishAsking(program, ask) : []),
    ...lines,
  ].join("\n");
}

/** The function of fish that asks the program, and where it is asked without an option. */
function fishAsking({ command, arguments: words }: Program, ask: string): string[] {
  const options = askedWith(words).join("|");
  const line = "(commandline -opc) (commandline -ct | string unescape)";
  const given = `string match -qr -- "^--(${options})(=|\\$)" (commandline -opc)`;
  const isFirst =
    'test (count (commandline -opc)) = 1; and not string match -q -- "-*" (commandline -ct)';
  // What stands behind a tab describes a name, instead of what the option does.
  return [
    `function ${ask.slice(1, -1)}`,
    // As a block, in which fish says nothing either if there is no such command.
    `    begin; ${asking(command, "fish", line)}; end 2>/dev/null | string replace -r '$' '\\t'`,
    "end",
    `complete -c ${command} -n '${isFirst}' -a '${ask}'`,
    `complete -c ${command} -n '${given}' -f -a '${ask}'`,
  ];
}

function fishValue({ kind, completes = "nothing" }: Option<unknown>, ask: string): string {
  if (kind === "flag") return "";
  if (completes === "nothing") return " -x";
  if (completes === "asked") return ` -x -a '${ask}'`;
  if (completes === "file") return " -r -F";
  if (completes === "asked-or-file") return ` -r -F -a '${ask}'`;
  if (completes === "folder") return ` -x -a '(__fish_complete_directories)'`;
  return ` -x -a '${wordsOf(completes).join(" ")}'`;
}

function wordsOf(completes: Completion): readonly string[] {
  return Array.isArray(completes) ? completes : Object.keys(completes);
}

function functionName(command: string): string {
  return `_${command.replaceAll(/\W/g, "_")}`;
}

/** Quotes a text as one shell word, with the shell's own form of an apostrophe. */
function quoted(text: string, apostrophe = `'\\''`): string {
  return `'${text.replaceAll("'", apostrophe)}'`;
}
