# dirs.sh DIR BIN WORK: times listings, a line each: "what processes microseconds": one directory of ENTRIES=100000 files, and a tree of
# TREE=100000 files (a million: TREE=1000000), both cold.
set -u
dir=$1/dirs
ENTRIES=${ENTRIES:-100000} TREE=${TREE:-100000}
mkdir -p "$dir" && cd "$dir" || exit 1
cold() { sync; echo 3 >/proc/sys/vm/drop_caches; }
timed() {
    local what=$1 begin
    shift
    begin=$(date +%s%N)
    "$@" >/dev/null || echo "bench: $what failed in $dir" >&2
    echo "$what 1 $((($(date +%s%N) - begin) / 1000))"
}
mkdir many
timed "make-$ENTRIES" awk -v n="$ENTRIES" 'BEGIN { for (i = 0; i < n; i++) { f = "many/file" i; printf "" > f; close(f) } }'
cold
timed "ls-$ENTRIES-cold" ls -f many
timed "ls-l-$ENTRIES" ls -l many
cold
timed "ls-l-$ENTRIES-cold" ls -l many
timed "rm-$ENTRIES" rm -r many
make_tree() {
    awk -v n="$TREE" 'BEGIN {
        for (d = 0; d < n / 100; d++) {
            folder = "tree/" int(d / 100) "/" d
            system("mkdir -p " folder)
            for (i = 0; i < 100; i++) { f = folder "/f" i; print d, i > f; close(f) }
        }
    }'
}
make_tree
cold
find_and_du() { find tree -type f -newer / | wc -l && du -s tree; }
timed "find+du-$TREE-cold" find_and_du
timed "rm-tree-$TREE" rm -r tree
cd .. && rm -rf dirs
