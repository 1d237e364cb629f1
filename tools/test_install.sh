#!/bin/bash
# test_install.sh BUILD_DIR: what `make install` puts where. TAP.
set -u
build=$1
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
count=0 failed=0

ok() { # NAME COMMAND...
    local name=$1 out
    shift
    count=$((count + 1))
    if out=$("$@" 2>&1); then
        echo "ok $count - $name"
    else
        failed=$((failed + 1))
        echo "not ok $count - $name"
        [[ -z $out ]] || sed 's/^/# /' <<< "$out"
    fi
}

mode_is() { [[ $(stat -c %a "$1") == "$2" ]] || { stat -c '%a %n' "$1"; false; }; }
file_has() { grep -q -- "$2" "$1" || { echo "$1 lacks $2"; false; }; }
lacks_placeholders() { ! grep -rnE '@[a-zA-Z]+@|\$\{' "$@"; }
exposure() { # UNIT: 1.5 or less
    local score
    score=$(systemd-analyze security --offline=yes "$1" 2> /dev/null | sed -nE 's/.*Overall exposure level.*: ([0-9.]+) .*/\1/p')
    echo "exposure $score"
    [[ -n $score ]] && awk "BEGIN { exit !($score <= 1.5) }"
}
compiles() { # HEADER COMPILER...
    printf '#include <privateim/%s>\n' "$1" > "$top/header.c"
    shift
    "$@" -I"$p/include" -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$top/header.c"
}

make_value() { make -s -C "$build" --no-print-directory -f - print-value <<< "include Makefile
print-value: ; @echo \$($1)"; }

[[ -f $build/Makefile ]] && make -s -C "$build" > /dev/null || { echo 'Bail out! the build fails'; exit 1; }
p=$top$(make_value prefix)
ok "make install" make -s -C "$build" install DESTDIR="$top"
for file in sbin/privateimd bin/privateimctl lib/pkgconfig/privateim.pc lib/systemd/system/privateim.service \
    lib/sysusers.d/privateim.conf lib/tmpfiles.d/privateim.conf share/man/man8/privateimd.8 share/man/man1/privateimctl.1 \
    share/man/man5/privateim.conf.5 lib/privateim/plugins/auth.so share/privateim/web/index.html include/privateim/types.h \
    include/privateim/storage.h include/privateim/auth.h; do
    ok "$file is there" test -s "$p/$file"
done
conf=$top$(make_value pimconfdir)/privateim.conf
ok "privateim.conf is 0640" mode_is "$conf" 640
ok "no libtool files among the plugins" bash -c "! ls '$p'/lib/privateim/plugins/*.la"
ok "no placeholder is left" lacks_placeholders "$p/lib/systemd" "$p/lib/sysusers.d" "$p/lib/tmpfiles.d" "$p/share/man" "$conf"
ok "the unit names the daemon" file_has "$p/lib/systemd/system/privateim.service" "^ExecStart=$(make_value sbindir)/privateimd"
ok "the unit is hardened" exposure "$p/lib/systemd/system/privateim.service"
ok "the manual has the options" file_has "$p/share/man/man5/privateim.conf.5" '^.B heartbeat'
ok "the daemon reads the installed file" "$build/privateimd" --config "$conf" --check-config
for header in types storage auth; do
    ok "$header.h is C99" compiles $header.h gcc -std=c99
done
ok "pkg-config finds the headers" env PKG_CONFIG_PATH="$p/lib/pkgconfig" pkg-config --cflags privateim
ok "pkg-config says where plugins go" test "$(PKG_CONFIG_PATH=$p/lib/pkgconfig pkg-config --variable=plugindir privateim)" = \
    "$(make_value plugindir)"
echo '# mine' >> "$conf"
ok "a second make install" make -s -C "$build" install DESTDIR="$top"
ok "leaves the operator's file alone" file_has "$conf" '^# mine'
ok "make uninstall" make -s -C "$build" uninstall DESTDIR="$top"
left=$(find "$top" -type f ! -name header.c)
ok "leaves the operator's file and nothing else" test "$left" = "$conf"
echo "1..$count"
exit $((failed > 0))
