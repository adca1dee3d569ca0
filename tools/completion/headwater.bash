# bash completion of headwater: the program lists the candidates (`headwater complete WORD...`).
_headwater() {
    local words=() word current=${COMP_WORDS[COMP_CWORD]} i kind candidates line
    # bash splits words at "=" and ":": put them together again.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 1)) && [[ $word == [=:] || ${COMP_WORDS[i - 1]} == [=:] ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    [[ $current != [=:] ]] || current=
    local whole=${words[-1]}
    local split=${whole%"$current"} # what bash does not replace
    mapfile -t candidates < <("${COMP_WORDS[0]/#\~/$HOME}" complete "${words[@]}" 2>/dev/null)
    kind=${candidates[0]:-files}
    COMPREPLY=()
    for line in "${candidates[@]:1}"; do
        line=${line%%$'\t'*}
        COMPREPLY+=("${line#"$split"}")
    done
    if [[ $kind == files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
    fi
    [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *, ]] || compopt -o nospace 2>/dev/null
}
complete -F _headwater headwater
