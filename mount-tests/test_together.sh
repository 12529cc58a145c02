#!/bin/bash
# Programs that work on the same directories at once: rm -rf under listings, two rm -rf, mkdir -p against rm -rf, creators beside a find,
# mv against readers. Nobody meets an error that POSIX does not know, and what has to be there is there.
. "$(dirname "$0")/lib.sh"
start
cd "$work" || exit 1

tree() { # DIR: 40 directories with 50 files each
    mkdir -p "$1"/d{1..40}
    (cd "$1" && for d in d*; do (cd "$d" && touch f{1..50}); done)
}
# only_enoent FILES: nothing but "No such file or directory" was said, which a name that goes away may cause.
only_enoent() { ! cat "$@" | grep -v 'No such file or directory'; }

for round in 1 2 3; do
    tree "$mp/tree"
    mkdir "$mp/keep"
    touch "$mp/keep/file"
    rm -f "$work"/lister.*
    listers=
    for i in 1 2 3; do # each with a file of its own: ls says a line in parts
        (while [ -d "$mp/tree" ]; do ls -lR "$mp/tree" "$mp/keep" >/dev/null 2>>"$work/lister.$i"; done) &
        listers="$listers $!"
    done
    (find "$mp/tree" -type f -exec cat {} + >/dev/null 2>>"$work/lister.cat") &
    listers="$listers $!"
    check "round $round: rm -rf under four listings" rm -rf "$mp/tree"
    wait $listers
    check "round $round: the listings meet nothing but missing names" only_enoent "$work"/lister.*
    check "round $round: nothing is left, and the neighbour is whole" [ "$(ls "$mp") $(ls "$mp/keep")" = "keep file" ]
    rm -r "$mp/keep"

    tree "$mp/tree"
    rm -rf "$mp/tree" 2>"$work/said1" &
    first=$!
    rm -rf "$mp/tree" 2>"$work/said2"
    wait "$first"
    check "round $round: two rm -rf end with nothing left" [ ! -e "$mp/tree" ]
    check "round $round: and say nothing else" only_enoent "$work/said1" "$work/said2"
done

# A listing that began before: what is there all the time is seen exactly once, whatever comes and goes.
mkdir "$mp/moving"
(cd "$mp/moving" && touch stays{1..500})
(
    for i in $(seq 30); do
        (cd "$mp/moving" && touch comes{1..200} && rm comes*) || exit 1
    done
) &
busy=$!
wrong=0 looks=0
while kill -0 "$busy" 2>/dev/null; do
    looks=$((looks + 1))
    [ "$(find "$mp/moving" -name 'stays*' | sort | uniq -c | awk '$1 == 1' | wc -l)" = 500 ] || wrong=$((wrong + 1))
done
wait "$busy"
check "the one who came and went had no error" [ $? = 0 ]
check "$looks listings saw what stays, each once" [ "$looks" -gt 2 -a "$wrong" = 0 ]

# mv of new content over a file that is read all the time: always one of the contents, never none.
seq 1000 >"$mp/page"
(for i in $(seq 300); do seq "$i" $((i + 1000)) >"$mp/page.new" && mv "$mp/page.new" "$mp/page" || exit 1; done) &
writer=$!
torn=0 reads=0
while kill -0 "$writer" 2>/dev/null; do
    reads=$((reads + 1))
    awk 'NR > 1 && $1 != last + 1 {bad = 1} {last = $1} END {exit bad || NR < 1000}' "$mp/page" || torn=$((torn + 1))
done
check "$reads reads under 300 mv: each sees one whole content" [ "$reads" -gt 5 -a "$torn" = 0 ]

# mkdir -p and rm -rf against each other.
(for i in $(seq 200); do mkdir -p "$mp/a/b/c/d" 2>>"$work/made"; done) &
maker=$!
while kill -0 "$maker" 2>/dev/null; do rm -rf "$mp/a" 2>>"$work/removed"; done
# "Is a directory": rm found nothing to look at, and then something to unlink.
check "mkdir -p against rm -rf: only what names that come and go can cause" \
    sh -c '! grep -vE "No such file|Directory not empty|File exists|Is a directory" "$1" "$2"' - "$work/made" "$work/removed"
rm -rf "$mp/a"
look() {
    check "what stays is there$1" [ "$(ls "$mp/moving" | wc -l)" = 500 ]
    check "nothing else is there$1" [ "$(ls "$mp" | tr '\n' ' ')" = "moving page " ]
}
each_way look
done_testing
