#!/bin/bash
# What programs do to files day by day: an editor's and sed's safe write, logs that are rotated under their writer, cmake's builds, npm's installs.
. "$(dirname "$0")/lib.sh"
start
cd "$work" || exit 1

# ---- editors
if command -v ex >/dev/null; then
    seq 5000 >"$mp/edited"
    ln "$mp/edited" "$mp/edited.link"
    chmod 640 "$mp/edited"
    for safe in "set backupcopy=yes" "set backupcopy=no" "set backup" "set fsync"; do
        seq 5000 >"$mp/edited"
        check "vim, $safe: %s and :wq" ex -s -N -u NONE -c "$safe" -c '%s/^\([0-9]*\)5$/five \1/' -c 'wq' "$mp/edited"
        check "vim, $safe: what was written" cmp "$mp/edited" <(seq 5000 | sed 's/^\([0-9]*\)5$/five \1/')
        check "vim, $safe: the mode stays" [ "$(stat -c %a "$mp/edited")" = 640 ]
    done
    seq 10 >"$mp/swap"
    (cd "$mp" && ex -s -N -u NONE -c 'set directory=.' -c '1s/1/rescued/' -c "preserve" \
        -c "!kill -9 \$PPID" swap) >/dev/null 2>&1 </dev/null
    check "vim killed: its file is as it was" cmp "$mp/swap" <(seq 10)
    (cd "$mp" && ex -s -N -u NONE -c 'set directory=.' -r swap -c 'w! recovered' -c 'q!') >/dev/null 2>&1 </dev/null
    check "vim -r finds the swap file" grep -q rescued "$mp/recovered"
else
    say "no vim here: left out"
fi
seq 3000 >"$mp/sed"
chmod 600 "$mp/sed"
check "sed -i" sh -c 'for i in 1 2 3 4 5; do sed -i "s/^$i/x$i/" "$1" || exit 1; done' - "$mp/sed"
check "sed -i: what it wrote" cmp "$mp/sed" <(seq 3000 | sed 's/^\([1-5]\)/x\1/')
check "sed -i: the mode stays" [ "$(stat -c %a "$mp/sed")" = 600 ]

# ---- logs, rotated under a program that appends to them
if command -v logrotate >/dev/null; then
    mkdir "$mp/log"
    chmod 755 "$mp/log"
    (
        exec >>"$mp/log/app.log"
        for i in $(seq 4000); do echo "line $i" || exit 1; [ $((i % 500)) = 0 ] && sleep 0.1; done
    ) &
    writer=$!
    printf '%s/log/app.log {\n copytruncate\n rotate 30\n missingok\n}\n' "$mp" >"$work/rotate.conf"
    [ "$(id -u)" = 0 ] && sed -i '1a su root root' "$work/rotate.conf"
    rotated=0
    while kill -0 "$writer" 2>/dev/null; do
        logrotate -f -s "$work/rotate.state" "$work/rotate.conf" >>"$work/rotate.said" 2>&1 && rotated=$((rotated + 1))
        sleep 0.05
    done
    wait "$writer"
    check "logrotate copytruncate ran under the writer" [ "$rotated" -gt 3 ]
    # copytruncate loses what is written between the copy and the cut, on every filesystem, and on a busy machine that is much: but no line
    # is there in part or twice.
    echo "line 4001" >>"$mp/log/app.log"
    check "each line is whole, once, in order" sh -c 'cat $(ls -v -r "$1"/log/app.log.*) "$1"/log/app.log | awk "!/^line [0-9]+\$/ || \$2 <= last {print FILENAME, FNR, \$0; bad=1} {last=\$2} END {exit bad || last != 4001 || NR < 100}"' - "$mp"
    printf '%s/log/app.log {\n create 0640\n rotate 3\n compress\n}\n' "$mp" >"$work/rotate.conf"
    [ "$(id -u)" = 0 ] && sed -i '1a su root root' "$work/rotate.conf"
    echo "the last" >"$mp/log/app.log"
    rm -f "$mp"/log/app.log.*
    check "logrotate create, compress" logrotate -f -s "$work/rotate.state2" "$work/rotate.conf"
    check "the old one is compressed, the new one empty" sh -c '[ "$(zcat "$1/app.log.1.gz")" = "the last" ] && [ ! -s "$1/app.log" ]' - "$mp/log"
else
    say "no logrotate here: left out"
fi

# ---- cmake: configure, build, nothing to do, touch, rebuild
if command -v cmake >/dev/null; then
    mkdir -p "$mp/cm/src"
    printf 'cmake_minimum_required(VERSION 3.10)\nproject(small C)\nfile(GLOB S src/*.c)\nadd_library(parts STATIC ${S})\nadd_executable(small main.c)\ntarget_link_libraries(small parts)\n' >"$mp/cm/CMakeLists.txt"
    for i in $(seq 30); do printf '#include "all.h"\nint f%d(void) { return %d; }\n' "$i" "$i" >"$mp/cm/src/f$i.c"; done
    for i in $(seq 30); do echo "int f$i(void);"; done >"$mp/cm/src/all.h"
    (echo '#include <stdio.h>'; echo '#include "src/all.h"'; echo 'int main(void) { int s = 0;'
        for i in $(seq 30); do echo "s += f$i();"; done; echo 'printf("%d\n", s); return 0; }') >"$mp/cm/main.c"
    check "cmake configures" cmake -S "$mp/cm" -B "$mp/cm/build"
    check "cmake builds" cmake --build "$mp/cm/build" -j2
    check "what it built runs on the mount" [ "$("$mp/cm/build/small")" = 465 ]
    check "a second build has nothing to do" sh -c '! cmake --build "$1" | grep -q "Building C"' - "$mp/cm/build"
    sleep 0.02
    sed -i 's/return 30/return 31/' "$mp/cm/src/f30.c"
    check "one changed file: one is compiled" [ "$(cmake --build "$mp/cm/build" | grep -c 'Building C')" = 1 ]
    check "and the program is new" [ "$("$mp/cm/build/small")" = 466 ]
else
    say "no cmake here: left out"
fi

# ---- npm, without a registry: packages packed here, installed from their archives
if command -v npm >/dev/null; then
    mkdir -p "$mp/npm/app"
    for i in $(seq 10); do
        mkdir -p "$mp/npm/p$i/lib"
        printf '{"name":"p%d","version":"1.0.%d","main":"lib/index.js","bin":{"p%d":"lib/index.js"}}\n' "$i" "$i" "$i" >"$mp/npm/p$i/package.json"
        printf '#!/usr/bin/env node\nmodule.exports = %d\n' "$i" >"$mp/npm/p$i/lib/index.js"
        for j in $(seq 50); do echo "exports.x = $j" >"$mp/npm/p$i/lib/m$j.js"; done
    done
    export npm_config_cache=$mp/npm/cache npm_config_update_notifier=false npm_config_audit=false npm_config_fund=false HOME=$work
    npm_here() { (cd "$1" && shift && timeout 100 npm "$@" --offline --no-progress); }
    check "npm pack" npm_here "$mp/npm/app" pack ../p1 ../p2 ../p3 ../p4 ../p5 ../p6 ../p7 ../p8 ../p9 ../p10
    echo '{"name":"app","version":"1.0.0"}' >"$mp/npm/app/package.json"
    check "npm install" npm_here "$mp/npm/app" install ./p1-1.0.1.tgz ./p2-1.0.2.tgz ./p3-1.0.3.tgz ./p4-1.0.4.tgz ./p5-1.0.5.tgz ./p6-1.0.6.tgz \
        ./p7-1.0.7.tgz ./p8-1.0.8.tgz ./p9-1.0.9.tgz ./p10-1.0.10.tgz
    check "npm ci" npm_here "$mp/npm/app" ci
    check "node finds all of them" [ "$(cd "$mp/npm/app" && node -e 'let s=0; for (let i=1;i<=10;i++) s+=require("p"+i); console.log(s)')" = 55 ]
else
    say "no npm here: left out"
fi

look() {
    check "sed's file$1" cmp "$mp/sed" <(seq 3000 | sed 's/^\([1-5]\)/x\1/')
    [ -e "$mp/edited" ] && check "vim's file$1" cmp "$mp/edited" <(seq 5000 | sed 's/^\([0-9]*\)5$/five \1/')
    [ -d "$mp/cm" ] && check "cmake has nothing to do$1" sh -c '! cmake --build "$1" | grep -q "Building C"' - "$mp/cm/build"
    [ -d "$mp/npm/app/node_modules" ] && check "npm's packages$1" [ "$(find "$mp/npm/app/node_modules" -name 'm*.js' | wc -l)" = 500 ]
}
each_way look
done_testing
