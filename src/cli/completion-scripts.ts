/** What a shell must know to complete our command line: it asks this program with what is typed so far. */

/** The option under which the program answers; yargs gave it its name. */
export const COMPLETIONS_OPTION = 'get-yargs-completions';

/** bash: programmable completion (bash(1)); without an answer file names are completed. */
const BASH = `# understudy: completion for bash. Load it with: source <(understudy completion bash)
_understudy() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        [[ $line == "$2"* ]] && COMPREPLY+=("$(printf '%q' "$line")")
    done < <(SHELL=bash "$1" --${COMPLETIONS_OPTION} understudy "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _understudy understudy
`;

/** zsh: zshcompsys(1); sourced, or as the file _understudy in a directory of $fpath. */
const ZSH = `#compdef understudy
# understudy: completion for zsh. Load it after compinit with: source <(understudy completion zsh)
_understudy() {
    local -a found
    found=("\${(@f)$(SHELL=zsh "\${words[1]}" --${COMPLETIONS_OPTION} understudy "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then
        _describe -V understudy found
    else
        _default
    fi
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then
    _understudy "$@"
else
    compdef _understudy understudy
fi
`;

export const COMPLETION_SCRIPTS = { bash: BASH, zsh: ZSH } as const;
export type Shell = keyof typeof COMPLETION_SCRIPTS;
