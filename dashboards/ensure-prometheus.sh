#!/bin/sh
# `make test` runs this: tests/integration/dashboards runs every panel and alert on a real Prometheus. Debian's package
# carries both binaries. Installed only where that is nobody's business but the build's: as root, with apt (a container,
# a CI machine). Elsewhere it says what is missing, and the tests say that they only parsed the expressions.
set -u
if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    exit 0
fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && [ ! -d /run/systemd/system ]; then
    export DEBIAN_FRONTEND=noninteractive
    limits="-o Acquire::http::Timeout=15 -o Acquire::Retries=1"
    # shellcheck disable=SC2086 -- two options
    { timeout 120 apt-get $limits update -qq &&
        timeout 240 apt-get $limits install -y -qq --no-install-recommends prometheus; } >/dev/null 2>&1 && exit 0
    echo "prometheus could not be installed by apt-get; alerts and panels are only parsed" >&2
    exit 0
fi
echo "prometheus is not installed (apt-get install prometheus); alerts and panels are only parsed" >&2
