#!/bin/bash
# Mail delivery by 16 processes (write, fsync, rename, fsync of the folder) while one reads and files: with kill -9 of the daemon in the
# middle every mail that was reported is there, and every mail that is there is whole. Also without any fsync.
. "$(dirname "$0")/lib.sh"
start
mails=$bin/mount-tests/mails
for kind in fsync nosync; do
    rounds="1 2"
    [ -n "$native" ] && rounds=
    for round in $rounds; do
        mkdir "$kind$round"
        "$mails" "$mp/$kind$round" 16 100000 "$work/report" ${kind/fsync/} &
        deliverers=$!
        sleep "$round"
        crash "$deliverers"
        check "$kind, kill $round: every reported mail is there, and whole" "$mails" -v "$kind$round" "$work/report"
        say "$(tail -1 "$work/output")"
        rm "$work/report"
    done
    timeout 60 "$mails" "$mp/$kind" 16 100 "$work/$kind.report" ${kind/fsync/}
    check "$kind: the deliverers have ended" [ "$(wc -l <"$work/$kind.report")" = 1600 ]
done
look() {
    for kind in fsync nosync; do check "$kind: all 1,600 mails are there$1" "$mails" -v $kind "$work/$kind.report"; done
}
each_way look
done_testing
