#!/bin/bash
# Copies by rsync, tar, cp -a and dpkg-deb, with links, holes, times to the nanosecond, owners, attributes, ACLs, capabilities and odd names: there
# and back nothing differs, and rsync has nothing left to do.
. "$(dirname "$0")/lib.sh"
for program in rsync setfattr setfacl dpkg-deb; do
    command -v $program >/dev/null || { echo "skipped: no $program here"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: needs root, to change owners"; exit 77; }
start
cd "$work" || exit 1
odd=$bin/mount-tests/odd_names

# A tree on the native disk with a bit of everything.
src=$work/src
mkdir -p "$src/names" "$src/dir/deep/er" "$src/empty"
check "odd names on the disk below" "$odd" "$src/names"
for i in $(seq 300); do head -c $((i * i % 30000)) /dev/urandom >"$src/dir/file$i"; done
ln "$src/dir/file3" "$src/dir/deep/er/linked"
ln -s ../file3 "$src/dir/deep/symlink"
ln -s nowhere "$src/dangling"
truncate -s 8M "$src/sparse"
printf middle | dd of="$src/sparse" bs=1 seek=4000000 conv=notrunc status=none
mkfifo "$src/fifo"
mknod "$src/null" c 1 3
chmod 4755 "$src/dir/file4"
chmod 2775 "$src/dir/deep"
chmod 1777 "$src/empty"
chmod 0 "$src/dir/file5"
chown 1234:4321 "$src/dir/file6"
chown -h 1:1 "$src/dangling"
setfattr -n user.short -v x "$src/dir/file7"
setfattr -n user.binary -v 0x00ff0a0d "$src/dir/file7"
setfattr -n user.ondir -v "$(head -c 2000 /dev/zero | tr '\0' v)" "$src/dir"
setfattr -n trusted.secret -v t "$src/dir/file8"
setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 "$src/dir/file10" # cap_net_raw=ep
touch "$mp/probe"
if setfacl -m u:1234:rw "$mp/probe" 2>/dev/null; then
    setfacl -m u:1234:rw,g:99:r,m::rw "$src/dir/file11"
    setfacl -d -m u:1234:rwx "$src/empty"
else
    say "no ACLs on this mount: left out"
fi
rm "$mp/probe"
# Not now: rsync takes two times within a second for the same.
find "$src" -exec touch -h -d '2001-02-03 04:05:06.123456789' {} +
touch -d '1999-12-31 23:59:59.123456789' "$src/dir/file1"
touch -d '2040-01-01 00:00:00.000000001' "$src/dir/file2"

# same A B: content, types, modes, owners, links, sizes, times, attributes.
facts() {
    (cd "$1" && find . -printf '%p %y %#m %U:%G %n %l %TY-%Tm-%Td %TT\0' | sed -z 's/^\(.* d .* [0-9]*:[0-9]* \)[0-9]* /\1/' | sort -z | tr '\0' '\n'
        find . -type f -print0 | sort -z | xargs -0 sha1sum --
        find . -print0 | sort -z | xargs -0 getfattr -hd -m '^(user|trusted|security.capability)' -e hex -- 2>/dev/null
        find . ! -type l -print0 | sort -z | xargs -0 getfacl -ns -- 2>/dev/null)
}
same() {
    facts "$1" >"$work/facts.1"
    facts "$2" >"$work/facts.2"
    [ "$(wc -l <"$work/facts.1")" -gt 600 ] && diff "$work/facts.1" "$work/facts.2"
}
nothing_to_do() { ! rsync -aHAXn --delete --checksum --itemize-changes "$1/" "$2/" | grep .; }

check "rsync -aHAX" rsync -aHAX "$src/" "$mp/rsync/"
check "tar" sh -c 'mkdir "$2/tar" && tar -C "$1" --acls --xattrs --xattrs-include="*" --sparse -cf - . | tar -C "$2/tar" --acls --xattrs --xattrs-include="*" -xpf -' - "$src" "$mp"
check "cp -a" cp -a "$src" "$mp/cp"
check "cp -a within the mount" cp -a "$mp/cp" "$mp/cp2"
look() {
    for copy in rsync tar cp cp2; do
        check "$copy: nothing differs$1" same "$src" "$mp/$copy"
        check "$copy: odd names$1" "$odd" -v "$mp/$copy/names"
    done
    check "rsync has nothing to do$1" nothing_to_do "$src" "$mp/rsync"
    check "holes take no room$1" [ "$(du -k "$mp/cp/sparse" | cut -f1)" -lt 100 ]
}
each_way look
cd "$work" || exit 1

# And back: changed on the mount, taken to the disk below.
rm -r "$mp/rsync/dir/deep" "$mp/rsync/dir/file1"*
mv "$mp/rsync/dir/file9" "$mp/rsync/moved"
echo more >>"$mp/rsync/dir/file20"
printf X | dd of="$mp/rsync/sparse" bs=1 seek=100 conv=notrunc status=none
setfattr -x user.short "$mp/rsync/dir/file7"
touch -d '2010-01-01 00:00:00.5' "$mp/rsync" "$mp/rsync/dir" "$mp/rsync/sparse"
cp -a "$src" "$work/back"
check "rsync --delete back to the disk below" rsync -aHAX --delete --checksum "$mp/rsync/" "$work/back/"
facts "$mp/rsync" >"$work/facts.1"
facts "$work/back" >"$work/facts.2"
check "nothing differs there" diff "$work/facts.1" "$work/facts.2"
check "rsync --delete makes the mount the source again" rsync -aHAX --delete --checksum --inplace "$src/" "$mp/rsync/"
check "nothing differs here" same "$src" "$mp/rsync"

# Debian's own tool, both ways.
mkdir -p "$mp/deb/DEBIAN" "$mp/deb/usr/share"
cp -a "$src/dir" "$mp/deb/usr/share/"
printf 'Package: odd\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: test\n' >"$mp/deb/DEBIAN/control"
check "dpkg-deb builds" dpkg-deb -Znone --build "$mp/deb" "$mp/odd.deb"
check "dpkg-deb -x unpacks" dpkg-deb -x "$mp/odd.deb" "$mp/unpacked"
check "what it unpacked is what was built in" diff -r --no-dereference "$src/dir" "$mp/unpacked/usr/share/dir"

check "rm -rf" rm -rf "$mp/rsync" "$mp/tar" "$mp/cp" "$mp/cp2" "$mp/deb" "$mp/unpacked" "$mp/odd.deb"
check "nothing is left" [ -z "$(ls -A "$mp")" ]
done_testing
