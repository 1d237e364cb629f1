#!/bin/bash
# What ./run does.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/tools/packages.sh"
. "$root/tools/build.sh"

listens=() data='' tls='' insecure=''
for ((i = 1; i <= $#; i++)); do
    next=$((i + 1))
    case ${!i} in
    --listen) listens+=("${!next:-}") ;;
    --listen=*) listen=${!i}; listens+=("${listen#*=}") ;;
    --data | --data=*) data=given ;;
    --tls-cert | --tls-cert=*) tls=s ;;
    --insecure) insecure=given ;;
    --help)
        echo "Usage: ./run [--listen ADDRESS:PORT] [--data DIR] [OPTION...]"
        echo "Builds the server and starts it in the foreground. Data is kept in .state unless --data is given."
        echo "Other options go to the server; build/privateimd --help shows them."
        exit 0
        ;;
    esac
done

need_packages "${build_packages[@]}"
echo "Building (see build/build.log)" >&2
build_tree "$root/build" || exit 1

args=()
[[ -n $data ]] || args+=(--data "$root/.state")
for listen in "${listens[@]}"; do
    case $listen in
    127.* | localhost:* | '[::1]:'*) ;;
    *)
        if [[ -z $tls && -z $insecure ]]; then
            echo "Note: other machines can reach $listen, and without --tls-cert nothing is encrypted." >&2
            args+=(--insecure)
            insecure=given
        fi
        ;;
    esac
done

# Say the address once somebody answers there.
address=${listens[0]:-127.0.0.1:8080}
port=${address##*:}
host=${address%:*}
case $host in
0.0.0.0 | '[::]') host=127.0.0.1 ;;
esac
(
    connect=${host#[} connect=${connect%]}
    for ((i = 0; i < 300; i++)); do
        sleep 0.1
        kill -0 $$ 2> /dev/null || exit
        if (: < "/dev/tcp/$connect/$port") 2> /dev/null; then
            echo
            echo "PrivateIM is at http$tls://$host:$port/ (Ctrl-C stops it)"
            echo
            exit
        fi
    done
) &
exec "$root/build/privateimd" "${args[@]}" "$@"
