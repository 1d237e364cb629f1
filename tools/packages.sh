# The Debian 12 packages that are needed, and need_packages to get them. To be sourced.

build_packages=(
    gcc libc6-dev make autoconf automake libtool pkg-config
    libevent-dev libevhtp-dev libssl-dev libjansson-dev libinih-dev libjwt-dev libargon2-dev libsqlite3-dev
    libsystemd-dev
)
test_packages=(
    libfaketime
    libcmocka-dev clang libclang-rt-14-dev g++
    python3 python3-websockets nodejs chromium chromium-driver openssl systemd
)
lint_packages=(clang-tidy clang-format cppcheck python3)

# need_packages PACKAGE...: install what is missing; without root say how and end.
need_packages() {
    local package missing=()

    command -v dpkg-query > /dev/null || return 0 # not Debian: configure says what it misses
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null) == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if [[ $(id -u) != 0 ]]; then
        echo "Some packages are missing. Run this, then try again:" >&2
        echo "  sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    echo "Installing ${missing[*]}" >&2
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null ||
        { echo "apt-get could not install them" >&2; exit 1; }
}
