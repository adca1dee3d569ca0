# fish completion of headwater: the program lists the candidates (`headwater complete WORD...`).
function __headwater_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (eval (string escape -- $words[1]) complete (string escape -- $words[2..-1]) 2>/dev/null)
    printf '%s\n' $lines[2..-1]
    if test "$lines[1]" = files
        set -l current (string replace -r '^--[^=]*=' '' -- $words[-1])
        set -l before (string sub -l (math (string length -- $words[-1]) - (string length -- $current)) -- $words[-1])
        for path in (__fish_complete_path $current)
            printf '%s%s\n' $before $path
        end
    end
end
complete -c headwater -f -a '(__headwater_complete)'
