#!/bin/bash
# What statvfs, st_blocks, df and du count, and the limits.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
posix space

# A filesystem in a folder has the space of the disk that the folder is on.
same_space() {
    local below here
    below=$(df -B1M --output=size,avail "$work" | tail -1)
    here=$(df -B1M --output=size,avail "$mp" | tail -1)
    set -- $below $here
    echo "below: $1 $2, here: $3 $4"
    [ "$1" = "$3" ] && [ $(($2 - $4)) -lt 500 ] && [ $(($4 - $2)) -lt 500 ]
}
adds_up() {
    local all parts
    all=$(du -s --block-size=1 --apparent-size tree | cut -f 1)
    parts=$(find tree -printf '%i %s\n' | sort -u | awk '{n += $2} END {print n}')
    echo "du: $all, find: $parts"
    [ "$all" = "$parts" ] && [ "$(du -s --inodes tree | cut -f 1)" = "$(find tree -printf '%i\n' | sort -u | wc -l)" ]
}
# As many inodes as there are files, however they came: nothing is left of what the program above made.
inodes_are_files() {
    local files used
    files=$(find "$mp" -printf '%i\n' | sort -u | wc -l)
    for _ in $(seq 100); do # after kill -9 they are counted for a moment
        used=$(df --output=iused "$mp" | tail -1)
        [ -n "$native" ] || [ "$used" -eq "$files" ] && return
        sleep 0.05
    done
    echo "df -i: $used, find: $files"
    false
}
each() { # df, du, find agree, whatever has happened
    check "df shows the space of the disk below$1" same_space
    check "df -i shows as many inodes as there are files$1" inodes_are_files
    check "du and find agree, a file of two names counted once$1" adds_up
    check "du of the tree has not changed$1" [ "$(du -s tree | cut -f 1)" = "${du:=$(du -s tree | cut -f 1)}" ]
}
mkdir tree tree/sub
for i in $(seq 50); do head -c $((i * 1000)) /dev/urandom >"tree/sub/$i"; done
ln tree/sub/50 tree/second
truncate -s 100m tree/hole
du=
each_way each
done_testing
