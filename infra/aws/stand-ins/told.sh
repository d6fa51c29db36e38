# Waits until a file has a line like this, and prints what the pattern keeps.
told() {
    local file=$1 pattern=$2 found
    for _ in $(seq 300); do
        found=$(sed -n "s~$pattern.*~\1~p" "$file" | head -n 1)
        [ -n "$found" ] && echo "$found" && return
        sleep 0.1
    done
    tail -n 20 "$file" >&2
    return 1
}
