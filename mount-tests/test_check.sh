#!/bin/bash
# `skeinfs check`: a whole store, one in use, one with damage in a table, in the log, in the MANIFEST; and what --repair makes of them.
. "$(dirname "$0")/lib.sh"
[ -n "$native" ] && { echo "skipped: the disk below has no skeinfs store"; exit 77; }
start
for i in $(seq 300); do
    mkdir "d$i" && seq "$i" 2000 >"d$i/numbers" || exit 1
done
cd "$work" || exit 1

# run WANTED-CODE WANTED-WORDS COMMAND...
run() {
    local code=$1 words=$2
    shift 2
    "$@" >"$work/said" 2>&1
    [ $? = "$code" ] && grep -q "$words" "$work/said" || { cat "$work/said"; return 1; }
}
check "one in use is left alone" run 2 "in use by process $(daemon_pid)" "$skeinfs" check "$store"
check "umount" "$skeinfs" umount "$mp"
check "a whole one is whole" run 0 "whole" "$skeinfs" check "$store"
check "and stays so with --repair" run 0 "whole" "$skeinfs" check --repair "$store"
check "no store" run 2 "$work: no skeinfs store" "$skeinfs" check "$work"
check "no such folder" run 2 "no skeinfs store" "$skeinfs" check "$work/none"
check "no such option" run 2 "no option '--mend'" "$skeinfs" check --mend "$store"
check "no store given" run 2 "which store" "$skeinfs" check

cp -a "$store" "$work/kept"
again() {
    rm -rf "$store"
    cp -a "$work/kept" "$store"
}
# flip FILE OFFSET: changes a byte
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\$(printf %03o $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
table=$(ls -S "$store"/kv/*.ldb | head -1)
flip "$table" 3000
check "a damaged table is named, with the offset" run 1 "$(basename "$table").*offset" "$skeinfs" check "$store"
check "a repair says what it did" run 0 "repaired: 1 tables were damaged" "$skeinfs" check --repair "$store"
check "and what became of what it found" grep -q "had lost its name, is /lost+found/#" "$work/said"
check "the damaged table is kept" [ -f "$store/kv/lost/$(basename "$table")" ]
check "then it is whole" run 0 "whole" "$skeinfs" check "$store"
check "and the store can be mounted" "$skeinfs" mount "$store" "$mp"
check "nearly all is there" [ "$(ls -d "$mp"/d* | wc -l)" -gt 200 ]
# (The damage was in entries: the data is in other blocks.)
whole() { # FILE: numbers from some first one on
    [ "$(cat "$1")" = "$(seq "$(head -1 "$1")" 2000)" ]
}
all_are_whole() {
    local n=0 f
    for f in "$mp"/d*/numbers "$mp"/lost+found/#*; do
        [ ! -f "$f" ] || { whole "$f" && n=$((n + 1)); } || return 1
    done
    echo "$n files"
    [ "$n" = 300 ]
}
check "and the data of all files, with or without their names" all_are_whole
check "which can be removed" rm -r "$mp"/*
"$skeinfs" umount "$mp"

again
flip "$(ls "$store"/kv/MANIFEST-*)" 20
check "a damaged MANIFEST is not mounted" run 1 "MANIFEST.*offset" "$skeinfs" mount "$store" "$mp"
check "nor changed" run 1 "MANIFEST.*offset" "$skeinfs" check "$store"
check "a repair reads the tables" run 0 "whole" "$skeinfs" check --repair "$store"
check "and it can be mounted" "$skeinfs" mount "$store" "$mp"
check "all is there" [ "$(cat "$mp"/d*/numbers | wc -l)" = $((300 * 2001 - 300 * 301 / 2)) ]

cd "$mp" || exit 1
for i in $(seq 50); do
    echo "$i" >"new$i" && sync "new$i" || exit 1
done
cd "$work" || exit 1
daemon_kill
umount "$mp" 2>/dev/null || fusermount3 -u "$mp" || umount -l "$mp"
sums() { find "$store" -type f ! -name LOCK -exec sha256sum {} + | sort; }
before=$(sums)
check "one whose daemon was killed is whole" run 0 "whole" "$skeinfs" check "$store"
check "and not a byte of it was changed" [ "$(sums)" = "$before" ]
# in a mount namespace of its own, which takes the read-only mount with it
readonly_check() { unshare -m sh -c 'mount --bind "$2" "$3" && mount -o remount,ro,bind "$3" && exec "$1" check "$3"' sh "$skeinfs" "$store" "$work/ro"; }
mkdir ro
if unshare -m true 2>/dev/null; then
    check "it can be checked where nothing can be written" run 0 "whole" readonly_check
fi
log=$(ls -S "$store"/kv/*.log | head -1) # (the newest one may be the next, empty)
flip "$log" 2000
check "damage in what was synced is not mounted" run 1 "$(basename "$log").*offset.*on stable storage" "$skeinfs" mount "$store" "$mp"
check "a repair cuts it off" run 0 "changes.*were cut off" "$skeinfs" check --repair "$store"
check "and keeps the log" [ -f "$store/kv/lost/$(basename "$log")" ]
check "then it is whole" run 0 "whole" "$skeinfs" check "$store"
done_testing
