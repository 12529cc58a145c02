#!/bin/bash
# Operations at random, each compared with an oracle in memory, and everything compared after umount, after kill -9, and after
# kill -9 in the middle of an operation. SEED= repeats a run (but for the moments of the kills), ITERATIONS= sets its length.
. "$(dirname "$0")/lib.sh"
seed=${SEED:-$RANDOM$RANDOM}
iterations=${ITERATIONS:-40000}
kills=$((iterations / 1500))
say "SEED=$seed ITERATIONS=$iterations"
start
cd "$work" || exit 1
mkdir "$mp/calm" "$mp/killed"

# serve PROGRAM...: does for the program what it asks for on its stdout. What it says on stderr is in $work/said.
serve() {
    local word killer=
    coproc PROGRAM { exec "$@" 2>"$work/said"; }
    local pid=$PROGRAM_PID from=${PROGRAM[0]} to=${PROGRAM[1]}
    while read -r word <&"$from"; do
        case $word in
        remount | crash)
            [ "$word" = crash ] && crashes=$((crashes + 1))
            "$word" >&2
            cd "$work" || exit 1
            ;;
        ready)
            (
                sleep "0.$RANDOM"
                daemon_kill
            ) &
            killer=$!
            ;;
        lost)
            wait "$killer"
            mount_after_kill >&2
            kills=$((kills - 1))
            ;;
        esac
        if [ "$kills" -gt 0 ]; then echo go; else echo stop; fi >&"$to"
    done
    wait "$pid"
}
crashes=0
check "what it did and what is there is the oracle's" serve "$bin/mount-tests/random_ops" "$mp/calm" "$seed" "$iterations"
[ "$failures" = 0 ] || cat "$work/said"
say "$crashes times killed between two operations"
if [ -z "$native" ]; then
    check "killed in the middle of an operation: it is done, or not, and nothing else differs" \
        serve "$bin/mount-tests/random_ops" "$mp/killed" "$seed" 100000000 kill
    [ "$failures" = 0 ] || cat "$work/said"
    say "$(tail -1 "$work/said")"
fi
done_testing
