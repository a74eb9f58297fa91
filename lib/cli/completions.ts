/**
 * Shell completion scripts, generated from the declared options.
 *
 * @module
 */

import type { Completion, Option, Program, Shell } from "./options.ts";

/**
 * Generates the completion script for a shell.
 *
 * ```sh
 * eval "$(inlet-client --completions bash)"
 * ```
 */
export function completionScript(program: Program, shell: Shell): string {
  switch (shell) {
    case "bash":
      return bash(program);
    case "zsh":
      return zsh(program);
    case "fish":
      return fish(program);
  }
}

function bash({ command, options, arguments: words }: Program): string {
  const valued = Object.entries(options).filter(([, { kind }]) => kind !== "flag");
  const free = valued.filter(([, { completes }]) => compgenArgs(completes) === undefined);
  const cases = valued.filter((entry) => !free.includes(entry)).map(([name, { completes }]) =>
    `    --${name}) what=(${compgenArgs(completes)}) ;;`
  );
  const names = Object.keys(options).map((name) => `--${name}`).join(" ");
  // The position of an argument is counted in words, as if no option preceded it.
  const places = words.map(({ name, completes }, index) => {
    const args = compgenArgs(completes);
    const place = name.endsWith("...") ? "*" : index + 1;
    return `${place}) ${args === undefined ? "" : `what=(${args}) `};; `;
  });
  const name = functionName(command);
  return `# Completions of ${command}. In ~/.bashrc: eval "$(${command} --completions bash)"
${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} what=() found
  # bash splits --option=value into three words.
  if [[ $word == "=" ]]; then word=""
  elif [[ $before == "=" ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  case $before in
${cases.join("\n")}
    ${free.map(([name]) => `--${name}`).join("|")}) return ;;
    *) case $word in
      -*) what=(-W "${names}") ;;
      *) case $COMP_CWORD in ${places.join("")}esac ;;
    esac ;;
  esac
  [[ \${#what[@]} == 0 ]] && return
  # Escapes spaces in a path, and ends a folder with a slash.
  [[ $what == -W ]] || compopt -o filenames 2>/dev/null
  while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen "\${what[@]}" -- "$word")
}
complete -F ${name} ${command}`;
}

/** The arguments of bash's compgen for a completion. */
function compgenArgs(completes: Completion = "nothing"): string | undefined {
  if (completes === "nothing") return undefined;
  if (completes === "file") return "-f";
  return completes === "folder" ? "-d" : `-W "${wordsOf(completes).join(" ")}"`;
}

function zsh({ command, options, arguments: words }: Program): string {
  const specs = [
    ...words.map(({ name, completes }, index) =>
      `${name.endsWith("...") ? "*" : index + 1}:${name}:${zshAction(completes)}`
    ),
    ...Object.entries(options).map(([name, { kind, value, help, completes }]) => {
      const described = `[${help.replace(/[[\]:\\]/g, "\\$&")}]`;
      if (kind === "flag") return `--${name}${described}`;
      return `${kind === "list" ? "*" : ""}--${name}=${described}:${value}:${zshAction(completes)}`;
    }),
  ];
  const name = functionName(command);
  return `#compdef ${command}
# Completions of ${command}. In ~/.zshrc, below compinit: eval "$(${command} --completions zsh)"
${name}() {
  _arguments \\
${specs.map((spec) => `    ${quoted(spec)}`).join(" \\\n")}
}
if [[ $funcstack[1] == ${name} ]]; then ${name} "$@"; else compdef ${name} ${command}; fi`;
}

function zshAction(completes: Completion = "nothing"): string {
  if (completes === "nothing") return "";
  if (completes === "file") return "_files";
  return completes === "folder" ? "_files -/" : `(${wordsOf(completes).join(" ")})`;
}

function fish({ command, options, arguments: words }: Program): string {
  const takesFiles = words.some(({ completes }) => completes === "file");
  const lines = Object.entries(options).map(([name, option]) =>
    `complete -c ${command} -l ${name}${fishValue(option)} -d ${quoted(option.help, "\\'")}`
  );
  return [
    `# Completions of ${command}. In config.fish: ${command} --completions fish | source`,
    ...(takesFiles ? [] : [`complete -c ${command} -f`]),
    ...lines,
  ].join("\n");
}

function fishValue({ kind, completes = "nothing" }: Option<unknown>): string {
  if (kind === "flag") return "";
  if (completes === "nothing") return " -x";
  if (completes === "file") return " -r -F";
  if (completes === "folder") return ` -x -a '(__fish_complete_directories)'`;
  return ` -x -a '${wordsOf(completes).join(" ")}'`;
}

function wordsOf(completes: Completion): readonly string[] {
  return Array.isArray(completes) ? completes : Object.keys(completes);
}

function functionName(command: string): string {
  return `_${command.replaceAll("-", "_")}`;
}

/** Quotes a text as one shell word, with the shell's own form of an apostrophe. */
function quoted(text: string, apostrophe = `'\\''`): string {
  return `'${text.replaceAll("'", apostrophe)}'`;
}
